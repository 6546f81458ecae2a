-- What happened to sessions after a number of a branch, as far as taps ask. The table is searched by its key, ask by ask.
select ask.n, c.change_number, c.at, c.kinds, c.exempt, c.departed, c.deleted
from unnest($1::uuid[], $2::uuid[], $3::bigint[]) with ordinality as ask (sid, branch, after, n)
cross join lateral (
    select change_number, at, kinds, exempt, departed, deleted
    from changes
    where sid = ask.sid and branch = ask.branch and change_number > ask.after
    offset 0
) c
order by ask.n, c.change_number
