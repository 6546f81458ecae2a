-- Forgets the log of all days before the day of an instant, unless somebody else does so at this moment.
select case when pg_try_advisory_xact_lock($2) then drop_changes_partitions(($1::timestamptz at time zone 'UTC')::date) else 0 end
    as dropped
