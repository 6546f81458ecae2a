-- Takes a ticket away, so that it works once, whichever instance is asked, and tells whether it was still good.
delete from nonces where digest = $1
returning principal, expires_at > $2 as good
