-- A change that follows upon those of V013: the index of the log is made anew over all of them.
insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor, delta)
values ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b1', 101, '2031-01-01T00:00:03Z',
    '00000000-0000-0000-0000-0000000000db', 64, 0, false, 'xuid:1', '{"properties":{"custom":{"a":1}}}');
