-- A large session with an owner and a member whose time runs.
insert into sessions (
    sid, branch, revision, change_number, scid, start_time, next_timer_at, version, max_members, member_count, accepted_count,
    visibility, join_restriction, read_restriction, closed, template, name, keywords, body, private, large)
values (
    '00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-0000000000b3', 1, 1, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7',
    '2031-01-01T00:00:00Z', '2031-01-01T00:03:00Z', 1, 2000, 2, 2, 0, 0, 0, false, 'Arena', 'Three', '{}', '{}', '{"large":{}}', true);

insert into members (
    sid, index, state, turn, xuid, scid, connection, template_key, device_id, owner, document, since, due_at, joined_at)
values
    ('00000000-0000-0000-0000-000000000003', 0, 3, false, 1, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', null, 'arena', 'device', true,
        '{"a":1}', '2031-01-01T00:00:00Z', null, '2031-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000003', 1, 2, false, 2, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', null, 'arena', null, false,
        '{"a":2}', '2031-01-01T00:00:00Z', '2031-01-01T00:03:00Z', '2031-01-01T00:00:00Z');
