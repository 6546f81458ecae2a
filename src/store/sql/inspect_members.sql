-- The members of a session; those of a large one with their documents. `alive` is null for a connection that is not known.
select m.index, m.xuid, m.state, m.connection, m.device_id, m.turn, m.owner, m.document, m.since, m.due_at, m.joined_at,
    m.grace_until, c.alive
from members m
left join lateral (
    select lost_at is null as alive from connections where id = m.connection and xuid = m.xuid limit 1
) c on true
where m.sid = $1
order by m.index
