-- The audit is searched by what was done to what, in any case, and by the users an action was about.
--
-- Targets that are older than this are spelled as they were typed; new ones have one form. A path of a session does not name the member
-- that was taken out, and edges between users name two.

drop index audit_target;
create index audit_target on audit (lower(target collate "C"), at desc);

alter table audit add column xuids text[];

update audit
set xuids = string_to_array(target, '/')
where action in ('ban.put', 'ban.delete', 'follow.put', 'follow.delete', 'block.put', 'block.delete');

create index audit_xuids on audit using gin (xuids);

comment on column audit.xuids is 'the users it was about, if it was about users';

create or replace view admin.audit as
select at, actor, action, target, reason, outcome, detail, id, xuids
from audit;

comment on column admin.audit.target is 'what it was done to; in lower case, lower(target collate "C"), it has an index';
comment on column admin.audit.outcome is 'done, or what it failed of; null when the process ended before that was known, or could not write it';
comment on column admin.audit.xuids is 'the users it was about, if it was about users; has an index for @>';
