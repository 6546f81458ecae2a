-- Invites of users that were made after an instant and can be followed still, but for those of senders whom they block.
select h.id, h.type, h.owner, h.title_id, h.invited, h.created_at, h.expires_at, h.document, h.origin_sid, h.origin_scid,
    h.sid as handle_sid, h.scid as handle_scid, h.scid_spelling as handle_scid_spelling, h.template as handle_template,
    h.name as handle_name
from unnest($1::bigint[]) as listening (xuid)
cross join lateral (
    select *
    from handles
    where invited = listening.xuid and type = 1 and created_at > $2 and expires_at > $3
        and not exists (select from blocks b where b.xuid = listening.xuid and b.blocked = owner)
    offset 0
) h
order by h.created_at, h.id
