-- Sockets that have a connection id from now on.
insert into connections (id, xuid, instance, opened_at)
select c.id, c.xuid, $3, $4
from unnest($1::uuid[], $2::bigint[]) as c (id, xuid)
on conflict (id) do nothing
