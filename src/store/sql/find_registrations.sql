-- Members that are active or ready with one of these connections, each that of its user, and the state of their sessions. Connection by
-- connection, whatever the planner believes about the tables.
select named.id as connection, named.xuid, m.sid, m.branch, m.change_number
from unnest($1::uuid[], $2::bigint[]) as named (id, xuid)
cross join lateral (
    select m.sid, s.branch, s.change_number
    from members m
    join sessions s on s.sid = m.sid
    where m.connection = named.id and m.xuid = named.xuid and m.state >= 2
    offset 0
) m
