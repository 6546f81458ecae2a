-- Sessions that carry a keyword, service config by service config, newest first, after a key. At most 2000 are looked at: `looked`
-- says how many, and the key of the last one where the next page goes on.
with looked as materialized (
    select k.scid, k.start_time, k.name, k.sid
    from service_configs c
    cross join lateral (
        select scid, start_time, name, sid
        from keywords
        where scid = c.scid and keyword = $1 and ($3::text is null or template_key = $3)
            and start_time <= case when c.scid = $10::uuid then $11::timestamptz else 'infinity' end
            and (c.scid is distinct from $10 or start_time < $11 or (name, sid) > ($12::text, $13::uuid))
        order by start_time desc, name, sid
        limit 2000
    ) k
    where ($2::uuid is null or c.scid = $2) and ($10 is null or c.scid >= $10)
    order by k.scid, k.start_time desc, k.name, k.sid
    limit 2000
),
found as (
    select s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.change_number, s.start_time, s.next_timer_at, s.visibility,
        s.join_restriction, s.read_restriction, s.closed, s.large, s.member_count, s.accepted_count, s.max_members, s.keywords,
        octet_length(s.body) as body_bytes
    from looked l
    cross join lateral (select * from sessions where sid = l.sid offset 0) s
    where ($4::text is null or starts_with(lower(s.name collate "C"), $4))
        and ($5::smallint is null or s.visibility = $5)
        and ($6::boolean is null or s.closed = $6)
        and ($7::boolean is null or s.large = $7)
        and ($8::boolean is null or (s.member_count = 0) = $8)
        and ($9::timestamptz is null or exists (
            select
            from changes c
            where c.sid = s.sid and c.branch = s.branch and c.change_number = s.change_number and c.at >= $9
        ))
    order by l.scid, l.start_time desc, l.name, l.sid
    limit 201
),
last as (
    select scid, start_time, name, sid from looked order by scid desc, start_time, name desc, sid desc limit 1
)
select (select count(*) from looked) as looked, last.scid as last_scid, last.start_time as last_start_time, last.name as last_name,
    last.sid as last_sid, found.*
from (select 1) one
left join last on true
left join found on true
order by found.scid, found.start_time desc, found.name, found.sid
