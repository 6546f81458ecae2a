-- Whom a user follows.
select followed
from follows
where xuid = $1 and (favorite or not $2)
order by followed
