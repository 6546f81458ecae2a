select sid, branch, xuid
from former_members
where sid > $1 and sid <= $2
order by sid, branch, xuid
