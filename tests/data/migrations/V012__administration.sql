-- An action with all there is to say about it, and a ban with its author.
insert into audit (id, at, actor, action, target, reason, outcome, detail)
values ('00000000-0000-0000-0000-0000000000f2', '2031-01-01T00:00:01Z', 'admin:op', 'ban.put', '4', 'cheats again', 'done', null);

insert into bans (xuid, reason, expires_at, created_at, created_by)
values (4, 'cheats again', '2031-02-01T00:00:00Z', '2031-01-01T00:00:01Z', 'admin:op');
