-- Saves decided sessions in one commit. Rows are locked in the order of sid, so that two batches never wait for each other in a
-- circle. Versioned updates, versioned deletions and creations name in `won` the saves that found what they expected; every other
-- part joins `won`, so a save that lost leaves no trace. Documents stay where they came in until they are written: rows that are joined
-- are copied, some of them several times.
with ask as materialized (
    select *
    from unnest($60::uuid[], $61::uuid[], $62::bigint[], $63::boolean[], $64::boolean[])
        as ask (sid, branch, revision, deletes, clears_handles)
),
after as materialized (
    select *
    from unnest(
        $1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::int[], $8::int[],
        $9::int[], $10::int[], $11::smallint[], $12::smallint[], $13::smallint[], $14::boolean[], $15::text[], $16::text[],
        $17::text[], $18::int[], $19::int[], $20::text[], $24::boolean[], $25::uuid[], $26::bigint[]
    ) with ordinality as after (
        sid, branch, change_number, scid, start_time, next_timer_at, version, max_members, member_count, accepted_count, visibility,
        join_restriction, read_restriction, closed, scid_spelling, template, name, first_keyword, last_keyword, invite_protocol,
        large, expected_branch, expected_revision, n)
),
locked as materialized (
    select s.sid, s.scid, s.start_time, s.name
    from sessions s
    where s.sid = any(array(select sid from ask where revision is not null))
    order by s.sid
    for update
),
-- A count is known when the last row is: whoever reads it writes only after every lock is held.
ready as materialized (
    select count(*) as rows from locked
),
updated as (
    update sessions s
    set branch = after.branch, revision = s.revision + 1, change_number = after.change_number, start_time = after.start_time,
        next_timer_at = after.next_timer_at, version = after.version, max_members = after.max_members,
        member_count = after.member_count, accepted_count = after.accepted_count, visibility = after.visibility,
        join_restriction = after.join_restriction, read_restriction = after.read_restriction, closed = after.closed,
        scid_spelling = after.scid_spelling, template = after.template, name = after.name,
        keywords = ($23::text[])[after.first_keyword:after.last_keyword], invite_protocol = after.invite_protocol,
        body = ($21::text[])[after.n::int], private = ($22::text[])[after.n::int], large = after.large
    from ready, after
    where s.sid = any($1) and s.sid = after.sid and s.branch = after.expected_branch and s.revision = after.expected_revision
    returning s.sid
),
deleted as (
    delete from sessions s
    using ready, ask
    where s.sid = any($60) and s.sid = ask.sid and s.branch = ask.branch and s.revision = ask.revision and ask.deletes
    returning s.sid
),
created as (
    insert into sessions (
        sid, branch, revision, change_number, scid, start_time, next_timer_at, version, max_members, member_count, accepted_count,
        visibility, join_restriction, read_restriction, closed, scid_spelling, template, name, keywords, invite_protocol, body, private,
        large)
    select sid, branch, 1, change_number, scid, start_time, next_timer_at, version, max_members, member_count,
        accepted_count, visibility, join_restriction, read_restriction, closed, scid_spelling, template, name,
        ($23::text[])[first_keyword:last_keyword], invite_protocol, ($21::text[])[n::int], ($22::text[])[n::int], large
    from ready, after
    where expected_revision is null
    order by sid
    on conflict (sid) do nothing
    returning sid
),
won as materialized (
    select sid from updated union all select sid from deleted union all select sid from created
),
put_timers as (
    insert into timers (sid, due_at)
    select t.sid, t.due_at
    from unnest($27::uuid[], $28::timestamptz[]) as t (sid, due_at)
    join won on won.sid = t.sid
    join after on after.sid = t.sid
    where t.due_at is not null
    on conflict (sid) do update set due_at = excluded.due_at, failures = 0
),
cleared_timers as (
    delete from timers
    where sid = any(array(
        select won.sid
        from unnest($27::uuid[], $28::timestamptz[]) as t (sid, due_at)
        join won on won.sid = t.sid
        where t.due_at is null
        union
        select sid from deleted))
),
removed_members as (
    delete from members m
    using unnest($29::uuid[], $30::int[]) as r (sid, index), won
    where won.sid = r.sid and m.sid = r.sid and m.index = r.index
),
members_of_deleted as (
    delete from members where sid = any(array(select sid from deleted))
),
put_members as (
    insert into members (
        sid, index, state, turn, xuid, scid, connection, template_key, device_id, owner, document, since, due_at, joined_at,
        grace_until)
    select p.sid, p.index, p.state, p.turn, p.xuid, after.scid, p.connection, lower(after.template collate "C"), p.device_id, p.owner,
        p.document, p.since, p.due_at, p.joined_at, p.grace_until
    from unnest(
        $31::uuid[], $32::int[], $33::smallint[], $34::boolean[], $35::bigint[], $36::uuid[], $37::text[], $38::boolean[], $39::text[],
        $40::timestamptz[], $41::timestamptz[], $42::timestamptz[], $43::timestamptz[]
    ) as p (sid, index, state, turn, xuid, connection, device_id, owner, document, since, due_at, joined_at, grace_until)
    join won on won.sid = p.sid
    join after on after.sid = p.sid
    on conflict (sid, index) do update
    set state = excluded.state, turn = excluded.turn, xuid = excluded.xuid, connection = excluded.connection,
        template_key = excluded.template_key, device_id = excluded.device_id, owner = excluded.owner, document = excluded.document,
        since = excluded.since, due_at = excluded.due_at, joined_at = excluded.joined_at,
        grace_until = excluded.grace_until
),
-- A keyword row is found by the key of the stored session, which in a re-created session differs from the new one.
removed_keywords as (
    delete from keywords k
    using unnest($65::uuid[], $66::text[]) as r (sid, keyword), won, locked
    where won.sid = r.sid and locked.sid = r.sid
        and k.scid = locked.scid and k.keyword = r.keyword and k.start_time = locked.start_time and k.name = locked.name
        and k.sid = locked.sid
        and not exists (
            select
            from unnest($67::uuid[], $68::text[]) as p (sid, keyword)
            join after on after.sid = p.sid
            where p.sid = r.sid and p.keyword = r.keyword and after.start_time = locked.start_time and after.name = locked.name)
),
put_keywords as (
    insert into keywords (scid, keyword, start_time, name, sid, template_key)
    select after.scid, p.keyword, after.start_time, after.name, after.sid, lower(after.template collate "C")
    from unnest($67::uuid[], $68::text[]) as p (sid, keyword)
    join won on won.sid = p.sid
    join after on after.sid = p.sid
    on conflict do nothing
),
put_former_members as (
    insert into former_members (sid, branch, xuid)
    select f.sid, after.branch, f.xuid
    from unnest($56::uuid[], $57::bigint[]) as f (sid, xuid)
    join won on won.sid = f.sid
    join after on after.sid = f.sid
    on conflict do nothing
),
former_members_of_ended as (
    delete from former_members f
    using won, ask left join after on after.sid = ask.sid
    where ask.sid = won.sid and f.sid = ask.sid and f.branch = ask.branch and after.branch is distinct from ask.branch
),
-- An invite is kept even if its session ends with the very save that makes it (H-34).
handle as materialized (
    select p.*, coalesce(after.scid, locked.scid) as scid
    from unnest(
        $69::uuid[], $70::uuid[], $71::smallint[], $72::text[], $73::text[], $74::text[], $75::bigint[], $76::bigint[], $77::bigint[],
        $78::timestamptz[], $79::timestamptz[], $80::uuid[], $81::uuid[], $82::text[]
    ) as p (
        id, sid, type, scid_spelling, template, name, owner, title_id, invited, created_at, expires_at, origin_sid, origin_scid,
        document)
    join won on won.sid = p.sid
    left join after on after.sid = p.sid
    left join locked on locked.sid = p.sid
    where after.sid is not null or p.type = 1
),
-- Only an activity can be in the way of another (H-20).
put_handles as (
    insert into handles (
        id, type, sid, scid, scid_spelling, template, name, owner, title_id, invited, created_at, expires_at, origin_sid, origin_scid,
        document)
    select id, type, sid, scid, scid_spelling, template, name, owner, title_id, invited, created_at, expires_at, origin_sid,
        origin_scid, document
    from handle
    order by owner, scid
    on conflict (owner, scid) where type = 0 do update
    set id = excluded.id, sid = excluded.sid, scid_spelling = excluded.scid_spelling, template = excluded.template,
        name = excluded.name, title_id = excluded.title_id, created_at = excluded.created_at, expires_at = excluded.expires_at,
        document = excluded.document
),
removed_activities as (
    delete from handles h
    using unnest($58::uuid[], $59::bigint[]) as r (sid, owner), won, locked
    where won.sid = r.sid and locked.sid = r.sid
        and h.owner = r.owner and h.scid = locked.scid and h.type = 0 and h.sid = r.sid
        and not exists (select from handle a where a.type = 0 and a.owner = h.owner and a.scid = h.scid)
),
cleared_handles as (
    delete from handles h
    using ask, won
    where won.sid = ask.sid and ask.clears_handles and h.sid = ask.sid and h.type <> 1
        and not (h.type = 0 and exists (select from handle a where a.type = 0 and a.owner = h.owner and a.scid = h.scid))
),
logged as (
    insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor, delta, departed, exempt)
    select c.sid, c.branch, c.change_number, c.at, c.write_id, c.kinds, c.cause, c.deleted, c.actor, c.delta, c.departed,
        c.exempt
    from unnest(
        $44::uuid[], $45::uuid[], $46::bigint[], $47::timestamptz[], $48::int[], $49::smallint[], $50::boolean[], $51::text[],
        $52::text[], $53::text[], $54::int[], $55::uuid[]
    ) as c (sid, branch, change_number, at, kinds, cause, deleted, actor, delta, departed, exempt, write_id)
    join won on won.sid = c.sid
)
select sid from won
