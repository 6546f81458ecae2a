-- Sockets, who lives and who is lost, and what taps need to know about a change.
--
-- Whether an instance is alive is judged by its peers, by watching its beat; no clocks are compared. Whether a socket is alive is a
-- row: an instance marks its own as lost, or a peer marks all of an instance that is gone. A row of a lost socket stays for a while,
-- so that a write which still names it finds out.

alter table instances
    drop column lease_expires_at,
    add column beat         bigint      not null default 0,
    add column seen_at      timestamptz,
    add column place        text,
    add column backend      int,
    add column backend_from timestamptz;

comment on table instances is 'service processes that live, or whose end nobody has noticed yet';
comment on column instances.beat is 'rises every two seconds while the process is well';
comment on column instances.seen_at is 'when it last rose, for people; real time';
comment on column instances.place is 'what only one process at a time can hold: its listening address on its machine';
comment on column instances.backend is 'the server process of its own database connection, with when that began: both end with the instance';

alter table connections
    add column lost_at  timestamptz,
    add column check_at timestamptz;

-- Of an instance that is gone those connections are looked for that live still; lost ones stay for a day.
drop index connections_instance;
create index connections_living on connections (instance) where lost_at is null;

create index connections_check on connections (check_at) where check_at is not null;
create index connections_forgotten on connections (lost_at) where check_at is null and lost_at is not null;

comment on table connections is 'sockets with a connection id: those that live, and for a day those that are lost';
comment on column connections.lost_at is 'when it was found to be lost, in real time; null while it lives';
comment on column connections.check_at is 'when sessions are next searched for members that are registered with the lost connection';

-- Whoever writes somebody else's connection as his own must not make that one's writes slower.
drop index members_connection;
create index members_connection on members (connection, xuid) where connection is not null;

create index handles_new_invites on handles (created_at) where type = 1;

alter table members add column grace_until timestamptz;

comment on column members.grace_until is 'large sessions only: when the member becomes inactive because its connection is lost';

alter table changes add column exempt int;

comment on column changes.exempt is 'the member who only wrote how it is to be reached: it is not tapped for that';

-- Tickets for sockets that are opened without a credential: each works once, on any instance.
create table nonces (
    digest     bytea       primary key,
    principal  text        not null,
    expires_at timestamptz not null
);

create index nonces_expiry on nonces (expires_at);

comment on table nonces is 'tickets for sockets: the SHA-256 of each, and for whom it stands';

-- The days of the change log are made and dropped under locks that everybody else's statements queue behind, and somebody may hold what
-- they wait for (a dump of the database, for one): so they wait for a moment only, and are tried again later. Both take one advisory
-- lock first, since they need the locks of tables in different orders.

create or replace function ensure_changes_partition(day date) returns boolean language plpgsql set lock_timeout = '300ms' as $$
declare
    partition constant text := 'changes_' || to_char(day, 'YYYYMMDD');
    lower_bound constant timestamptz := day::timestamp at time zone 'UTC';
    upper_bound constant timestamptz := (day + 1)::timestamp at time zone 'UTC';
begin
    if to_regclass(partition) is not null then
        return false;
    end if;
    perform pg_advisory_xact_lock(8030029660440982119);
    -- Attaching locks the default partition anyway; taking the lock first lets nobody add a row of that day in between.
    lock table changes_default in access exclusive mode;
    if to_regclass(partition) is not null then
        return false;
    end if;
    execute format('create table %I (like changes including defaults including comments)', partition);
    execute format(
        'with moved as (delete from changes_default where at >= %L and at < %L returning *) insert into %I select * from moved',
        lower_bound, upper_bound, partition);
    execute format('alter table changes attach partition %I for values from (%L) to (%L)', partition, lower_bound, upper_bound);
    return true;
end
$$;

create or replace function drop_changes_partitions(before date) returns int language plpgsql set lock_timeout = '300ms' as $$
declare
    partition text;
    dropped int := 0;
begin
    perform pg_advisory_xact_lock(8030029660440982119);
    -- First what may take long: dropping a partition locks the whole log until the end.
    delete from changes_default where at < before::timestamp at time zone 'UTC';
    for partition in
        select c.relname
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'changes'::regclass and c.relname ~ '^changes_[0-9]{8}$'
            and to_date(right(c.relname, 8), 'YYYYMMDD') < before
        order by c.relname
    loop
        execute format('drop table %I', partition);
        dropped := dropped + 1;
    end loop;
    return dropped;
end
$$;
