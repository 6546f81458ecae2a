-- What sessions are found by, as the saves before it in the same transaction left them; only those that won are named here. Handles
-- come and go by session, values and terms by their keys.
with values_of_unlisted as (
    delete from search_values where sid = any($1::uuid[])
),
terms_of_unlisted as (
    delete from search_terms where sid = any($1::uuid[])
),
removed_handles as (
    delete from handles
    where id = any(array(
        -- Not from the index of what was posted, which holds handles of this type only.
        select id from (select id, type from handles where sid = any($1::uuid[]) offset 0) of_session where type = 2))
),
put_handles as (
    insert into handles (id, type, sid, scid, scid_spelling, template, name, owner, title_id, created_at, document)
    select id, 2, sid, scid, scid_spelling, template, name, owner, title_id, created_at, document
    from unnest(
        $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::timestamptz[],
        $11::text[]
    ) as p (id, sid, scid, scid_spelling, template, name, owner, title_id, created_at, document)
    order by sid
    on conflict (sid) where type = 2 do update
    set id = excluded.id, scid = excluded.scid, scid_spelling = excluded.scid_spelling, template = excluded.template,
        name = excluded.name, owner = excluded.owner, title_id = excluded.title_id, created_at = excluded.created_at,
        document = excluded.document
),
removed_values as (
    delete from search_values v
    using unnest($12::uuid[], $13::text[]) as r (sid, attribute)
    where v.sid = any($12) and v.sid = r.sid and v.attribute = r.attribute
),
put_values as (
    insert into search_values (sid, attribute, scid, template_key, posted_at, number, text, text_key)
    select sid, attribute, scid, template_key, posted_at, number, text, text_key
    from unnest(
        $14::uuid[], $15::text[], $16::uuid[], $17::text[], $18::timestamptz[], $19::double precision[], $20::text[], $21::text[]
    ) as p (sid, attribute, scid, template_key, posted_at, number, text, text_key)
    on conflict (sid, attribute) do update
    set scid = excluded.scid, template_key = excluded.template_key, posted_at = excluded.posted_at, number = excluded.number,
        text = excluded.text, text_key = excluded.text_key
),
removed_terms as (
    delete from search_terms t
    using unnest($22::uuid[], $23::text[]) as r (sid, term)
    where t.sid = any($22) and t.sid = r.sid and t.term = r.term
)
insert into search_terms (sid, term, scid, template_key, posted_at)
select sid, term, scid, template_key, posted_at
from unnest($24::uuid[], $25::text[], $26::uuid[], $27::text[], $28::timestamptz[]) as p (sid, term, scid, template_key, posted_at)
on conflict (sid, term) do update
set scid = excluded.scid, template_key = excluded.template_key, posted_at = excluded.posted_at
