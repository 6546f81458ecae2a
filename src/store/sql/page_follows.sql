-- Who follows whom, from a key on, in the order of the primary key.
select xuid, followed as other, favorite
from follows
where (xuid, followed) >= ($1::bigint, $2::bigint)
order by xuid, followed
limit $3
