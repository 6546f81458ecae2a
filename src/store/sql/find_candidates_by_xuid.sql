-- Sessions of some users, newest first for each user (Q-30, Q-32, Q-33, Q-35, Q-39), each list after a key of its own: those where the
-- user is in a wanted state, private ones only if they are wanted, and those that are due, whose state nobody knows yet.
select ask.n, s.sid, s.scid, s.scid_spelling, s.template, s.name, s.start_time, s.visibility, s.join_restriction, s.read_restriction,
    s.closed, s.version, s.max_members, s.member_count, s.accepted_count, s.keywords, s.next_timer_at,
    s.member_state, s.member_turn, c.state as caller_state,
    case when s.read_restriction = 1 and c.state is null then exists (
        select
        from members e
        join follows f on f.xuid = e.xuid and f.followed = any($8)
        where e.sid = s.sid and e.state > 0
    ) else false end as followed,
    case when s.read_restriction > 0 and c.state is null then exists (
        select from members e where e.sid = s.sid and e.state = 3 and e.device_id = any($9)
    ) else false end as local
from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::uuid[]) with ordinality
    as ask (xuid, after_start, after_name, after_sid, n)
cross join lateral (
    select s.sid, s.scid, s.scid_spelling, s.template, s.name, s.start_time, s.visibility, s.join_restriction, s.read_restriction,
        s.closed, s.version, s.max_members, s.member_count, s.accepted_count, s.keywords, s.next_timer_at,
        m.state as member_state, m.turn as member_turn
    from members m
    join sessions s on s.sid = m.sid
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
left join lateral (
    select own.state
    from unnest($8::bigint[]) as caller (xuid)
    cross join lateral (select state from members where xuid = caller.xuid and scid = $5 and sid = s.sid limit 1) own
    limit 1
) c on true
order by ask.n, s.start_time desc, s.name, s.sid
