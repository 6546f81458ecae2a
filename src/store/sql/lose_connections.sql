-- Sockets that are gone, to be searched for from now on. In the order of their ids, so that two instances that mark the same ones never
-- wait for each other in a circle.
with gone as materialized (
    select c.id
    from connections c
    where c.id = any ($1::uuid[])
    order by c.id
    for update
)
update connections
set lost_at = $2, check_at = $2
where id = any(array(select id from gone))
