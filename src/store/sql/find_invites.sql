-- The invites of a user that have not expired, newest first, but for those of senders whom the user blocks.
select h.id, h.type, h.owner, h.title_id, h.invited, h.created_at, h.expires_at, h.document, h.origin_sid, h.origin_scid,
    h.sid as handle_sid, h.scid as handle_scid, h.scid_spelling as handle_scid_spelling, h.template as handle_template,
    h.name as handle_name
from (select * from handles where invited = $1 offset 0) h
where h.type = 1 and h.expires_at > $2 and h.scid = any ($4::uuid[])
    and not exists (select from blocks b where b.xuid = $1 and b.blocked = h.owner)
order by h.created_at desc, h.id
limit $3
