-- Large sessions: their members are hidden from each other, and a decision loads only those that it concerns. The session's document
-- ends before its members; each member's own document, its timer and its place in the line of heirs stand in its row.
--
-- All of that is null for members of other sessions, so that their rows stay as small, and their updates as cheap, as they were: the
-- indexes hold members of large sessions and owners only, and no column of theirs changes with an ordinary update.

alter table sessions add column large boolean not null default false;

comment on column sessions.large is 'capability large: the documents of its members stand in their rows';

alter table members
    add column owner     boolean not null default false,
    add column document  text,
    add column since     timestamptz,
    add column due_at    timestamptz,
    add column joined_at timestamptz;

do $$
begin
    alter table members alter column document set compression lz4;
exception when feature_not_supported then
    null;
end
$$;

create index members_owner on members (sid) where owner;
create index members_due on members (sid, due_at) where due_at is not null;
create index members_joined on members (sid, joined_at, index) where joined_at is not null;

comment on column members.owner is 'its index is in properties.system.owners';
comment on column members.document is 'large sessions only: the entry without next, which depends on the reader';
comment on column members.since is 'large sessions only: since when the member is in its state';
comment on column members.due_at is 'large sessions only: when the state ends by itself, if ever';
comment on column members.joined_at is 'large sessions only: joinTime; the first of them inherits ownership';
