-- What load_sessions.sql does, for sessions it found to be large: a statement of its own, because starting its many parts takes longer
-- than loading an ordinary session. It must serve those too, should one have followed upon a large one in between.
--
-- Of a large session come those members along that a decision can concern (`near`): callers, those named by index, owners, the first
-- 500 that are due; then the one of the others that would inherit (`heir`), and when the first of all the rest is due (`later`).
select ask.n, s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.revision, s.change_number, s.start_time,
    s.visibility, s.join_restriction, s.read_restriction, s.closed, s.version, s.max_members, s.member_count, s.accepted_count,
    s.keywords, s.invite_protocol, s.next_timer_at, s.body, s.private, s.large, former.xuids as former,
    edge.followed, edge.followers, block.blocked, block.blockers,
    crowd.documents, crowd.since, crowd.grace, crowd.devices, later.due_at as next_due, socket.ids as connections,
    socket.owners as connection_owners, socket.alive as connections_alive, socket.elsewhere as connections_elsewhere
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
    where b.xuid = any (($5::bigint[])[ask.first_caller:ask.last_caller])
        or (select true from members m where m.xuid = b.xuid and m.scid = s.scid and m.sid = s.sid limit 1)
) block on true
left join lateral (
    select array_agg(near.index) as indices
    from (
        select m.index
        from unnest(($5::bigint[])[ask.first_caller:ask.last_caller]) as caller (xuid)
        cross join lateral (
            select index from members where xuid = caller.xuid and scid = s.scid and sid = s.sid limit 1
        ) m
        union
        select m.index
        from unnest(($6::int[])[ask.first_index:ask.last_index]) as named (index)
        cross join lateral (select index from members where sid = s.sid and index = named.index limit 1) m
        union
        select index from members where sid = s.sid and owner
        union
        (select index from members where sid = s.sid and due_at <= $13 order by due_at limit 500)
    ) near
    where s.large
) near on true
left join lateral (
    select index
    from members
    where s.large and sid = s.sid and joined_at is not null and index <> all (coalesce(near.indices, '{}'))
    order by joined_at, index
    limit 1
) heir on true
left join lateral (
    select due_at
    from members
    where s.large and sid = s.sid and due_at is not null
        and index <> all (coalesce(near.indices, '{}')) and index is distinct from heir.index
    order by due_at
    limit 1
) later on true
left join lateral (
    select array_agg(m.document) as documents, array_agg(m.since) as since, array_agg(m.grace_until) as grace,
        array_agg(m.device_id) as devices
    from unnest(array_append(near.indices, heir.index)) as loaded (index)
    -- One by one: a scan by sid would read all members.
    cross join lateral (
        select document, since, grace_until, device_id from members where sid = s.sid and index = loaded.index limit 1
    ) m
    where s.large
) crowd on true
left join lateral (
    select array_agg(c.id) as ids, array_agg(c.xuid) as owners, array_agg(c.lost_at is null) as alive,
        array_agg(c.elsewhere) as elsewhere
    from (
        select id from unnest(($9::uuid[])[ask.first_connection:ask.last_connection]) as named (id)
        union
        select m.connection
        from unnest(near.indices) as loaded (index)
        cross join lateral (
            select connection from members where sid = ask.sid and index = loaded.index limit 1
        ) m
        where ask.engages
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
