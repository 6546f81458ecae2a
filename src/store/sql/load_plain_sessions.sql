-- What load_sessions.sql does, for sessions that nobody asks anything of: those that a sweep evaluates. Nothing is looked up beside them.
select ask.n, s.sid, s.scid, s.scid_spelling, s.template, s.name, s.branch, s.revision, s.change_number, s.start_time,
    s.visibility, s.join_restriction, s.read_restriction, s.closed, s.version, s.max_members, s.member_count, s.accepted_count,
    s.keywords, s.invite_protocol, s.next_timer_at, s.body, s.private, s.large, null::bigint[] as former
from unnest($1::uuid[]) with ordinality as ask (sid, n)
cross join lateral (select * from sessions where sid = ask.sid offset 0) s
