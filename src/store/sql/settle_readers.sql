-- The role for readers and its rights, as V013 makes them: a dump has neither, and without them everybody may call what V013 closes.
-- Only what is missing is done. Where this role may not do it, somebody who may does as docs/sql.md says.
do $$
begin
    if not exists (
        select from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'admin' and p.proname = 'read_backends'
    ) then
        return;
    end if;
    begin
        if has_function_privilege('public', 'admin.read_backends()', 'execute') then
            revoke execute on function admin.read_backends() from public;
        end if;
    exception when insufficient_privilege then
        null;
    end;
    -- Roles belong to the whole cluster: another database may be making it right now.
    begin
        if not exists (select from pg_roles where rolname = 'openmpsd_readonly') then
            create role openmpsd_readonly nologin;
        end if;
    exception when duplicate_object or unique_violation or insufficient_privilege then
        null;
    end;
    begin
        if exists (select from pg_roles where rolname = 'openmpsd_readonly') then
            if not has_schema_privilege('openmpsd_readonly', 'admin', 'usage') then
                grant usage on schema admin to openmpsd_readonly;
            end if;
            if exists (
                select from pg_class c
                where c.relnamespace = 'admin'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
                    and not has_table_privilege('openmpsd_readonly', c.oid, 'select')
            ) then
                grant select on all tables in schema admin to openmpsd_readonly;
            end if;
            if not has_function_privilege('openmpsd_readonly', 'admin.read_backends()', 'execute') then
                grant execute on function admin.read_backends() to openmpsd_readonly;
            end if;
        end if;
    exception when insufficient_privilege or undefined_object then
        null;
    end;
end
$$
