-- Lost connections that were searched for at $2: once more when $3 milliseconds have passed since their loss, then never again.
update connections
set check_at = case when lost_at + $3 * interval '1 millisecond' > $2 then lost_at + $3 * interval '1 millisecond' end
where id = any ($1::uuid[]) and lost_at <= $2
