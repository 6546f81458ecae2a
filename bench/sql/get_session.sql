-- The row of a session, as a service reads it to answer with its document.
select sid, scid, template, name, branch, change_number, next_timer_at, visibility, read_restriction, body
from sessions
where sid = md5((:n)::text)::uuid;
