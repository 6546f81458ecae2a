-- Takes a ticket that is still good, so that it works once, whichever instance is asked.
delete from nonces where digest = $1 and expires_at > $2
returning principal
