select sid, index, xuid, state, connection, device_id, turn, owner, document, since, due_at, joined_at, grace_until,
    scid, template_key
from members
where sid > $1 and sid <= $2
order by sid, index
