-- A transfer handle and a search handle with what its session is found by.
insert into handles (id, sid, scid, owner, title_id, created_at, type, template, name, origin_sid, origin_scid, document)
values
    ('00000000-0000-0000-0000-0000000000a3', '00000000-0000-0000-0000-000000000001', '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 1, 7,
        '2031-01-01T00:00:01Z', 3, 'Lobby', 'One', '00000000-0000-0000-0000-000000000003', '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', null),
    ('00000000-0000-0000-0000-0000000000a4', '00000000-0000-0000-0000-000000000001', '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 1, 7,
        '2031-01-01T00:00:01Z', 2, 'Lobby', 'One', null, null, '{"tags":["Coop"]}');

insert into search_values (sid, attribute, scid, template_key, posted_at, number, text, text_key)
values
    ('00000000-0000-0000-0000-000000000001', 'numbers/level', '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 'lobby', '2031-01-01T00:00:01Z',
        12, null, null),
    ('00000000-0000-0000-0000-000000000001', 'strings/map', '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 'lobby', '2031-01-01T00:00:01Z',
        null, 'harbor', 'harbor');

insert into search_terms (sid, term, scid, template_key, posted_at)
values
    ('00000000-0000-0000-0000-000000000001', 'tags:coop', '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 'lobby', '2031-01-01T00:00:01Z');
