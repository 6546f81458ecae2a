-- A handle and the session it leads to.
select h.id, h.type, h.owner, h.title_id, h.expires_at, s.sid, s.scid, s.template, s.name, s.branch, s.change_number, s.next_timer_at,
    s.visibility, s.read_restriction, s.body
from handles h
join sessions s on s.sid = h.sid
where h.id = md5('h' || (:n)::text)::uuid;
