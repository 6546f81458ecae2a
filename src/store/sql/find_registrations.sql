-- Members that are active or ready with one of these connections, each that of its user, and the state of their sessions.
select named.id as connection, named.xuid, m.sid, s.branch, s.change_number
from unnest($1::uuid[], $2::bigint[]) as named (id, xuid)
cross join lateral (
    select sid from members where connection = named.id and xuid = named.xuid and state >= 2 offset 0
) m
cross join lateral (select branch, change_number from sessions where sid = m.sid offset 0) s
