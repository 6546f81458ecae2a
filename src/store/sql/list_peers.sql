-- The other processes. Whoever may not see the sessions of the database takes all of them for attached.
select i.id, i.beat,
    i.backend is null
        or exists (
            select
            from pg_stat_activity a
            where a.pid = i.backend and (a.backend_start is null or a.backend_start = i.backend_from)
        ) as attached
from instances i
where i.id <> $1
