-- Ends a ban; no row when there is none. `revision` is that of the list afterwards.
with gone as (
    delete from bans where xuid = $1 returning xuid
),
raised as (
    update ban_list set revision = revision + 1 where exists (select from gone) returning revision
)
select revision from raised
