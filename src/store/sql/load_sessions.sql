-- Records to decide on, and who follows whom among their members and callers. Edges are looked up only where a restriction may ask
-- for them: it is "followed", may become so, or the session is yet to be created. Of a large session this tells no more than that it
-- is one: see load_large_sessions.sql.
select ask.n, s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.revision, s.change_number, s.start_time,
    s.visibility, s.join_restriction, s.read_restriction, s.closed, s.version, s.max_members, s.member_count, s.accepted_count,
    s.keywords, s.invite_protocol, s.next_timer_at, s.body, s.private, s.large, former.xuids as former, edge.followed,
    edge.followers, block.blocked, block.blockers
from unnest($1::uuid[], $2::int[], $3::int[], $4::boolean[]) with ordinality as ask (sid, first_caller, last_caller, any_restriction, n)
left join sessions s on s.sid = ask.sid
left join lateral (
    select array_agg(f.xuid) as xuids
    from former_members f
    where f.sid = s.sid and f.branch = s.branch and f.xuid = any (($5::bigint[])[ask.first_caller:ask.last_caller])
) former on true
left join lateral (
    select array_agg(f.followed) as followed, array_agg(f.xuid) as followers
    from unnest(($5::bigint[])[ask.first_caller:ask.last_caller]) as caller (xuid)
    -- Caller by caller, whatever the planner believes about the table; offset keeps it from looking further.
    cross join lateral (select xuid, followed from follows where followed = caller.xuid offset 0) f
    where (s.sid is null or (not s.large and (ask.any_restriction or s.join_restriction = 1 or s.read_restriction = 1)))
        and (f.xuid in (select m.xuid from members m where m.sid = ask.sid)
            or f.xuid = any (($5::bigint[])[ask.first_caller:ask.last_caller]))
) edge on true
left join lateral (
    select array_agg(b.blocked) as blocked, array_agg(b.xuid) as blockers
    from unnest(($5::bigint[])[ask.first_caller:ask.last_caller]) as caller (xuid)
    cross join lateral (select xuid, blocked from blocks where blocked = caller.xuid offset 0) b
    where s.large is not true
        and (b.xuid in (select m.xuid from members m where m.sid = ask.sid)
            or b.xuid = any (($5::bigint[])[ask.first_caller:ask.last_caller]))
) block on true
