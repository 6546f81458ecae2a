-- Actions after a key, newest first: all of them, those done to a target, or those about a user. At most 5000 are looked at: `looked`
-- says how many, and the key of the last one where the next page goes on.
with of_user as materialized (
    select id, at, actor, action, target, reason, outcome, detail, xuids
    from audit
    where $3::text is null and xuids @> array[$7::text]
),
looked as materialized (
    (
        select id, at, actor, action, target, reason, outcome, detail, xuids
        from audit
        where $3::text is null and $7::text is null
            and at <= coalesce($1::timestamptz, 'infinity') and at >= coalesce($4::timestamptz, '-infinity')
            and ($1::timestamptz is null or at < $1 or id < $2::uuid)
        order by at desc, id desc
        limit 5000
    )
    union all
    (
        select id, at, actor, action, target, reason, outcome, detail, xuids
        from audit
        where lower(target collate "C") = $3::text
            and at <= coalesce($1::timestamptz, 'infinity') and at >= coalesce($4::timestamptz, '-infinity')
            and ($1::timestamptz is null or at < $1 or id < $2::uuid)
        order by at desc, id desc
        limit 5000
    )
    union all
    (
        select id, at, actor, action, target, reason, outcome, detail, xuids
        from of_user
        where at <= coalesce($1::timestamptz, 'infinity') and at >= coalesce($4::timestamptz, '-infinity')
            and ($1::timestamptz is null or at < $1 or id < $2::uuid)
        order by at desc, id desc
        limit 5000
    )
),
found as (
    select id, at, actor, action, target, reason, outcome, detail, xuids
    from looked
    where ($5::text is null or actor = $5) and ($6::text is null or action = $6) and ($7::text is null or xuids @> array[$7::text])
    order by at desc, id desc
    limit 201
),
last as (
    select at, id from looked order by at, id limit 1
)
select (select count(*) from looked) as looked, last.at as last_at, last.id as last_id, found.*
from (select 1) one
left join last on true
left join found on true
order by found.at desc, found.id desc
