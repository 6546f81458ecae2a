-- Documents for many callers at once, with what judging access and timers needs; of large sessions also what completes them for their
-- caller. What everybody may read, nobody's membership is looked up for.
select ask.n, s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.change_number, s.next_timer_at, s.visibility,
    s.read_restriction, s.body, case when s.large then s.private end as private, m.state as caller_state, m.document as caller_document
from unnest($1::uuid[], $2::bigint[]) with ordinality as ask (sid, caller, n)
cross join lateral (select * from sessions where sid = ask.sid offset 0) s
left join lateral (
    select state, document
    from members
    where (s.visibility = 2 or s.read_restriction <> 0 or s.large) and xuid = ask.caller and scid = s.scid and sid = s.sid
    limit 1
) m on true
