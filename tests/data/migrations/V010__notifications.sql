-- A live instance, one socket of each kind, a ticket, and a change that exempts its author.
insert into instances (id, started_at, beat, seen_at, place, backend, backend_from)
values ('00000000-0000-0000-0000-0000000000e2', '2031-01-01T00:00:00Z', 7, '2031-01-01T00:00:07Z', 'boot/net/127.0.0.1:8080', 4711,
    '2031-01-01T00:00:00Z');

insert into connections (id, instance, xuid, opened_at, lost_at, check_at)
values ('00000000-0000-0000-0000-0000000000c2', '00000000-0000-0000-0000-0000000000e2', 1, '2031-01-01T00:00:00Z', null, null),
    ('00000000-0000-0000-0000-0000000000c3', '00000000-0000-0000-0000-0000000000e2', 2, '2031-01-01T00:00:00Z',
        '2031-01-01T00:00:05Z', '2031-01-01T00:00:20Z');

insert into nonces (digest, principal, expires_at)
values ('\x0102', '{"xuid":"1"}', '2031-01-01T00:01:00Z');

insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor, exempt)
values ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b1', 99, '2031-01-01T00:00:01Z',
    '00000000-0000-0000-0000-0000000000d9', 0, 2, false, 'connection', 3);
