-- The log of one session, oldest first: over its branches by time, inside a branch by number.
select branch, change_number, at, actor, cause, kinds, delta, departed, exempt, deleted, write_id
from changes
where sid = $1
order by min(at) over (partition by branch), branch, change_number
limit $2
