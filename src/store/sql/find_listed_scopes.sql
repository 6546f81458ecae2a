-- Those service configs and templates that have listed sessions.
select p.scid, p.template_key
from unnest($1::uuid[], $2::text[]) as p (scid, template_key)
cross join lateral (
    select true from handles where type = 2 and scid = p.scid and lower(template collate "C") = p.template_key limit 1
) h
