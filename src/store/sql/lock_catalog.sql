-- Imports and publications go one after another, and not beside a migration.
select pg_advisory_xact_lock($1)
