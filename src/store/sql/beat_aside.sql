-- A sign of life, over a connection that says nothing about the process.
update instances
set beat = beat + 1, seen_at = $2, backend = null, backend_from = null
where id = $1
