-- The migrations that were applied, in their order.
select version::bigint as version, name, applied_on, checksum from refinery_schema_history order by version
