-- A session with what only the service keeps beside it.
select s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.revision, s.change_number, s.start_time, s.visibility,
    s.join_restriction, s.read_restriction, s.closed, s.version, s.max_members, s.member_count, s.accepted_count, s.keywords,
    s.invite_protocol, s.next_timer_at, s.body, s.private, s.large,
    (
        select array_agg(f.xuid order by f.xuid)
        from (select xuid from former_members where sid = s.sid and branch = s.branch order by xuid limit 10000) f
    ) as former,
    coalesce(t.failures, 0::smallint) as failures,
    array(
        select (select count(*) from handles h where h.sid = s.sid and h.type = kind)
        from generate_series(0, 3) kind
        order by kind
    ) as handles
from sessions s
left join timers t on t.sid = s.sid
where s.sid = $1
