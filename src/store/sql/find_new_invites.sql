-- Invites of users that were made after an instant and can be followed still, but for those of senders whom they block. Few are new,
-- however many there are.
select h.id, h.type, h.owner, h.title_id, h.invited, h.created_at, h.expires_at, h.document, h.origin_sid, h.origin_scid,
    h.sid as handle_sid, h.scid as handle_scid, h.scid_spelling as handle_scid_spelling, h.template as handle_template,
    h.name as handle_name
from handles h
where h.type = 1 and h.created_at > $2 and h.invited = any ($1::bigint[]) and h.expires_at > $3
    and not exists (select from blocks b where b.xuid = h.invited and b.blocked = h.owner offset 0)
order by h.created_at, h.id
limit 5000
