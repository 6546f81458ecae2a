-- Tickets that nobody has used in time, so many at once. One that is being taken is left to whoever takes it.
with expired as materialized (
    select digest
    from nonces
    where expires_at <= $1
    order by expires_at
    limit $2
    for update skip locked
)
delete from nonces
where digest = any(array(select digest from expired))
