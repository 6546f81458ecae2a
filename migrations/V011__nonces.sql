-- Whose tickets for sockets there are, so that nobody has more than a few.
--
-- Tickets live for a minute. Those of before have no owner and are counted for nobody.

alter table nonces add column xuid bigint;

create index nonces_owner on nonces (xuid, expires_at);

comment on column nonces.xuid is 'for whom the ticket stands';
