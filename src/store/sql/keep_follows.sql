-- Whoever is not given follows nobody any more (A-40).
delete from follows f
where not exists (
    select from unnest($1::bigint[], $2::bigint[]) as given (xuid, followed) where given.xuid = f.xuid and given.followed = f.followed
)
