-- What save_sessions.sql does, for a batch of updates that touch no keyword and make no handle: most batches. Starting the many parts of
-- the whole save took 38 % of the server's time for a batch of one; this has only the parts it needs. Keep the two alike.
--
-- The columns are taken out of the parameters by the place of the session in the batch, so that documents are copied once only: rows that
-- an update joins with are kept whole beside those it updates. Sessions come in the order of their ids and are locked in it, so that two
-- batches do not wait for each other; where the database sees them doing that all the same, one is tried again.
with won as (
    update sessions s
    set branch = ($2::uuid[])[at.n], revision = s.revision + 1, change_number = ($3::bigint[])[at.n], scid = ($4::uuid[])[at.n],
        start_time = ($5::timestamptz[])[at.n], next_timer_at = ($6::timestamptz[])[at.n], version = ($7::int[])[at.n],
        max_members = ($8::int[])[at.n], member_count = ($9::int[])[at.n], accepted_count = ($10::int[])[at.n],
        visibility = ($11::smallint[])[at.n], join_restriction = ($12::smallint[])[at.n],
        read_restriction = ($13::smallint[])[at.n], closed = ($14::boolean[])[at.n], scid_spelling = ($15::text[])[at.n],
        template = ($16::text[])[at.n], name = ($17::text[])[at.n],
        keywords = ($23::text[])[($18::int[])[at.n]:($19::int[])[at.n]], invite_protocol = ($20::text[])[at.n],
        body = ($21::text[])[at.n], private = ($22::text[])[at.n], large = ($24::boolean[])[at.n]
    from (
        select sid, branch, revision, n::int as n
        from unnest($1::uuid[], $25::uuid[], $26::bigint[]) with ordinality as asked (sid, branch, revision, n)
    ) at
    where s.sid = any($1) and s.sid = at.sid and s.branch = at.branch and s.revision = at.revision
    returning s.sid, s.branch, s.scid, s.template
),
put_timers as (
    insert into timers (sid, due_at)
    select t.sid, t.due_at
    from unnest($27::uuid[], $28::timestamptz[]) as t (sid, due_at)
    join won on won.sid = t.sid
    where t.due_at is not null
    on conflict (sid) do update set due_at = excluded.due_at, failures = 0
),
cleared_timers as (
    delete from timers
    where sid = any(array(
        select won.sid
        from unnest($27::uuid[], $28::timestamptz[]) as t (sid, due_at)
        join won on won.sid = t.sid
        where t.due_at is null))
),
removed_members as (
    delete from members m
    using unnest($29::uuid[], $30::int[]) as r (sid, index), won
    where won.sid = r.sid and m.sid = r.sid and m.index = r.index
),
put_members as (
    insert into members (
        sid, index, state, turn, xuid, scid, connection, template_key, device_id, owner, document, since, due_at, joined_at,
        grace_until)
    select p.sid, p.index, p.state, p.turn, p.xuid, won.scid, p.connection, lower(won.template collate "C"), p.device_id, p.owner,
        p.document, p.since, p.due_at, p.joined_at, p.grace_until
    from unnest(
        $31::uuid[], $32::int[], $33::smallint[], $34::boolean[], $35::bigint[], $36::uuid[], $37::text[], $38::boolean[], $39::text[],
        $40::timestamptz[], $41::timestamptz[], $42::timestamptz[], $43::timestamptz[]
    ) as p (sid, index, state, turn, xuid, connection, device_id, owner, document, since, due_at, joined_at, grace_until)
    join won on won.sid = p.sid
    on conflict (sid, index) do update
    set state = excluded.state, turn = excluded.turn, xuid = excluded.xuid, connection = excluded.connection,
        template_key = excluded.template_key, device_id = excluded.device_id, owner = excluded.owner, document = excluded.document,
        since = excluded.since, due_at = excluded.due_at, joined_at = excluded.joined_at,
        grace_until = excluded.grace_until
),
put_former_members as (
    insert into former_members (sid, branch, xuid)
    select f.sid, won.branch, f.xuid
    from unnest($56::uuid[], $57::bigint[]) as f (sid, xuid)
    join won on won.sid = f.sid
    on conflict do nothing
),
removed_activities as (
    delete from handles h
    using unnest($58::uuid[], $59::bigint[]) as r (sid, owner), won
    where won.sid = r.sid and h.owner = r.owner and h.scid = won.scid and h.type = 0 and h.sid = r.sid
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
