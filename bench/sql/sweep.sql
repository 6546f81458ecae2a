-- A hundred sessions that are due, in one commit: their documents, the members who go, their timers, and the log, which says as much
-- as ours does when a reservation ends.
with due as (
    select sid from timers where due_at <= now() order by due_at limit 100 for update skip locked
),
session as (
    update sessions s
    set body = overlay(body placing '10000001' from position('"tick":' in body) + 7), change_number = change_number + 1,
        revision = revision + 1
    from due
    where s.sid = due.sid
    returning s.sid, s.branch, s.change_number
),
gone as (
    delete from members m using due where m.sid = due.sid and m.index = 1000
),
fired as (
    delete from timers t using due where t.sid = due.sid
)
insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor, delta)
select sid, branch, change_number, now(), gen_random_uuid(), 16, 1, false, '', repeat('d', 200) from session;
