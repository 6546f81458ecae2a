-- Connections that an instance made known after it was taken for dead.
update connections c
set lost_at = $1, check_at = $1
where c.lost_at is null and not exists (select from instances i where i.id = c.instance)
