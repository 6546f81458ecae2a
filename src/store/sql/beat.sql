-- A sign of life, over the connection that ends with the process.
update instances
set beat = beat + 1, seen_at = $2, backend = pg_backend_pid(),
    backend_from = (select backend_start from pg_stat_activity where pid = pg_backend_pid())
where id = $1
