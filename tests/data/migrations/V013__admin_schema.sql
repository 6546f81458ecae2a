-- A change that holds what jsonb refuses: it is shown all the same.
insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor, delta)
values ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b1', 100, '2031-01-01T00:00:02Z',
    '00000000-0000-0000-0000-0000000000da', 64, 0, false, 'xuid:1', '{"properties":{"custom":{"a":"\u0000\ud800"}}}');
