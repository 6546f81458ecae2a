-- Tells other instances what was committed here, outside of every write: commits that notify take turns in the whole database.
select pg_notify('openmpsd', payload) from unnest($1::text[]) as payload
