-- A user follows nobody any more, and nobody follows that user; whoever changes something takes turns, as in put_neighbours.
with gone as materialized (
    select xuid, followed from follows where xuid = $1 or followed = $1
),
turn as materialized (
    select pg_advisory_xact_lock($2) where exists (select from gone)
)
delete from follows f using gone, turn where f.xuid = gone.xuid and f.followed = gone.followed
