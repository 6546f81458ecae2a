-- An administrator's action, before it is done.
insert into audit (id, at, actor, action, target, reason, detail, xuids) values ($1, $2, $3, $4, $5, $6, $7, $8)
