-- A hundred sessions that are due, in one commit: their documents, their timers, and the log.
with due as (
    select sid from baseline.timers where due_at <= now() order by due_at limit 100 for update skip locked
),
session as (
    update baseline.sessions s
    set body = overlay(body placing '10000001' from position('"tick":' in body) + 7), change_number = change_number + 1,
        revision = revision + 1
    from due
    where s.sid = due.sid
    returning s.sid, s.branch, s.change_number
),
fired as (
    delete from baseline.timers t using due where t.sid = due.sid
)
insert into baseline.changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor)
select sid, branch, change_number, now(), gen_random_uuid(), 1, 1, false, '' from session;
