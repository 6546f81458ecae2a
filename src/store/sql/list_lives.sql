-- The lives of one session that the log still knows of, one after another.
select branch
from changes
where sid = $1
group by branch
order by min(at), max(at) filter (where deleted) nulls last, branch
