-- Lost connections that were searched for: once more at the given instant, then never again.
update connections
set checks = checks + 1, check_at = case when checks = 0 then $2::timestamptz end
where id = any ($1::uuid[]) and lost_at is not null
