-- Sessions whose next timer has passed, longest first; instances divide them by hash.
select sid, due_at
from timers
where due_at <= $1 and ($3 = 1 or (uuid_hash(sid) & 2147483647) % $3 = $4)
order by due_at
limit $2
