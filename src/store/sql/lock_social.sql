-- Whether this transaction is the only import of the social graph; then it has its turn among all that change the graph. It may take
-- longer than a statement for a request, and its statements are planned for the number of edges they are given: nested loops would take
-- the square of it.
select pg_try_advisory_xact_lock($1)
    and pg_advisory_xact_lock($2) is not null
    and set_config('statement_timeout', '600000', true) is not null
    and set_config('plan_cache_mode', 'force_custom_plan', true) is not null
    and set_config('enable_nestloop', 'off', true) is not null
