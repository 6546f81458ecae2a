-- Records to decide on, and who follows whom among their members and callers. Edges are looked up only where a restriction may ask
-- for them: it is "followed", may become so, or the session is yet to be created. Of a large session this tells no more than that it
-- is one: see load_large_sessions.sql. What is known of connections is looked up only for commands that make a member active or name one.
select ask.n, s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.revision, s.change_number, s.start_time,
    s.visibility, s.join_restriction, s.read_restriction, s.closed, s.version, s.max_members, s.member_count, s.accepted_count,
    s.keywords, s.invite_protocol, s.next_timer_at, s.body, s.private, s.large, former.xuids as former, edge.followed,
    edge.followers, block.blocked, block.blockers, socket.ids as connections, socket.owners as connection_owners,
    socket.alive as connections_alive, socket.elsewhere as connections_elsewhere
from unnest($1::uuid[], $2::int[], $3::int[], $4::boolean[], $7::int[], $8::int[], $10::int[], $11::int[], $12::boolean[])
    with ordinality as ask (
        sid, first_caller, last_caller, any_restriction, first_index, last_index, first_connection, last_connection, engages, n)
left join lateral (select * from sessions where sid = ask.sid offset 0) s on true
left join lateral (
    select array_agg(f.xuid) as xuids
    from former_members f
    where f.sid = s.sid and f.branch = s.branch and f.xuid = any (($5::bigint[])[ask.first_caller:ask.last_caller])
) former on true
left join lateral (
    select array_agg(f.followed) as followed, array_agg(f.xuid) as followers
    from unnest(($5::bigint[])[ask.first_caller:ask.last_caller]) as caller (xuid)
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
left join lateral (
    select array_agg(c.id) as ids, array_agg(c.xuid) as owners, array_agg(c.lost_at is null) as alive,
        array_agg(c.elsewhere) as elsewhere
    from (
        select id from unnest(($9::uuid[])[ask.first_connection:ask.last_connection]) as named (id)
        union
        select m.connection
        from members m
        where ask.engages and m.sid = ask.sid
            and (m.xuid = any (($5::bigint[])[ask.first_caller:ask.last_caller])
                or m.index = any (($6::int[])[ask.first_index:ask.last_index]))
    ) named
    cross join lateral (
        select c.id, c.xuid, c.lost_at,
            (select count(*)
             from (select from members m where m.connection = c.id and m.xuid = c.xuid and m.sid <> ask.sid limit 10) other
            ) as elsewhere
        from connections c
        where c.id = named.id
        offset 0
    ) c
    where ask.engages
) socket on true
