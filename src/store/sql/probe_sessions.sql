-- Which state many sessions are in, without their documents.
select ask.n, s.branch, s.change_number
from unnest($1::uuid[]) with ordinality as ask (sid, n)
cross join lateral (select branch, change_number from sessions where sid = ask.sid offset 0) s
