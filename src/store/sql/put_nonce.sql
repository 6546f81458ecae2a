-- Keeps the digest of a ticket for a socket, and for whom it stands.
insert into nonces (digest, principal, expires_at) values ($1, $2, $3)
