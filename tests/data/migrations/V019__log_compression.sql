-- A change whose row the older method would have compressed, in the default partition.
insert into changes (sid, branch, change_number, at, write_id, kinds, cause, deleted, actor, delta)
values ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b1', 102, '2031-01-01T00:00:04Z',
    '00000000-0000-0000-0000-0000000000dc', 64, 0, false, 'xuid:1',
    '{"properties":{"custom":{"a":"' || repeat('long ', 800) || '"}}}');
