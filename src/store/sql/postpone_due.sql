-- Moves a session that cannot be settled back, twice as far with every failure in a row, an hour at most; unless it has been saved
-- since it was found, because then its timer is another one.
update timers
set due_at = $2::timestamptz + least(interval '1 hour', interval '1 second' * power(2, least(failures, 12))),
    failures = least(failures + 1, 1000)
where sid = $1 and due_at = $3
returning failures
