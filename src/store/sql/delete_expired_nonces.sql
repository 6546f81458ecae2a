-- Tickets that nobody has used in time.
delete from nonces where expires_at <= $1
