-- The faster compression where this build of PostgreSQL has it, as the migrations choose it: a dump does not say. A schema from before
-- the last of these columns goes without.
do $$
declare
    partition regclass;
begin
    alter table sessions alter column body set compression lz4, alter column private set compression lz4;
    alter table members alter column document set compression lz4;
    alter table changes alter column delta set compression lz4;
    for partition in select inhrelid::regclass from pg_inherits where inhparent = 'changes'::regclass loop
        execute format('alter table %s alter column delta set compression lz4', partition);
    end loop;
exception when feature_not_supported or undefined_column then
    null;
end
$$
