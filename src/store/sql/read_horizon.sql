-- Where transactions stand: as long as this is the same and nothing is under way, nothing has been committed.
select pg_snapshot_xmin(now)::text as xmin, pg_snapshot_xmax(now)::text as xmax
from pg_current_snapshot() as now
