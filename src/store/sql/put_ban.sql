-- Bans a user, in place of an earlier ban, unless so many others are banned; no row then. `revision` is that of the list afterwards.
with room as (
    select from (
        select count(*) as others from bans where xuid <> $1 and (expires_at is null or expires_at > $4)
    ) counted
    where others < $6
),
put as (
    insert into bans (xuid, reason, expires_at, created_at, created_by)
    select $1, $2, $3::timestamptz, $4::timestamptz, $5 from room
    on conflict (xuid) do update
    set reason = excluded.reason, expires_at = excluded.expires_at, created_at = excluded.created_at,
        created_by = excluded.created_by
    returning xmax = 0 as created
),
raised as (
    update ban_list set revision = revision + 1 where exists (select from put) returning revision
)
select put.created, raised.revision from put, raised
