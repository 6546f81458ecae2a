-- Moves a session that cannot be settled back, twice as far with every failure in a row, an hour at most.
update timers
set due_at = $2::timestamptz + least(interval '1 hour', interval '1 second' * power(2, least(failures, 12))),
    failures = least(failures + 1, 1000)
where sid = $1
returning failures
