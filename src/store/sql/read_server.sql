-- What the server is and how it keeps what it acknowledges.
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::int as version_number,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('max_connections')::int as max_connections,
    pg_is_in_recovery() as standby
