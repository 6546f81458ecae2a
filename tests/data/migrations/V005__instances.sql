-- An instance with a socket, and the lease of a development clock.
insert into instances (id, started_at, lease_expires_at)
values ('00000000-0000-0000-0000-0000000000e1', '2031-01-01T00:00:00Z', '2031-01-01T00:01:00Z');

insert into connections (id, instance, xuid, opened_at)
values ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000e1', 1, '2031-01-01T00:00:00Z');

insert into dev_lease (instance, expires_at) values ('00000000-0000-0000-0000-0000000000e1', '2031-01-01T00:01:00Z');
