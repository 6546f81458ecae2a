-- Activities of some owners in the order of the owners, newest first within one, or newest first of all ($8), with what relatedInfo
-- tells of their sessions (H-57, H-58, H-59, H-70); only these ($9), if any are named. The body comes only when it is asked for ($6), and
-- with that of a large session the xuids of its owners; so does what only the service knows ($11), and what read restrictions ask ($10).
-- The numbers in `codes` are those of find_candidates_by_xuid.sql.
select h.id, h.type, h.owner, h.title_id, h.invited, h.created_at, h.expires_at, h.document, h.origin_sid, h.origin_scid,
    h.sid as handle_sid, h.scid as handle_scid, h.scid_spelling as handle_scid_spelling, h.template as handle_template,
    h.name as handle_name,
    s.sid, s.scid, s.scid_spelling, s.template, s.name, s.next_timer_at, s.closed, s.max_members, s.member_count, s.accepted_count,
    s.visibility | (s.join_restriction << 2) | (s.read_restriction << 4) | (coalesce(o.state + 1, 0) << 7)
        | case
            when s.visibility < 2 and not ($10 and s.read_restriction > 0) then 0
            when exists (
                select
                from unnest($4::bigint[]) as caller (xuid)
                cross join lateral (select from members where xuid = caller.xuid and scid = h.scid and sid = h.sid limit 1) own
            ) then 2048
            when s.visibility = 2 then 0
            else case when s.read_restriction = 1 and exists (
                select
                from (select xuid from members where sid = s.sid and state > 0 offset 0) e
                cross join lateral (select from follows where xuid = e.xuid and followed = any($4) limit 1) f
            ) then 4096 else 0 end | case when exists (
                select from members e where e.sid = s.sid and e.state = 3 and e.device_id = any($5)
            ) then 8192 else 0 end
        end as codes,
    s.invite_protocol, case when $6 then s.body end as body, case when $11 then s.private end as private,
    owners.indices as owner_indices, owners.xuids as owner_xuids
from unnest($1::bigint[]) with ordinality as ask (owner, n)
cross join lateral (
    -- In the order of handles_activity: where the table was empty when this was planned, handles_newest would do as well otherwise.
    select *
    from handles
    where owner = ask.owner and type = 0 and ($2::uuid is null or scid = $2) and ($9::uuid[] is null or id = any($9))
    order by scid
    offset 0
) h
left join lateral (select * from sessions where sid = h.sid offset 0) s on true
left join lateral (
    select state from members where xuid = h.owner and scid = h.scid and sid = h.sid limit 1
) o on true
left join lateral (
    select array_agg(m.index) as indices, array_agg(m.xuid) as xuids
    from members m
    where $6 and s.large and m.sid = s.sid and m.owner
) owners on true
where h.expires_at is null or h.expires_at > $3 or (o.state = 3 and s.start_time < h.expires_at)
order by case when not $8 then ask.n end, h.created_at desc, h.id
limit $7
