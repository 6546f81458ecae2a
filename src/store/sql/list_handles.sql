-- Handles by id after a key: all of them, or those that one user owns or is invited by. At most 5000 are looked at: `looked` says how
-- many, and the id of the last one where the next page goes on.
with looked as materialized (
    (select id from handles where $2::bigint is null and id > $1 order by id limit 5000)
    union all
    (
        select id
        from (
            -- In the order of handles_activity, as in find_activities.sql.
            (select id from handles where owner = $2::bigint and type = 0 order by scid)
            union
            select id from handles where owner = $2::bigint and type <> 0
            union
            select id from handles where invited = $2::bigint
        ) own
        where id > $1
        order by id
        limit 5000
    )
),
found as (
    select h.id, h.type, h.owner, h.title_id, h.invited, h.created_at, h.expires_at, h.document, h.origin_sid, h.origin_scid,
        h.sid as handle_sid, h.scid as handle_scid, h.scid_spelling as handle_scid_spelling, h.template as handle_template,
        h.name as handle_name, s.sid is not null as bound
    from looked l
    cross join lateral (select * from handles where id = l.id offset 0) h
    left join lateral (select sid from sessions where sid = h.sid offset 0) s on true
    where ($3::uuid is null or h.scid = $3) and ($4::smallint is null or h.type = $4)
    order by h.id
    limit 201
),
last as (
    select id from looked order by id desc limit 1
)
select (select count(*) from looked) as looked, last.id as last_id, found.*
from (select 1) one
left join last on true
left join found on true
order by found.id
