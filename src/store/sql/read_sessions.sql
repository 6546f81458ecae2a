-- Documents for many callers at once, with what judging access and timers needs.
select ask.n, s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.change_number, s.next_timer_at, s.visibility,
    s.read_restriction, s.body, m.state as caller_state
from unnest($1::uuid[], $2::bigint[]) with ordinality as ask (sid, caller, n)
join sessions s on s.sid = ask.sid
left join members m on m.xuid = ask.caller and m.scid = s.scid and m.sid = s.sid
