-- Sessions by sid after a key: all of them, or those of one user. At most 5000 are looked at: `looked` says how many, and the key of
-- the last one where the next page goes on.
with looked as materialized (
    (select sid from sessions where $2::bigint is null and sid > $1 order by sid limit 5000)
    union all
    (
        select sid
        from members
        where xuid = $2::bigint and sid > $1 and ($3::uuid is null or scid = $3)
        order by sid
        limit 5000
    )
),
found as (
    select s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.change_number, s.start_time, s.next_timer_at, s.visibility,
        s.join_restriction, s.read_restriction, s.closed, s.large, s.member_count, s.accepted_count, s.max_members, s.keywords,
        octet_length(s.body) as body_bytes
    from looked l
    cross join lateral (select * from sessions where sid = l.sid offset 0) s
    where ($3::uuid is null or s.scid = $3)
        and ($4::text is null or lower(s.template collate "C") = $4)
        and ($5::text is null or starts_with(lower(s.name collate "C"), $5))
        and ($6::text is null or exists (
            select
            from keywords k
            where k.scid = s.scid and k.keyword = $6 and k.start_time = s.start_time and k.name = s.name and k.sid = s.sid
        ))
        and ($7::smallint is null or s.visibility = $7)
        and ($8::boolean is null or s.closed = $8)
        and ($9::boolean is null or s.large = $9)
        and ($10::boolean is null or (s.member_count = 0) = $10)
        and ($11::timestamptz is null or exists (
            select
            from changes c
            where c.sid = s.sid and c.branch = s.branch and c.change_number = s.change_number and c.at >= $11
        ))
    order by s.sid
    limit 201
),
last as (
    select sid from looked order by sid desc limit 1
)
select (select count(*) from looked) as looked, last.sid as last_sid, found.*
from (select 1) one
left join last on true
left join found on true
order by found.sid
