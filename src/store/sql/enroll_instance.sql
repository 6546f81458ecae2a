-- A process that has begun. Another one that was in the same place is over, because only one at a time can be there; so is every other
-- one where this process is alone by nature.
with over as (
    delete from instances where id <> $1 and ($3 or place = $2) returning id
),
lost as (
    update connections c
    set lost_at = $4, check_at = $4
    where c.lost_at is null and c.instance <> $1 and ($3 or c.instance in (select id from over))
)
insert into instances (id, started_at, place, seen_at)
values ($1, $4, $2, $4)
on conflict (id) do nothing
