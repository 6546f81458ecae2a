-- Imports of the social graph go one after another, and may take longer than a statement for a request.
select set_config('statement_timeout', '600000', true), pg_advisory_xact_lock($1)
