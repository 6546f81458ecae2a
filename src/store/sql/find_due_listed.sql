-- Listed sessions among those whose timer has passed, the longest due first. As sweeps are frequent these are few; of many the sweep
-- takes care.
select t.sid
from (select sid, due_at from timers where due_at <= $1 order by due_at limit 1000) t
cross join lateral (select true from handles where sid = t.sid and type = 2 limit 1) h
order by t.due_at
limit 256
