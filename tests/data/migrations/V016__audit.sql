-- An action about two users.
insert into audit (id, at, actor, action, target, reason, outcome, detail, xuids)
values ('00000000-0000-0000-0000-0000000000f3', '2031-01-01T00:00:02Z', 'admin:op', 'block.put', '4/5', null, 'done', null, '{4,5}');
