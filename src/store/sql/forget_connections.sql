-- Connections that were lost long ago and have been searched for, so many at a time.
delete from connections
where id = any(array(
    select id
    from connections
    where lost_at < $1 and lost_at is not null and check_at is null
    order by lost_at
    limit $2
))
