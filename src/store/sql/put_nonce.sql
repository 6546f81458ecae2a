-- Keeps the digest of a ticket for a socket, and for whom it stands, unless that user has as many living ones as there may be.
insert into nonces (digest, principal, expires_at, xuid)
select $1, $2, $3, $4
where (select count(*) from (select from nonces where xuid = $4 and expires_at > $5 limit $6) living) < $6
