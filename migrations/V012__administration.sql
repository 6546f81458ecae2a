-- What administrators did, to what, and why; and who banned whom.
--
-- An action's row is written before the action and gets its outcome afterwards: whatever was done has a row, and a row without an
-- outcome tells of a process that ended in between.

alter table audit
    add column target  text,
    add column reason  text,
    add column outcome text;

create index audit_target on audit (target, at desc);

comment on table audit is 'what administrators did';
comment on column audit.action is 'as in session.close, ban.put';
comment on column audit.target is 'what it was done to: the path of a session, a xuid, a template';
comment on column audit.outcome is 'done, or what it failed of; null when the process ended before that was known';

alter table bans
    add column created_at timestamptz,
    add column created_by text;

comment on table bans is 'users who are refused everywhere';
comment on column bans.expires_at is 'null means never';

-- One row. The revision rises whenever somebody is banned or not any more: instances watch it to know when to read the bans again.
create table ban_list (
    one      boolean primary key default true check (one),
    revision bigint  not null
);

insert into ban_list (revision) values (1);

-- All handles of an owner; activities, which come and go the most, have an index of their own.
create index handles_owner on handles (owner) where type <> 0 and owner is not null;
