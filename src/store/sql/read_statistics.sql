-- Sizes for the metrics: how many lost connections still wait for their members to be dealt with, how many instances there are, and of
-- each table the rows that were counted last and the bytes it takes. Partitions count for their table.
select
    (select count(*) from connections where check_at is not null) as ghosts,
    (select count(*) from instances) as instances,
    t.name as table_name,
    t.rows as table_rows,
    t.bytes as table_bytes
from (
    select
        coalesce(p.relname, c.relname)::text as name,
        sum(greatest(c.reltuples, 0))::bigint as rows,
        sum(pg_total_relation_size(c.oid))::bigint as bytes
    from pg_class c
    left join pg_inherits i on i.inhrelid = c.oid
    left join pg_class p on p.oid = i.inhparent
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname <> 'refinery_schema_history'
    group by 1
) t
