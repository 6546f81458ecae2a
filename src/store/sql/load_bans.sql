-- Everybody who is banned at an instant; one row without a xuid when nobody is.
select l.revision, b.xuid, b.expires_at
from ban_list l
left join bans b on b.expires_at is null or b.expires_at > $1
