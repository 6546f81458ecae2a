-- Handles whose life is over. An activity lives on while its owner is active in a session that began in its time (H-21).
delete from handles
where id in (
    select h.id
    from handles h
    where h.expires_at <= $1
        and (h.type <> 0 or not exists (
            select
            from members o
            join sessions s on s.sid = o.sid and s.start_time < h.expires_at
            where o.xuid = h.owner and o.scid = h.scid and o.sid = h.sid and o.state = 3))
    order by h.expires_at
    limit $2
)
