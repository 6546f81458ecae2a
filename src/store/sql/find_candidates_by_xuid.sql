-- Sessions of some users (Q-30, Q-32, Q-33, Q-39), the newest of each after a key of its own (Q-35), in no order: those where the user is
-- in a wanted state, private ones only if they are wanted, and those that are due, whose state nobody knows yet. What everybody may
-- read, nobody's nearness is looked up for. Many columns cost more than the session: small ones come as one number (`rows::Codes`).
select ask.n, s.sid, s.scid_spelling, s.template, s.name, s.start_time, s.next_timer_at, s.version, s.accepted_count, s.keywords,
    s.visibility | (s.join_restriction << 2) | (s.read_restriction << 4) | ((s.member_count >= s.max_members)::int << 6)
        | ((s.state + 1) << 7) | (s.turn::int << 10)
        | case
            when s.visibility < 2 and s.read_restriction = 0 then 0
            when exists (
                select
                from unnest($8::bigint[]) as caller (xuid)
                cross join lateral (select from members where xuid = caller.xuid and scid = $5 and sid = s.sid limit 1) own
            ) then 2048
            when s.visibility = 2 then 0
            else case when s.read_restriction = 1 and exists (
                select
                from (select xuid from members where sid = s.sid and state > 0 offset 0) e
                cross join lateral (select from follows where xuid = e.xuid and followed = any($8) limit 1) f
            ) then 4096 else 0 end | case when exists (
                select from members e where e.sid = s.sid and e.state = 3 and e.device_id = any($9)
            ) then 8192 else 0 end
        end as codes
from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::uuid[]) with ordinality
    as ask (xuid, after_start, after_name, after_sid, n)
cross join lateral (
    select s.sid, s.scid_spelling, s.template, s.name, s.start_time, s.next_timer_at, s.version, s.accepted_count, s.keywords,
        s.visibility, s.join_restriction, s.read_restriction, s.member_count, s.max_members, m.state, m.turn
    from members m
    cross join lateral (select * from sessions where sid = m.sid offset 0) s
    where m.xuid = ask.xuid and m.scid = $5
        and ($6::text is null or m.template_key = $6)
        and (s.next_timer_at <= $13 or (m.state = any($11) and ($12 or s.visibility <> 2)))
        and ($7::text is null or exists (
            select
            from keywords k
            where k.scid = $5 and k.keyword = $7 and k.start_time = s.start_time and k.name = s.name and k.sid = s.sid))
        and (ask.after_start is null
            or s.start_time < ask.after_start
            or (s.start_time = ask.after_start and (s.name, s.sid) > (ask.after_name, ask.after_sid)))
    order by s.start_time desc, s.name, s.sid
    limit $10
) s
