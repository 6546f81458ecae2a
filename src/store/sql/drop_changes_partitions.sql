-- Forgets the log of all days before the day of an instant.
select drop_changes_partitions(($1::timestamptz at time zone 'UTC')::date) as dropped
