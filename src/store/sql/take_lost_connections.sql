-- Lost connections that are to be searched for, those that wait longest first, put off for whoever else looks.
with taken as materialized (
    select id
    from connections
    where check_at <= $1
    order by check_at
    limit $3
    for update skip locked
)
update connections
set check_at = $2
where id = any(array(select id from taken))
returning id, xuid
