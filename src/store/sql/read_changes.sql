-- What the log has of one branch after a number and up to another, in the order of the numbers.
select branch, change_number, at, actor, cause, kinds, delta, departed, exempt, deleted, write_id
from changes
where sid = $1 and branch = $2 and change_number > $3 and change_number <= $4
order by change_number
limit $5
