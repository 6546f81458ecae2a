-- What the baselines of writes write to: tables with the same rows and the same indexes, so that their writes leave the service's own
-- records as they are.
drop schema if exists baseline cascade;
create schema baseline;
create table baseline.sessions (like public.sessions including all) with (fillfactor = 70);
create table baseline.members (like public.members including all);
create table baseline.keywords (like public.keywords including all);
create table baseline.timers (like public.timers including all);
create table baseline.changes (like public.changes including all);
insert into baseline.sessions select * from public.sessions;
insert into baseline.members select * from public.members;
insert into baseline.keywords select * from public.keywords;
vacuum (analyze) baseline.sessions, baseline.members, baseline.keywords;
