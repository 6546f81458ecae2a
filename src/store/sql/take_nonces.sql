-- Takes tickets away, so that each works once, whichever instance is asked. They are locked in one order, or two instances that are
-- asked for the same ones could wait for each other.
with taken as materialized (
    select digest
    from nonces
    where digest = any($1)
    order by digest
    for update
)
delete from nonces
where digest = any(array(select digest from taken))
returning digest, principal, expires_at
