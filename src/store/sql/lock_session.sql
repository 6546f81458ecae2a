-- Takes a session's row until the transaction ends; a session that does not exist cannot be taken.
select from sessions where sid = $1 for update
