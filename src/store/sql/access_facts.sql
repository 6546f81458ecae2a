-- What restricted sessions ask about a stranger: does an accepted member follow the caller (A-23), is an active member on the
-- caller's device (A-22).
select ask.n,
    exists (
        select
        from (select xuid from members where sid = ask.sid and state > 0 offset 0) m
        cross join lateral (select from follows where xuid = m.xuid and followed = ask.caller limit 1) f
    ) as followed,
    exists (select from members m where m.sid = ask.sid and m.state = 3 and m.device_id = ask.device_id) as local
from unnest($1::uuid[], $2::bigint[], $3::text[]) with ordinality as ask (sid, caller, device_id, n)
