-- The rows of a session with four members and two keywords, in one statement.
\set n random(1, 9000000000000000)
with model as (
    select * from baseline.sessions where sid = :model
),
session as (
    insert into baseline.sessions (
        sid, branch, revision, change_number, scid, start_time, next_timer_at, version, max_members, member_count, accepted_count,
        visibility, join_restriction, read_restriction, closed, scid_spelling, template, name, keywords, invite_protocol, body, private,
        large)
    select gen_random_uuid(), gen_random_uuid(), 1, 1, scid, now(), next_timer_at, version, max_members, member_count,
        accepted_count, visibility, join_restriction, read_restriction, closed, scid_spelling, template, 'c-' || :n, keywords,
        invite_protocol, body, private, large
    from model
    returning sid, branch, scid, start_time, name, keywords
),
members as (
    insert into baseline.members (sid, index, xuid, scid, state, turn, template_key, owner)
    select sid, index, :n + index, scid, 3, false, 'lobby', false
    from session, generate_series(0, 3) index
),
keywords as (
    insert into baseline.keywords (sid, keyword, scid, start_time, name, template_key)
    select sid, keyword, scid, start_time, name, 'lobby'
    from session, unnest(keywords) keyword
)
insert into baseline.changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor)
select sid, branch, 1, start_time, branch, 1, 0, false, 'xuid:1' from session;
