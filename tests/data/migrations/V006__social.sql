-- Who knows whom, who may not play, and who said so.
insert into follows (xuid, followed, favorite) values (1, 2, true), (2, 1, false);

insert into blocks (xuid, blocked) values (1, 3);

insert into bans (xuid, reason) values (3, 'cheating');

insert into audit (id, at, actor, action)
values ('00000000-0000-0000-0000-0000000000f1', '2031-01-01T00:00:00Z', 'admin:op', 'ban');
