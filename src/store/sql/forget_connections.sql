-- Connections that were lost long ago and have been searched for.
delete from connections where lost_at < $1 and check_at is null
