-- How the service lives in this database: what is published, who is there, and what should have been done by $1.
select
    (select count(*) from service_configs) as services,
    (select count(*) from session_templates) as templates,
    (select count(*) from instances where seen_at > $1::timestamptz - interval '30 seconds') as living,
    (select count(*) from instances where seen_at is null or seen_at <= $1::timestamptz - interval '30 seconds') as silent,
    (select count(*) from (select from timers where due_at < $1::timestamptz - interval '1 minute' limit 10000) as late) as overdue,
    (select array_agg(to_char(day, 'YYYY-MM-DD') order by day)
        from (select ($1::timestamptz at time zone 'UTC')::date + ahead as day from generate_series(0, 1) as ahead) as days
        where to_regclass('changes_' || to_char(day, 'YYYYMMDD')) is null) as days_missing
