-- What the entity tags of sessions are made of, in the order of the keys.
select s.branch, s.change_number
from unnest($1::uuid[]) with ordinality as k (sid, n)
join sessions s on s.sid = k.sid
order by k.n
