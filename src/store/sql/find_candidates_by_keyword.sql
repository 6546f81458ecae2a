-- Sessions that carry a keyword, newest first (Q-31, Q-35), after a key: the index keywords_order gives them in order. Columns are those
-- of find_candidates_by_xuid.sql, where their numbers are explained.
select s.sid, s.scid_spelling, s.template, s.name, s.start_time, s.next_timer_at, s.version, s.accepted_count, s.keywords,
    s.visibility | (s.join_restriction << 2) | (s.read_restriction << 4) | ((s.member_count >= s.max_members)::int << 6)
        | case
            when s.visibility < 2 and s.read_restriction = 0 then 0
            when exists (
                select
                from unnest($7::bigint[]) as caller (xuid)
                cross join lateral (select from members where xuid = caller.xuid and scid = $1 and sid = s.sid limit 1) own
            ) then 2048
            when s.visibility = 2 then 0
            else case when s.read_restriction = 1 and exists (
                select
                from (select xuid from members where sid = s.sid and state > 0 offset 0) e
                cross join lateral (select from follows where xuid = e.xuid and followed = any($7) limit 1) f
            ) then 4096 else 0 end | case when exists (
                select from members e where e.sid = s.sid and e.state = 3 and e.device_id = any($8)
            ) then 8192 else 0 end
        end as codes
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
cross join lateral (select * from sessions where sid = k.sid offset 0) s
order by k.start_time desc, k.name, k.sid
