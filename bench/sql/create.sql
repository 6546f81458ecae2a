-- All rows of a session with four members and two keywords, in one statement. Its document is that of another session with another
-- value in it; the log has the whole of it, as ours does.
\set r random(1, 9000000000000000)
\set who random(0, 999)
with model as (
    select *, overlay(body placing '10000001' from position('"tick":' in body) + 7) as document
    from sessions
    where sid = md5((:n)::text)::uuid
),
session as (
    insert into sessions (
        sid, branch, revision, change_number, scid, start_time, next_timer_at, version, max_members, member_count, accepted_count,
        visibility, join_restriction, read_restriction, closed, scid_spelling, template, name, keywords, invite_protocol, body, private,
        large)
    select gen_random_uuid(), gen_random_uuid(), 1, 1, scid, now(), now() + interval '10 days', version, max_members, 4, 1, visibility,
        join_restriction, read_restriction, closed, scid_spelling, template, 'made-' || (:r)::text,
        array['league-made-' || (:who)::text, 'league-made-' || (:who + 1)::text], invite_protocol, document, private, large
    from model
    returning sid, branch, scid, start_time, next_timer_at, name, keywords
),
members as (
    insert into members (sid, index, xuid, scid, state, turn, template_key, owner)
    select sid, index, case index when 0 then 7100000 + :who else 7200000 + (:who * 7 + index * 37) % 300 end, scid,
        case index when 0 then 3 else 0 end, false, 'lobby', false
    from session, generate_series(0, 3) index
),
keywords as (
    insert into keywords (sid, keyword, scid, start_time, name, template_key)
    select sid, keyword, scid, start_time, name, 'lobby'
    from session, unnest(keywords) keyword
),
timer as (
    insert into timers (sid, due_at) select sid, next_timer_at from session
)
insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor, delta)
select s.sid, s.branch, 1, s.start_time, gen_random_uuid(), 248, 0, false, 'xuid:' || 7100000 + :who, m.document
from session s, model m;
