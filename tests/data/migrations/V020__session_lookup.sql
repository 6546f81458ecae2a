-- A session that a hash finds among those of before.
insert into sessions (
    sid, branch, revision, change_number, scid, start_time, version, max_members, member_count, accepted_count, visibility,
    join_restriction, read_restriction, closed, template, name, keywords, body, private)
values (
    '00000000-0000-0000-0000-000000000020', '00000000-0000-0000-0000-0000000000b1', 1, 1, '5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7',
    '2031-01-01T00:00:05Z', 1, 8, 0, 0, 0, 0, 0, false, 'Lobby', 'Twenty', '{}', '{}', '{"members":[]}');
