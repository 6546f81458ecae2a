-- Two changes, in the default partition and in one of its own.
select ensure_changes_partition('2031-01-02');

insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor, delta, departed)
values
    ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', 1, '2031-01-01T00:00:00Z',
        '00000000-0000-0000-0000-0000000000d1', 1, 0, false, 'xuid:1', '{}', null),
    ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', 2, '2031-01-02T00:00:00Z',
        '00000000-0000-0000-0000-0000000000d2', 1, 1, false, 'timer', '{}', '[]');
