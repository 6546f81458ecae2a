-- Whether saves whose outcome is unknown were committed: their log row or their handle tells.
select ask.n
from unnest($1::uuid[], $2::uuid[], $3::uuid[]) with ordinality as ask (sid, write_id, handle, n)
where exists (select from changes c where c.sid = ask.sid and c.write_id = ask.write_id)
    or exists (select from handles h where h.id = ask.handle offset 0)
