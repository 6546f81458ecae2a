-- Sessions that are due, each for the sake of a member who is to go.
with due as (
    insert into baseline.timers (sid, due_at) select sid, now() from baseline.sessions limit $1 returning sid
)
insert into baseline.members (sid, index, xuid, scid, state, turn, template_key, owner)
select sid, 1000, 9000001, sid, 0, false, 'lobby', false from due
