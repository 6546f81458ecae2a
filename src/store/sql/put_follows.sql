-- Follows of an import; one that is there already stays untouched.
insert into follows (xuid, followed, favorite)
select given.xuid, given.followed, given.favorite
from unnest($1::bigint[], $2::bigint[], $3::boolean[]) as given (xuid, followed, favorite)
left join lateral (
    select favorite from follows where xuid = given.xuid and followed = given.followed offset 0
) f on true
where f.favorite is distinct from given.favorite
on conflict (xuid, followed) do update set favorite = excluded.favorite
