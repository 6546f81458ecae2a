-- A member comes and goes: the document and the member's row, in two statements as two requests would.
\set tick random(10000000, 99999999)
with session as (
    update sessions
    set body = overlay(body placing (:tick)::text from position('"tick":' in body) + 7), change_number = change_number + 1,
        revision = revision + 1, member_count = member_count + 1
    where sid = md5((:n)::text)::uuid and revision > 0
    returning sid, scid
)
insert into members (sid, index, xuid, scid, state, turn, template_key, owner)
select sid, 1000 + :client_id, 7000000 + :client_id, scid, 3, false, 'lobby', false from session;
with session as (
    update sessions
    set body = overlay(body placing (:tick)::text from position('"tick":' in body) + 7), change_number = change_number + 1,
        revision = revision + 1, member_count = member_count - 1
    where sid = md5((:n)::text)::uuid and revision > 0
    returning sid
)
delete from members m using session where m.sid = session.sid and m.index = 1000 + :client_id;
