-- A log row of a creation holds the whole document, and compressing that by the older method took 30 microseconds. Like sessions, log rows
-- stay in one piece as long as they fit; that must be said of every column of varying length, or the short ones are moved out first.
alter table changes
    alter column delta set storage main,
    alter column actor set storage main,
    alter column departed set storage main;

do $$
declare
    partition regclass;
begin
    alter table changes alter column delta set compression lz4;
    -- Unlike the storage this is not handed down.
    for partition in select inhrelid::regclass from pg_inherits where inhparent = 'changes'::regclass loop
        execute format('alter table %s alter column delta set compression lz4', partition);
    end loop;
exception when feature_not_supported then
    null;
end
$$;

-- As before, and new days take both over.
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
    execute format(
        'create table %I (like changes including defaults including comments including storage including compression)', partition);
    execute format(
        'with moved as (delete from changes_default where at >= %L and at < %L returning *) insert into %I select * from moved',
        lower_bound, upper_bound, partition);
    execute format('alter table changes attach partition %I for values from (%L) to (%L)', partition, lower_bound, upper_bound);
    return true;
end
$$;
