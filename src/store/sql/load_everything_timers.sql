select sid, due_at, failures
from timers
where sid > $1 and sid <= $2
order by sid
