select sid, scid, scid_spelling, template, name, branch, change_number, start_time, visibility, join_restriction, read_restriction,
    closed, version, max_members, member_count, accepted_count, keywords, invite_protocol, next_timer_at, body, private,
    large
from sessions
where sid > $1
order by sid
limit $2
