-- An activity for a session that does not exist (H-03, H-21), replacing the owner's former one in the service config (H-20). No row
-- when the session exists by now: then the activity is a command on that session.
insert into handles (id, type, sid, scid, scid_spelling, template, name, owner, title_id, created_at, expires_at, document)
select $1, 0, $2::uuid, $3, $4, $5, $6, $7, $8, $9, $10, $11
where not exists (select from sessions where sid = $2)
on conflict (owner, scid) where type = 0 do update
set id = excluded.id, sid = excluded.sid, scid_spelling = excluded.scid_spelling, template = excluded.template,
    name = excluded.name, title_id = excluded.title_id, created_at = excluded.created_at, expires_at = excluded.expires_at,
    document = excluded.document
returning id
