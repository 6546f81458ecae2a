-- Handles of all types: a GUID that leads to a session in one join, whether or not that session exists.

create table handles (
    id            uuid        primary key,
    sid           uuid        not null,
    scid          uuid        not null,
    owner         bigint,
    title_id      bigint,
    invited       bigint,
    created_at    timestamptz not null,
    expires_at    timestamptz,
    type          smallint    not null,
    scid_spelling text,
    template      text        not null,
    name          text        not null collate "C",
    document      text
);

-- One activity per user and service config.
create unique index handles_activity on handles (owner, scid) where type = 0;
create index handles_sid on handles (sid);
create index handles_invited on handles (invited) where invited is not null;
create index handles_expiry on handles (expires_at) where expires_at is not null;

comment on column handles.type is '0 activity, 1 invite, 2 search, 3 transfer';
comment on column handles.expires_at is
    'for an activity the end of its unbound life: it counts only while the owner is no active member of the session';
