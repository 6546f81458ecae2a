-- What the baselines work on: copies with the same rows and the same indexes, so that their writes leave the service's own records as
-- they are. The keys of the copies are computed from the number in a session's name, so that a script can ask for any of them without
-- carrying a list: a list of ten thousand keys takes pgbench half of its speed.
drop schema if exists baseline cascade;
create schema baseline;
create table baseline.sessions (like public.sessions including all) with (fillfactor = 70);
create table baseline.members (like public.members including all) with (fillfactor = 80);
create table baseline.keywords (like public.keywords including all);
create table baseline.handles (like public.handles including all);
create table baseline.timers (like public.timers including all) with (fillfactor = 80);
create table baseline.changes (like public.changes including all);
create temporary table numbered as
select sid, substr(name, 7)::bigint as n from public.sessions where name ~ '^lobby-[0-9]+$';
create unique index on numbered (sid);
analyze numbered;
insert into baseline.sessions (
    sid, branch, revision, change_number, scid, start_time, next_timer_at, version, max_members, member_count, accepted_count,
    visibility, join_restriction, read_restriction, closed, scid_spelling, template, name, keywords, invite_protocol, body, private,
    large)
select md5(numbered.n::text)::uuid, branch, revision, change_number, scid, start_time, next_timer_at, version, max_members,
    member_count, accepted_count, visibility, join_restriction, read_restriction, closed, scid_spelling, template, name, keywords,
    invite_protocol, body, private, large
from public.sessions join numbered using (sid);
insert into baseline.members (
    sid, index, state, turn, xuid, scid, connection, template_key, device_id, owner, document, since, due_at, joined_at, grace_until)
select md5(numbered.n::text)::uuid, index, state, turn, xuid, scid, connection, template_key, device_id, owner, document, since,
    due_at, joined_at, grace_until
from public.members join numbered using (sid);
insert into baseline.keywords (scid, keyword, start_time, name, sid, template_key)
select scid, keyword, start_time, name, md5(numbered.n::text)::uuid, template_key
from public.keywords join numbered using (sid);
-- An activity has the letter h before its number; a listing, which no baseline asks for by its id, has s.
insert into baseline.handles (
    id, sid, scid, owner, title_id, invited, created_at, expires_at, type, scid_spelling, template, name, document, origin_sid,
    origin_scid)
select md5(case type when 0 then 'h' else 's' end || numbered.n)::uuid, md5(numbered.n::text)::uuid, scid, owner, title_id, invited,
    created_at, expires_at, type, scid_spelling, template, name, document, origin_sid, origin_scid
from public.handles join numbered using (sid)
where type in (0, 2);
drop table numbered;
vacuum (analyze) baseline.sessions, baseline.members, baseline.keywords, baseline.handles, baseline.timers, baseline.changes;
checkpoint;
