-- Processes that are over. One that has risen its beat meanwhile is not.
with over as (
    delete from instances i
    using unnest($1::uuid[], $2::bigint[]) as seen (id, beat)
    where i.id = any($1) and i.id = seen.id and (seen.beat is null or i.beat = seen.beat)
    returning i.id
),
lost as (
    update connections
    set lost_at = $3, check_at = $3
    where instance = any(array(select id from over)) and lost_at is null
    returning id
)
select (select count(*) from over) as instances, (select count(*) from lost) as connections
