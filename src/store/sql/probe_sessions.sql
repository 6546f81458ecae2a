-- Which state many sessions are in, without their documents.
select ask.n, s.branch, s.change_number
from unnest($1::uuid[]) with ordinality as ask (sid, n)
join sessions s on s.sid = ask.sid
