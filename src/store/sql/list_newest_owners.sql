-- Everybody but one who has an activity, the newest activity first (A-40).
select owner
from handles
where type = 0 and owner <> $1 and ($2::uuid is null or scid = $2)
order by created_at desc, id
limit $3
