-- Handles whose time has come, so many at once: those whose life is over go, and an activity lives on whose owner is active in a session
-- that began in its time (H-21). It is bound, and ends with what unbinds it (H-22): without an expiry it is not met here again. A handle
-- that is just being replaced or deleted is left to whoever does that.
with expired as materialized (
    select id, type, owner, scid, sid, expires_at
    from handles
    where expires_at <= $1
    order by expires_at
    limit $2
    for update skip locked
), judged as materialized (
    select e.id, e.type = 0 and exists (
        select
        from members o
        join sessions s on s.sid = o.sid and s.start_time < e.expires_at
        where o.xuid = e.owner and o.scid = e.scid and o.sid = e.sid and o.state = 3) as bound
    from expired e
), kept as (
    update handles set expires_at = null where id = any(array(select id from judged where bound))
), deleted as (
    delete from handles where id = any(array(select id from judged where not bound)) returning id
)
select (select count(*) from expired) as looked_at, (select count(*) from deleted) as deleted
