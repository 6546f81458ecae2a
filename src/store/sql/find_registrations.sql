-- Members that are active or ready with one of these connections, and the state of their sessions. Connection by connection, whatever the
-- planner believes about the tables.
select named.id as connection, m.xuid, m.sid, m.branch, m.change_number
from unnest($1::uuid[]) as named (id)
cross join lateral (
    select m.xuid, m.sid, s.branch, s.change_number
    from members m
    join sessions s on s.sid = m.sid
    where m.connection = named.id and m.state >= 2
    offset 0
) m
