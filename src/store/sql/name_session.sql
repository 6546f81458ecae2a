-- How a session is spelled, and who is one of its members.
select s.sid, s.scid, s.scid_spelling, s.template, s.name, (
        select m.xuid from members m where m.sid = s.sid and m.index = $2
    ) as xuid
from sessions s
where s.sid = $1
