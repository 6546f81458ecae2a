-- Follows of an import; one that is there already stays untouched.
insert into follows (xuid, followed, favorite)
select given.xuid, given.followed, given.favorite
from unnest($1::bigint[], $2::bigint[], $3::boolean[]) as given (xuid, followed, favorite)
where not exists (
    select from follows f where f.xuid = given.xuid and f.followed = given.followed and f.favorite = given.favorite
)
on conflict (xuid, followed) do update set favorite = excluded.favorite
