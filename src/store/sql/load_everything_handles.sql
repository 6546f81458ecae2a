select id, type, owner, title_id, invited, created_at, expires_at, document, origin_sid, origin_scid, sid, sid as handle_sid, scid as handle_scid,
    scid_spelling as handle_scid_spelling, template as handle_template, name as handle_name
from handles
where sid > $1 and sid <= $2
order by sid, created_at, id
