-- The change log: one row per committed change of a document, for history, feeds, missed taps and unknown outcomes of writes.
--
-- Partitioned by the UTC day of `at`, so that old days go by dropping a table. The service makes the days ahead; the default
-- partition catches what falls outside (a clock that was moved, a service that slept).

create table changes (
    sid           uuid        not null,
    branch        uuid        not null,
    change_number bigint      not null,
    at            timestamptz not null,
    write_id      uuid        not null,
    kinds         int         not null,
    cause         smallint    not null,
    deleted       boolean     not null,
    actor         text        not null,
    delta         text,
    departed      text,
    primary key (sid, branch, change_number, at)
) partition by range (at);

create table changes_default partition of changes default;

comment on column changes.kinds is 'bit set of the change types';
comment on column changes.departed is 'members that left in this change, with their connection and subscription';
comment on column changes.write_id is 'names the save that committed this row: how a writer learns the outcome after a lost connection';

-- Makes the partition of one UTC day, if it is missing. Rows of that day which the default partition has caught move over.
create function ensure_changes_partition(day date) returns boolean language plpgsql as $$
declare
    partition constant text := 'changes_' || to_char(day, 'YYYYMMDD');
    lower_bound constant timestamptz := day::timestamp at time zone 'UTC';
    upper_bound constant timestamptz := (day + 1)::timestamp at time zone 'UTC';
begin
    if to_regclass(partition) is not null then
        return false;
    end if;
    -- Attaching locks the default partition anyway; taking the lock first makes concurrent callers wait for each other.
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

-- Drops the partitions of all UTC days before the given one, and what the default partition holds of them. Returns how many days went.
create function drop_changes_partitions(before date) returns int language plpgsql as $$
declare
    partition text;
    dropped int := 0;
begin
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
    delete from changes_default where at < before::timestamp at time zone 'UTC';
    return dropped;
end
$$;
