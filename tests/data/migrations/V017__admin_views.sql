-- A service config with rate limits that jsonb refuses: the view shows them all the same.
insert into service_configs (scid, titles, revision, throttle)
values ('00000000-0000-0000-0000-0000000000f5', '{}', 1, '{"requests_burst_max":1e999}');
