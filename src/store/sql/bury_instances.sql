-- Processes that are over. One that has risen its beat meanwhile is not.
with over as (
    delete from instances i
    using unnest($1::uuid[], $2::bigint[]) as seen (id, beat)
    where i.id = seen.id and (seen.beat is null or i.beat = seen.beat)
    returning i.id
),
lost as (
    update connections c
    set lost_at = $3, check_at = $3
    from over
    where c.instance = over.id and c.lost_at is null
    returning c.id
)
select (select count(*) from over) as instances, (select count(*) from lost) as connections
