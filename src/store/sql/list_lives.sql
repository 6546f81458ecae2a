-- The lives of one session that the log still knows of, one after another. The key is searched from branch to branch, and for the
-- first and the last change of each: of a long life nothing else is read.
with recursive lives as (
    (select branch from changes where sid = $1 order by branch limit 1)
    union all
    select next.branch
    from lives
    cross join lateral (select branch from changes where sid = $1 and branch > lives.branch order by branch limit 1) next
)
select lives.branch
from lives
cross join lateral (
    select at from changes where sid = $1 and branch = lives.branch order by change_number limit 1
) began
cross join lateral (
    select at, deleted from changes where sid = $1 and branch = lives.branch order by change_number desc limit 1
) ended
order by began.at, case when ended.deleted then ended.at end nulls last, lives.branch
