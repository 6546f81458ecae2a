-- The partitions of the log for yesterday and the days up to three ahead.
select count(*) filter (where ensure_changes_partition(($1::timestamptz at time zone 'UTC')::date + ahead)) as made
from generate_series(-1, 3) as ahead
