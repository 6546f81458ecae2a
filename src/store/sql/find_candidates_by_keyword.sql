-- Sessions that carry a keyword, newest first (Q-31, Q-35), after a key: the index keywords_order gives them in order.
select s.sid, s.scid, s.scid_spelling, s.template, s.name, s.start_time, s.visibility, s.join_restriction, s.read_restriction,
    s.closed, s.version, s.max_members, s.member_count, s.accepted_count, s.keywords, s.next_timer_at,
    null::smallint as member_state, false as member_turn, c.state as caller_state,
    case when s.read_restriction = 1 and c.state is null then exists (
        select
        from members e
        join follows f on f.xuid = e.xuid and f.followed = any($7)
        where e.sid = s.sid and e.state > 0
    ) else false end as followed,
    case when s.read_restriction > 0 and c.state is null then exists (
        select from members e where e.sid = s.sid and e.state = 3 and e.device_id = any($8)
    ) else false end as local
from (
    select sid, start_time, name
    from keywords
    where scid = $1 and keyword = $2
        and ($3::text is null or template_key = $3)
        and start_time <= coalesce($4::timestamptz, 'infinity')
        and ($4::timestamptz is null or start_time < $4 or (name, sid) > ($5::text, $6::uuid))
    order by start_time desc, name, sid
    limit $9
) k
join sessions s on s.sid = k.sid
left join lateral (
    select own.state
    from unnest($7::bigint[]) as caller (xuid)
    cross join lateral (select state from members where xuid = caller.xuid and scid = $1 and sid = s.sid limit 1) own
    limit 1
) c on true
order by k.start_time desc, k.name, k.sid
