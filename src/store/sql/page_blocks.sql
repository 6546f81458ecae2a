-- Who blocks whom, from a key on, in the order of the primary key.
select xuid, blocked as other, false as favorite
from blocks
where (xuid, blocked) >= ($1::bigint, $2::bigint)
order by xuid, blocked
limit $3
