-- Blocks of an import; one that is there already stays untouched.
insert into blocks (xuid, blocked)
select given.xuid, given.blocked
from unnest($1::bigint[], $2::bigint[]) as given (xuid, blocked)
on conflict (xuid, blocked) do nothing
