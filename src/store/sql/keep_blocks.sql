-- Whoever is not given blocks nobody any more (A-41).
delete from blocks b
where not exists (
    select from unnest($1::bigint[], $2::bigint[]) as given (xuid, blocked) where given.xuid = b.xuid and given.blocked = b.blocked
)
