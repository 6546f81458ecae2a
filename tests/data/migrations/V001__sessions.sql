-- A session with two members, one of them reserved, and what hangs on it.
insert into sessions (
    sid, branch, revision, change_number, scid, start_time, next_timer_at, version, max_members, member_count, accepted_count,
    visibility, join_restriction, read_restriction, closed, template, name, keywords, body, private)
values (
    '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', 3, 2, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7',
    '2031-01-01T00:00:00Z', '2031-01-01T00:00:30Z', 1, 8, 2, 1, 0, 1, 0, false, 'Lobby', 'One', '{Eu}', '{"a":1}', '{"members":[]}');

insert into timers (sid, due_at) values ('00000000-0000-0000-0000-000000000001', '2031-01-01T00:00:30Z');

insert into members (sid, index, state, turn, xuid, scid, connection, template_key, device_id)
values
    ('00000000-0000-0000-0000-000000000001', 0, 3, true, 1, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7',
        '00000000-0000-0000-0000-0000000000c1', 'lobby', 'device'),
    ('00000000-0000-0000-0000-000000000001', 1, 0, false, -1, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', null, 'lobby', null);

insert into former_members (sid, branch, xuid)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', 7);

insert into keywords (scid, keyword, start_time, name, sid, template_key)
values (
    '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 'eu', '2031-01-01T00:00:00Z', 'One', '00000000-0000-0000-0000-000000000001', 'lobby');
