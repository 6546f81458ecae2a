-- An activity, and an invite that leads to no session.
insert into handles (id, sid, scid, owner, title_id, invited, created_at, expires_at, type, template, name)
values
    ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 1, 7,
        null, '2031-01-01T00:00:01Z', null, 0, 'Lobby', 'One'),
    ('00000000-0000-0000-0000-0000000000a2', '00000000-0000-0000-0000-000000000002', '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 1, null,
        2, '2031-01-01T00:00:02Z', '2031-01-02T00:00:02Z', 1, 'Lobby', 'Two');
