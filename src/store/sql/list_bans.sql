select xuid, reason, expires_at, created_at, created_by
from bans
where $1::bigint is null or xuid > $1
order by xuid
limit 201
