-- A ticket with its owner.
insert into nonces (digest, principal, expires_at, xuid)
values ('\x0304', '{"xuid":"1"}', '2031-01-01T00:01:00Z', 1);
