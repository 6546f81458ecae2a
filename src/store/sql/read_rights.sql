-- The changes of one branch after a number and up to another that may have touched who can read, in the order of the numbers: those
-- of some kinds, and the first.
select change_number, delta, departed
from changes
where sid = $1 and branch = $2 and change_number > $3 and change_number <= $4 and ((kinds & $5) <> 0 or change_number = 1)
order by change_number
limit $6
