-- Handles and the sessions they lead to, and of the session that a transfer handle comes from whether the caller is an accepted member
-- of it (H-43) and whether something is due in it. An expired handle is unknown, but an activity whose owner is active does not
-- expire, unless its session began after that (H-21).
select ask.n, h.id, h.type, h.owner, h.title_id, h.invited, h.created_at, h.expires_at, h.document, h.origin_sid,
    h.origin_scid, h.sid as handle_sid, h.scid as handle_scid, h.scid_spelling as handle_scid_spelling, h.template as handle_template,
    h.name as handle_name,
    s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.change_number, s.next_timer_at, s.visibility,
    s.read_restriction, s.body, case when s.large then s.private end as private, m.state as caller_state, m.document as caller_document,
    exists (
        select
        from members o
        where o.xuid = ask.caller and o.scid = h.origin_scid and o.sid = h.origin_sid and o.state > 0
    ) as from_origin,
    exists (select from sessions o where o.sid = h.origin_sid and o.next_timer_at <= $3) as origin_due
from unnest($1::uuid[], $2::bigint[]) with ordinality as ask (id, caller, n)
cross join lateral (select * from handles where id = ask.id offset 0) h
left join lateral (select * from sessions where sid = h.sid offset 0) s on true
left join lateral (
    select state, document
    from members
    where (s.visibility = 2 or s.read_restriction <> 0 or s.large) and xuid = ask.caller and scid = s.scid and sid = s.sid
    limit 1
) m on true
where h.expires_at is null or h.expires_at > $3
    or (h.type = 0 and s.start_time < h.expires_at and exists (
        select from members o where o.xuid = h.owner and o.scid = h.scid and o.sid = h.sid and o.state = 3))
