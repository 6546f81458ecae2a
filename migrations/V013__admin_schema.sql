-- What people read of this database: schema `admin`, views whose columns stay while the tables behind them change.
--
-- Columns are only ever added, at the end (docs/sql.md has the promise). The views are plain, without order and without grouping where
-- that can be, so that PostgreSQL takes them apart: a filter reaches the index of its table, and what is not selected costs nothing.
-- Small codes are words here. A xuid is text, since the stored number is negative from 2^63 on; beside it stands the stored number as
-- `…_key`, which is what the indexes have: `where xuid_key = admin.xuid('2533274800000001')`.

create schema admin;

comment on schema admin is 'what people may read of this database; columns are only ever added';

-- Sessions by reference, and by service config and template. Nothing in it changes in a session's life, so updates stay heap-only; a
-- creation pays some ten microseconds.
create index sessions_reference on sessions (scid, template, name);

-- The log by time. It is appended in that order, so that a summary of every few pages is enough, and costs writers next to nothing.
create index changes_at on changes using brin (at) with (pages_per_range = 16, autosummarize = on);

create function admin.now() returns timestamptz
    language sql stable parallel safe
    return coalesce(nullif(current_setting('openmpsd.now', true), '')::timestamptz, pg_catalog.now());

comment on function admin.now() is 'the instant that ages are told for: the setting openmpsd.now, or the present';

create function admin.xuid(xuid text) returns bigint
    language sql immutable parallel safe
    return case
        when xuid !~ '^[0-9]+$' then ('no xuid: ' || xuid)::bigint
        when xuid::numeric between 9223372036854775808 and 18446744073709551615 then (xuid::numeric - 18446744073709551616)::bigint
        else xuid::bigint
    end;

comment on function admin.xuid(text) is 'the stored form of a xuid in decimal, as the columns …_key have it';

-- Whether jsonb takes a document as it is, said on the safe side and in a time that a filter over all sessions can afford.
create function admin.is_plain(document text) returns boolean
    language sql immutable parallel safe
    return (document like '{%}' or document like '[%]')
        and strpos(document, '\u0000') = 0
        and document !~ '\\u[dD][89a-fA-F]|[\[:,[:space:]]-?[0-9]+(?:\.[0-9]+)?[eE][-+]?0*[1-9][0-9]{2}|[0-9]{250}';

comment on function admin.is_plain(text) is 'false where jsonb may refuse something of a stored document';

-- One string of a document. Escaped backslashes and pairs of surrogates are put aside as control characters, which no JSON text has.
create function admin.readable_string(string text) returns text
    language sql immutable parallel safe
    return replace(replace(
        regexp_replace(
            replace(
                regexp_replace(
                    replace(string, '\\', chr(1)),
                    '\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})', chr(2) || '\1' || chr(2) || '\2', 'g'),
                '\u0000', '<U+0000>'),
            '\\u([dD][89a-fA-F][0-9a-fA-F]{2})', '<U+\1>', 'g'),
        chr(2), '\u'), chr(1), '\\');

comment on function admin.readable_string(text) is 'a JSON string with what jsonb refuses written as <U+0000>';

-- No exception is caught anywhere: that would need a subtransaction, which a parallel query may not begin.
create function admin.readable(document text) returns text
    language sql immutable parallel safe
    return (
        select string_agg(
            case
                when token[1] like '"%' then admin.readable_string(token[1])
                when token[1] ~ '^-?[0-9]' and (length(token[1]) >= 250 or token[1] ~ '[eE][-+]?0*[1-9][0-9]{2}')
                    then '"' || token[1] || '"'
                else token[1]
            end,
            '' order by place)
        from regexp_matches(document, '"(?:[^"\\]|\\.)*"|-?[0-9][-+.0-9eE]*|[^"0-9-]+|.', 'g') with ordinality as tokens (token, place)
    );

comment on function admin.readable(text) is
    'a JSON text with \u0000 and unpaired surrogates as <U+0000>, and numbers of 250 digits or of exponents beyond 99 as text';

create function admin.document(document text) returns jsonb
    language sql immutable parallel safe
    return case
        when admin.is_plain(document) then document::jsonb
        when document like '{%}' or document like '[%]' then admin.readable(document)::jsonb
        when document is not null then jsonb_build_object('unreadable', document)
    end;

comment on function admin.document(text) is
    'a stored document as jsonb; where jsonb refuses something, something readable stands instead, and admin.is_exact says so';

create function admin.is_exact(document text) returns boolean
    language sql immutable parallel safe
    return case
        when admin.is_plain(document) then true
        when document like '{%}' or document like '[%]' then admin.readable(document) = document
        when document is not null then false
    end;

comment on function admin.is_exact(text) is 'false where admin.document replaced something, or was given no JSON';

create function admin.change_types(kinds int) returns text[]
    language sql immutable parallel safe
    return array_remove(array[
        case when kinds & 1 <> 0 then 'host' end,
        case when kinds & 2 <> 0 then 'initialization' end,
        case when kinds & 4 <> 0 then 'matchmakingStatus' end,
        case when kinds & 8 <> 0 then 'membersList' end,
        case when kinds & 16 <> 0 then 'membersStatus' end,
        case when kinds & 32 <> 0 then 'joinability' end,
        case when kinds & 64 <> 0 then 'customProperty' end,
        case when kinds & 128 <> 0 then 'membersCustomProperty' end,
        case when kinds & 256 <> 0 then 'roles' end,
        case when kinds & 512 <> 0 then 'scheduledtime' end,
        case when kinds & 1024 <> 0 then 'arbitrationPropertyChange' end,
        case when kinds & 2048 <> 0 then 'tournamentPropertyChange' end
    ], null);

comment on function admin.change_types(int) is 'the names of the change types in a bit set of the log';

create view admin.sessions as
select sid, scid, template, name,
    '/serviceconfigs/' || scid || '/sessionTemplates/' || template || '/sessions/' || name as path,
    case visibility when 0 then 'open' when 1 then 'visible' when 2 then 'private' end as visibility,
    case join_restriction when 0 then 'none' when 1 then 'followed' when 2 then 'local' end as join_restriction,
    case read_restriction when 0 then 'none' when 1 then 'followed' when 2 then 'local' end as read_restriction,
    closed, large, member_count, accepted_count, max_members, keywords, start_time, admin.now() - start_time as age, next_timer_at,
    branch, change_number, revision, version, admin.document(body) as document, admin.is_exact(body) as exact, body as document_text
from sessions;

comment on view admin.sessions is 'one row per session';
comment on column admin.sessions.sid is 'its id in every other view; the correlationId of the document';
comment on column admin.sessions.scid is 'the service config';
comment on column admin.sessions.template is 'the template in its published spelling';
comment on column admin.sessions.name is 'the name as its creator wrote it';
comment on column admin.sessions.path is 'where callers find it';
comment on column admin.sessions.visibility is 'open, visible or private';
comment on column admin.sessions.join_restriction is 'none, followed or local';
comment on column admin.sessions.read_restriction is 'none, followed or local';
comment on column admin.sessions.closed is 'nobody may join';
comment on column admin.sessions.large is 'capability large: its members are in admin.members, not in the document';
comment on column admin.sessions.member_count is 'members, reservations included';
comment on column admin.sessions.accepted_count is 'members without reservations';
comment on column admin.sessions.max_members is 'how many may be members';
comment on column admin.sessions.keywords is 'what queries find it by, in their spelling';
comment on column admin.sessions.start_time is 'when it was created';
comment on column admin.sessions.age is 'for how long it has existed';
comment on column admin.sessions.next_timer_at is 'when something happens to it by itself; null if nothing does';
comment on column admin.sessions.branch is 'this life of the session: another one after it ended and was created anew';
comment on column admin.sessions.change_number is 'counts changes of the document in this life';
comment on column admin.sessions.revision is 'rises with every save';
comment on column admin.sessions.version is 'constants.system.version, set by its title';
comment on column admin.sessions.document is 'the document in the terms of contract version 107';
comment on column admin.sessions.exact is 'false where something in document was replaced, since jsonb refuses it';
comment on column admin.sessions.document_text is 'the document as it is stored';

create view admin.members as
select m.sid, m.index, m.scid, s.template, s.name, xuid_text(m.xuid) as xuid, m.xuid as xuid_key,
    admin.document(case when m.document is null then s.body else m.document end)
        #>> (case when m.document is null then array['members', m.index::text, 'gamertag'] else array['gamertag'] end) as gamertag,
    case m.state when 0 then 'reserved' when 1 then 'inactive' when 2 then 'ready' when 3 then 'active' end as state,
    m.turn, m.owner, m.connection, m.device_id, m.since, m.due_at, m.joined_at, m.grace_until, admin.document(m.document) as document
from members m
left join sessions s on s.sid = m.sid and s.scid = m.scid;

comment on view admin.members is 'one row per member of a session, reservations included';
comment on column admin.members.sid is 'the session';
comment on column admin.members.index is 'its key in the document';
comment on column admin.members.scid is 'the service config of the session';
comment on column admin.members.template is 'the template of the session';
comment on column admin.members.name is 'the name of the session';
comment on column admin.members.xuid is 'the user';
comment on column admin.members.xuid_key is 'the user in the form that has an index: compare with admin.xuid(…)';
comment on column admin.members.gamertag is 'what the user was called at joining; read from the document';
comment on column admin.members.state is 'reserved, inactive, ready or active';
comment on column admin.members.turn is 'it is this member''s turn';
comment on column admin.members.owner is 'it is an owner of the session';
comment on column admin.members.connection is 'the socket it is registered with';
comment on column admin.members.device_id is 'the device of its last write';
comment on column admin.members.since is 'large sessions only: since when it is in its state';
comment on column admin.members.due_at is 'large sessions only: when the state ends by itself';
comment on column admin.members.joined_at is 'large sessions only: when it joined';
comment on column admin.members.grace_until is 'large sessions only: when it becomes inactive because its connection is lost';
comment on column admin.members.document is 'large sessions only: its entry; of other sessions it is in their document';

create view admin.keywords as
select k.sid, k.scid, s.template, k.name, k.keyword, k.start_time
from keywords k
left join sessions s on s.sid = k.sid and s.scid = k.scid;

comment on view admin.keywords is 'one row per keyword of a session';
comment on column admin.keywords.sid is 'the session';
comment on column admin.keywords.scid is 'the service config of the session';
comment on column admin.keywords.template is 'the template of the session';
comment on column admin.keywords.name is 'the name of the session';
comment on column admin.keywords.keyword is 'in lower case, as it is searched for';
comment on column admin.keywords.start_time is 'when the session was created';

create view admin.keyword_counts as
select scid, keyword, count(*) as sessions, max(start_time) as newest_at
from keywords
group by scid, keyword;

comment on view admin.keyword_counts is 'how many sessions have a keyword';
comment on column admin.keyword_counts.scid is 'the service config';
comment on column admin.keyword_counts.keyword is 'in lower case';
comment on column admin.keyword_counts.sessions is 'how many sessions have it';
comment on column admin.keyword_counts.newest_at is 'when the newest of them was created';

create view admin.handles as
select h.id, case h.type when 0 then 'activity' when 1 then 'invite' when 2 then 'search' when 3 then 'transfer' end as type,
    h.sid, h.scid, h.template, h.name, xuid_text(h.owner) as owner, h.owner as owner_key, xuid_text(h.invited) as invited,
    h.invited as invited_key, h.title_id, h.created_at, h.expires_at,
    case
        when h.expires_at is null or h.expires_at > admin.now() then 'live'
        when h.type = 0 and exists (
            select from members m where m.xuid = h.owner and m.scid = h.scid and m.sid = h.sid and m.state = 3) then 'live'
        else 'expired'
    end as state,
    exists (select from sessions s where s.sid = h.sid) as session_exists, admin.document(h.document) as document
from handles h;

comment on view admin.handles is 'one row per handle';
comment on column admin.handles.id is 'the id that callers use';
comment on column admin.handles.type is 'activity, invite, search or transfer';
comment on column admin.handles.sid is 'the session it leads to';
comment on column admin.handles.scid is 'the service config of the session';
comment on column admin.handles.template is 'the template of the session';
comment on column admin.handles.name is 'the name of the session';
comment on column admin.handles.owner is 'whose handle it is; null where a server made it';
comment on column admin.handles.owner_key is 'the owner in the form that has an index: compare with admin.xuid(…)';
comment on column admin.handles.invited is 'who is invited';
comment on column admin.handles.invited_key is 'the invited user in the form that has an index: compare with admin.xuid(…)';
comment on column admin.handles.title_id is 'the title it was made for';
comment on column admin.handles.created_at is 'when it was made';
comment on column admin.handles.expires_at is 'when it ends; of an activity, when it ends unless its owner is active in the session';
comment on column admin.handles.state is 'live, or expired and not yet removed';
comment on column admin.handles.session_exists is 'whether the session it leads to exists';
comment on column admin.handles.document is 'what its maker sent along; what a search handle is found by is in admin.search_attributes';

create view admin.search_attributes as
select v.sid, v.scid, s.template, s.name, v.attribute, v.number, v.text, v.posted_at
from search_values v
left join sessions s on s.sid = v.sid and s.scid = v.scid
union all
select t.sid, t.scid, s.template, s.name, split_part(t.term, ':', 1), null, substr(t.term, strpos(t.term, ':') + 1), t.posted_at
from search_terms t
left join sessions s on s.sid = t.sid and s.scid = t.scid;

comment on view admin.search_attributes is 'what searches find sessions by: one row per value, and per entry of a list';
comment on column admin.search_attributes.sid is 'the session';
comment on column admin.search_attributes.scid is 'the service config of the session';
comment on column admin.search_attributes.template is 'the template of the session';
comment on column admin.search_attributes.name is 'the name of the session';
comment on column admin.search_attributes.attribute is 'the path in the filter grammar, in lower case';
comment on column admin.search_attributes.number is 'the value, if it is a number; instants in microseconds since 1970';
comment on column admin.search_attributes.text is 'the value or entry in lower case, if it is a text';
comment on column admin.search_attributes.posted_at is 'when the search handle was made';

create view admin.timers as
select t.sid, s.scid, s.template, s.name, t.due_at, admin.now() - t.due_at as late, t.failures
from timers t
left join sessions s on s.sid = t.sid;

comment on view admin.timers is 'the next timer of every session that has one';
comment on column admin.timers.sid is 'the session';
comment on column admin.timers.scid is 'the service config of the session';
comment on column admin.timers.template is 'the template of the session';
comment on column admin.timers.name is 'the name of the session';
comment on column admin.timers.due_at is 'when it is due; after failures, when it is tried again';
comment on column admin.timers.late is 'for how long it has been due; negative while it is not';
comment on column admin.timers.failures is 'how often settling it failed in a row';

create view admin.timers_due as
select * from admin.timers where due_at <= admin.now();

comment on view admin.timers_due is 'timers that are due and not yet settled; one that is late by more than seconds is stuck';
comment on column admin.timers_due.sid is 'the session';
comment on column admin.timers_due.scid is 'the service config of the session';
comment on column admin.timers_due.template is 'the template of the session';
comment on column admin.timers_due.name is 'the name of the session';
comment on column admin.timers_due.due_at is 'when it was due; after failures, when it is tried again';
comment on column admin.timers_due.late is 'for how long it has been due';
comment on column admin.timers_due.failures is 'how often settling it failed in a row';

create view admin.instances as
select i.id, i.place, i.started_at, i.seen_at, i.beat, i.backend as backend_pid,
    (select count(*) from connections c where c.instance = i.id and c.lost_at is null) as connections
from instances i;

comment on view admin.instances is 'processes of the service that live, or whose end nobody has noticed yet';
comment on column admin.instances.id is 'one run of a process';
comment on column admin.instances.place is 'its machine and listening address';
comment on column admin.instances.started_at is 'when it started, in real time';
comment on column admin.instances.seen_at is 'when its beat last rose, in real time';
comment on column admin.instances.beat is 'rises every two seconds while the process is well';
comment on column admin.instances.backend_pid is 'the server process of its own connection to the database';
comment on column admin.instances.connections is 'how many sockets live there';

create view admin.connections as
select c.id, xuid_text(c.xuid) as xuid, c.xuid as xuid_key,
    case when c.lost_at is not null then 'lost' when i.id is null then 'orphaned' else 'alive' end as state,
    c.instance, i.place, c.opened_at, c.lost_at, c.check_at
from connections c
left join instances i on i.id = c.instance;

comment on view admin.connections is 'sockets: those that live, and for a day those that are lost';
comment on column admin.connections.id is 'the connection id, as members are registered with it';
comment on column admin.connections.xuid is 'whose socket it is';
comment on column admin.connections.xuid_key is 'the same in its stored form';
comment on column admin.connections.state is 'alive, lost, or orphaned: its instance is gone and nobody has noticed yet';
comment on column admin.connections.instance is 'the process it is open at';
comment on column admin.connections.place is 'the machine and listening address of that process, while it lives';
comment on column admin.connections.opened_at is 'when it was opened, in real time';
comment on column admin.connections.lost_at is 'when it was found to be lost, in real time';
comment on column admin.connections.check_at is
    'when sessions are next searched for members that are registered with it; null when that is done';

create view admin.changes as
select c.at, c.sid, s.scid, s.template, s.name, c.branch, c.change_number, c.change_number = 1 as created, c.deleted,
    case c.cause when 0 then 'request' when 1 then 'timer' when 2 then 'connection' end as cause, c.actor,
    admin.change_types(c.kinds) as types, admin.document(c.delta) as delta, admin.document(c.departed) as departed, c.exempt, c.write_id
from changes c
left join sessions s on s.sid = c.sid;

comment on view admin.changes is 'the change log: one row per change of a document, as long as the log is kept; filter by at or sid';
comment on column admin.changes.at is 'when it happened; has an index';
comment on column admin.changes.sid is 'the session; has an index';
comment on column admin.changes.scid is 'the service config, while the session exists';
comment on column admin.changes.template is 'the template, while the session exists';
comment on column admin.changes.name is 'the name, while the session exists';
comment on column admin.changes.branch is 'the life of the session';
comment on column admin.changes.change_number is 'counts changes in that life';
comment on column admin.changes.created is 'it is the first change of a life';
comment on column admin.changes.deleted is 'the session ended with it';
comment on column admin.changes.cause is 'request, timer, or connection: one was lost';
comment on column admin.changes.actor is 'who asked for it: xuid:…, svc:… or admin:…; of others what caused it';
comment on column admin.changes.types is 'the change types that apply, by the names that subscriptions use';
comment on column admin.changes.delta is
    'what it changed in the document: fields replaced whole, null deletes; null where the session ended';
comment on column admin.changes.departed is 'members that left with it';
comment on column admin.changes.exempt is 'the member who is not tapped for it, by its index';
comment on column admin.changes.write_id is 'the save that committed it';

create view admin.hot_sessions as
select h.sid, s.scid, s.template, s.name, h.changes, h.actors, h.last_at, s.member_count
from (
    select sid, count(*) as changes, count(distinct actor) as actors, max(at) as last_at
    from changes
    where at > admin.now() - interval '10 minutes' and at <= admin.now()
    group by sid
) h
left join sessions s on s.sid = h.sid;

comment on view admin.hot_sessions is 'sessions that changed in the last ten minutes, with how often';
comment on column admin.hot_sessions.sid is 'the session';
comment on column admin.hot_sessions.scid is 'the service config, while the session exists';
comment on column admin.hot_sessions.template is 'the template, while the session exists';
comment on column admin.hot_sessions.name is 'the name, while the session exists';
comment on column admin.hot_sessions.changes is 'how many changes there were';
comment on column admin.hot_sessions.actors is 'how many different ones caused them';
comment on column admin.hot_sessions.last_at is 'when it last changed';
comment on column admin.hot_sessions.member_count is 'members, reservations included, while the session exists';

create view admin.follows as
select xuid_text(xuid) as xuid, xuid_text(followed) as followed, favorite, xuid as xuid_key, followed as followed_key
from follows;

comment on view admin.follows is 'who follows whom';
comment on column admin.follows.xuid is 'who follows';
comment on column admin.follows.followed is 'who is followed';
comment on column admin.follows.favorite is 'as a favourite';
comment on column admin.follows.xuid_key is 'who follows, in the form that has an index: compare with admin.xuid(…)';
comment on column admin.follows.followed_key is 'who is followed, in the form that has an index';

create view admin.blocks as
select xuid_text(xuid) as xuid, xuid_text(blocked) as blocked, xuid as xuid_key, blocked as blocked_key
from blocks;

comment on view admin.blocks is 'who blocks whom';
comment on column admin.blocks.xuid is 'who blocks';
comment on column admin.blocks.blocked is 'who is blocked';
comment on column admin.blocks.xuid_key is 'who blocks, in the form that has an index: compare with admin.xuid(…)';
comment on column admin.blocks.blocked_key is 'who is blocked, in the form that has an index';

create view admin.bans as
select xuid_text(xuid) as xuid, xuid as xuid_key, reason, created_at, created_by, expires_at,
    coalesce(expires_at > admin.now(), true) as in_force
from bans;

comment on view admin.bans is 'users who are refused everywhere';
comment on column admin.bans.xuid is 'the user';
comment on column admin.bans.xuid_key is 'the user in the form that has an index: compare with admin.xuid(…)';
comment on column admin.bans.reason is 'why';
comment on column admin.bans.created_at is 'since when';
comment on column admin.bans.created_by is 'by whom';
comment on column admin.bans.expires_at is 'until when; null means for ever';
comment on column admin.bans.in_force is 'false once it has expired';

create view admin.audit as
select at, actor, action, target, reason, outcome, detail, id
from audit;

comment on view admin.audit is 'what administrators did';
comment on column admin.audit.at is 'when; has an index';
comment on column admin.audit.actor is 'who';
comment on column admin.audit.action is 'as in session.close, ban.put';
comment on column admin.audit.target is 'what it was done to; has an index';
comment on column admin.audit.reason is 'why, in the words of the administrator';
comment on column admin.audit.outcome is 'done, or what it failed of; null when the process ended before that was known';
comment on column admin.audit.detail is 'what else there is to say';
comment on column admin.audit.id is 'the id of the entry';

create view admin.service_configs as
select scid, titles, admin.document(game_types) as game_types, revision
from service_configs;

comment on view admin.service_configs is 'service configs that are served';
comment on column admin.service_configs.scid is 'the service config';
comment on column admin.service_configs.titles is 'title ids that may use it; empty means any';
comment on column admin.service_configs.game_types is 'what its title is called, by platform';
comment on column admin.service_configs.revision is 'the revision of the catalog that brought it';

create view admin.templates as
select scid, name, contract_version, revision, admin.document(document) as document
from session_templates;

comment on view admin.templates is 'session templates that are served';
comment on column admin.templates.scid is 'the service config';
comment on column admin.templates.name is 'the name in its published spelling';
comment on column admin.templates.contract_version is 'the contract version it was written for';
comment on column admin.templates.revision is 'the revision of the catalog that brought it';
comment on column admin.templates.document is 'as it was published; defaults are applied when it is read';

create view admin.table_sizes as
select c.relname::text as table_name, pg_total_relation_size(c.oid) as total_bytes, pg_relation_size(c.oid) as heap_bytes,
    pg_indexes_size(c.oid) as index_bytes,
    case when c.reltoastrelid = 0 then 0 else pg_total_relation_size(c.reltoastrelid) end as toast_bytes,
    greatest(c.reltuples, 0)::bigint as rows_estimate, pg_stat_get_dead_tuples(c.oid) as dead_rows,
    pg_stat_get_tuples_updated(c.oid) as updates, pg_stat_get_tuples_hot_updated(c.oid) as hot_updates,
    greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) as vacuumed_at,
    greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) as analyzed_at
from pg_class c
where c.relkind = 'r' and c.relnamespace = (select s.relnamespace from pg_class s where s.oid = 'sessions'::regclass);

comment on view admin.table_sizes is 'the tables of the service, with what they take; the log has one per day';
comment on column admin.table_sizes.table_name is 'the table';
comment on column admin.table_sizes.total_bytes is 'all that it takes on disk';
comment on column admin.table_sizes.heap_bytes is 'its rows';
comment on column admin.table_sizes.index_bytes is 'its indexes';
comment on column admin.table_sizes.toast_bytes is 'values that were moved out of their rows';
comment on column admin.table_sizes.rows_estimate is 'rows, as of the last vacuum or analyze';
comment on column admin.table_sizes.dead_rows is 'rows that wait for a vacuum, estimated';
comment on column admin.table_sizes.updates is 'rows updated since statistics were reset';
comment on column admin.table_sizes.hot_updates is 'those of them that touched no index';
comment on column admin.table_sizes.vacuumed_at is 'when it was last vacuumed';
comment on column admin.table_sizes.analyzed_at is 'when it was last analyzed';

-- The statistics of others' connections are hidden from ordinary roles, also in a view: so they are read with the rights of the owner.
-- Texts of statements are left out, because people write values into theirs.
create function admin.read_backends()
    returns table (
        pid int, application text, username text, client text, state text, wait text, transaction_age interval, state_age interval,
        blocked_by int[])
    language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select a.pid, a.application_name, a.usename::text, host(a.client_addr), a.state, a.wait_event_type || ':' || a.wait_event,
        clock_timestamp() - a.xact_start, clock_timestamp() - a.state_change, pg_blocking_pids(a.pid)
    from pg_stat_activity a
    where a.datname = current_database() and coalesce(a.backend_type, 'client backend') = 'client backend';
end;

comment on function admin.read_backends() is 'the rows of admin.backends';

revoke execute on function admin.read_backends() from public;

create view admin.backends as
select pid, application, username, client, state, wait, transaction_age, state_age, blocked_by
from admin.read_backends();

comment on view admin.backends is 'connections to this database, those of the service and others';
comment on column admin.backends.pid is 'the server process';
comment on column admin.backends.application is 'openmpsd, openmpsd hints, or what else connects';
comment on column admin.backends.username is 'the role that connected';
comment on column admin.backends.client is 'the address it connected from; null for a local socket';
comment on column admin.backends.state is 'active, idle, idle in transaction …';
comment on column admin.backends.wait is 'what it waits for';
comment on column admin.backends.transaction_age is 'for how long its transaction has been open';
comment on column admin.backends.state_age is 'for how long it is in its state';
comment on column admin.backends.blocked_by is 'the server processes whose locks it waits for';

create view admin.migrations as
select version, name::text as name, applied_on::timestamptz as applied_at
from refinery_schema_history;

comment on view admin.migrations is 'migrations that were applied';
comment on column admin.migrations.version is 'their number';
comment on column admin.migrations.name is 'their name';
comment on column admin.migrations.applied_at is 'when';

-- Whom one lets read: the views, and nothing else. Roles belong to the whole cluster, so another database may have made it, or may be
-- making it right now; and where this role may not make others, somebody who may does as docs/sql.md says.
do $$
begin
    begin
        if not exists (select from pg_roles where rolname = 'openmpsd_readonly') then
            create role openmpsd_readonly nologin;
        end if;
    exception
        when duplicate_object or unique_violation then
            null;
        when insufficient_privilege then
            raise notice 'the role openmpsd_readonly is not made: % may not create roles; docs/sql.md has the statements', current_user;
    end;
    if exists (select from pg_roles where rolname = 'openmpsd_readonly') then
        grant usage on schema admin to openmpsd_readonly;
        grant select on all tables in schema admin to openmpsd_readonly;
        grant execute on function admin.read_backends() to openmpsd_readonly;
    end if;
end
$$;
