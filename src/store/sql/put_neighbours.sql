-- What a social source says about one user, written through (A-40, A-41): edges of the user that it does not name end, those it names
-- begin, and what is there already stays untouched. Of followers it does not say whether as a favourite. Two users share an edge, and
-- would wait for each other: who has something to change takes turns.
with gone_follows as materialized (
    (select xuid, followed from follows where xuid = $1::bigint except select $1, unnest($2::bigint[]))
    union all
    (select xuid, followed from follows where followed = $1 except select unnest($4::bigint[]), $1)
),
gone_blocks as materialized (
    (select xuid, blocked from blocks where xuid = $1 except select $1, unnest($5::bigint[]))
    union all
    (select xuid, blocked from blocks where blocked = $1 except select unnest($6::bigint[]), $1)
),
new_follows as materialized (
    (select $1 as xuid, given.followed, given.favorite from unnest($2, $3::boolean[]) as given (followed, favorite)
        except select xuid, followed, favorite from follows where xuid = $1)
    union all
    (select given.xuid, $1, false from (select unnest($4) as xuid except select xuid from follows where followed = $1) given)
),
new_blocks as materialized (
    (select $1 as xuid, unnest($5) as blocked except select xuid, blocked from blocks where xuid = $1)
    union all
    (select unnest($6), $1 except select xuid, blocked from blocks where blocked = $1)
),
turn as materialized (
    select pg_advisory_xact_lock($7)
    where exists (select from gone_follows) or exists (select from gone_blocks)
        or exists (select from new_follows) or exists (select from new_blocks)
),
-- Not by joining what is gone, which takes the square of it if the planner believes that there is little.
ended_follows as (
    delete from follows f using turn where f.xuid = $1 and f.followed not in (select unnest($2))
),
ended_followers as (
    delete from follows f using turn where f.followed = $1 and f.xuid not in (select unnest($4))
),
ended_blocks as (
    delete from blocks b using turn where b.xuid = $1 and b.blocked not in (select unnest($5))
),
ended_blocked_by as (
    delete from blocks b using turn where b.blocked = $1 and b.xuid not in (select unnest($6))
),
begun_follows as (
    insert into follows (xuid, followed, favorite) select new_follows.* from new_follows, turn
    on conflict (xuid, followed) do update set favorite = excluded.favorite where excluded.xuid = $1
),
begun_blocks as (
    insert into blocks (xuid, blocked) select new_blocks.* from new_blocks, turn
    on conflict (xuid, blocked) do nothing
)
select (select count(*) from gone_follows) + (select count(*) from gone_blocks) + (select count(*) from new_follows)
    + (select count(*) from new_blocks) as changed
