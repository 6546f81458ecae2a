-- Sessions and what is projected from them, so that every filter of a query is answered from an index.
--
-- The state of a session is `body` (the rendered 107 document) and `private` (what only the service knows). Everything else here
-- repeats parts of it in columns, and is written in the same statement. Both are text: jsonb would lose the spelling of numbers and
-- the order of keys. There are no foreign keys, triggers or defaults that read the clock: `sid` is computed, time is a parameter.

-- A xuid is an unsigned number of 64 bits, stored as the signed number of the same bits.
create function xuid_text(xuid bigint) returns text
    language sql immutable strict parallel safe
    return case when xuid >= 0 then xuid::text else (xuid::numeric + 18446744073709551616)::text end;

comment on function xuid_text(bigint) is 'the decimal form of a stored xuid';

create table sessions (
    sid              uuid        primary key,
    branch           uuid        not null,
    revision         bigint      not null,
    change_number    bigint      not null,
    scid             uuid        not null,
    start_time       timestamptz not null,
    next_timer_at    timestamptz,
    version          int         not null,
    max_members      int         not null,
    member_count     int         not null,
    accepted_count   int         not null,
    visibility       smallint    not null,
    join_restriction smallint    not null,
    read_restriction smallint    not null,
    closed           boolean     not null,
    scid_spelling    text,
    template         text        not null,
    name             text        not null collate "C",
    keywords         text[]      not null,
    invite_protocol  text,
    body             text        not null,
    private          text        not null
) with (fillfactor = 70);

-- A session is one page: documents stay in the row as long as they fit. That must be said of every column of varying length, or the
-- short ones are moved out first to make room.
alter table sessions
    alter column body set storage main,
    alter column private set storage main,
    alter column keywords set storage main,
    alter column name set storage main,
    alter column template set storage main,
    alter column scid_spelling set storage main,
    alter column invite_protocol set storage main;

-- lz4 takes a fraction of the time of the older method, but not every build of PostgreSQL has it.
do $$
begin
    alter table sessions alter column body set compression lz4, alter column private set compression lz4;
exception when feature_not_supported then
    null;
end
$$;

comment on table sessions is 'one row per session; the document is body + private, the other columns repeat it for queries';
comment on column sessions.sid is 'uuid v5 of scid and lower(template)/lower(name); equals correlationId';
comment on column sessions.revision is 'the token of compare-and-swap, together with branch; rises with every save';
comment on column sessions.change_number is 'rises only when the document changes';
comment on column sessions.scid_spelling is 'the scid as the creator wrote it, where that was not in lower case';
comment on column sessions.visibility is '0 open, 1 visible, 2 private';
comment on column sessions.join_restriction is '0 none, 1 followed, 2 local';
comment on column sessions.read_restriction is '0 none, 1 followed, 2 local';
comment on column sessions.next_timer_at is 'the earliest pending timer; unindexed on purpose, see timers';

-- The due instant lives apart from the session: an index on it there would end heap-only updates of every session.
create table timers (
    sid      uuid        primary key,
    due_at   timestamptz not null,
    failures smallint    not null default 0
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

create index timers_due on timers (due_at);

comment on column timers.failures is 'how often settling failed in a row; while it is above 0, due_at is later than the session says';

create table members (
    sid          uuid     not null,
    index        int      not null,
    state        smallint not null,
    turn         boolean  not null,
    xuid         bigint   not null,
    scid         uuid     not null,
    connection   uuid,
    template_key text     not null,
    device_id    text,
    primary key (sid, index)
) with (fillfactor = 80);

create index members_xuid on members (xuid, scid, sid);
create index members_connection on members (connection) where connection is not null;

comment on column members.state is '0 reserved, 1 inactive, 2 ready, 3 active';
comment on column members.device_id is 'the device of the member''s last write';

-- Who was an accepted member of a branch earlier, kept where `locked` asks for it.
create table former_members (
    sid    uuid   not null,
    branch uuid   not null,
    xuid   bigint not null,
    primary key (sid, branch, xuid)
);

-- Candidates of a keyword query in their order. The index covers the query: the table itself is not read.
create table keywords (
    scid         uuid        not null,
    keyword      text        not null collate "C",
    start_time   timestamptz not null,
    name         text        not null collate "C",
    sid          uuid        not null,
    template_key text        not null
);

create unique index keywords_order on keywords (scid, keyword, start_time desc, name, sid) include (template_key);

comment on column keywords.keyword is 'in lower case; the session keeps the spelling';
