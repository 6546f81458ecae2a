-- A service config with rate limits of its own.
insert into service_configs (scid, titles, revision, throttle)
values ('00000000-0000-0000-0000-0000000000f4', '{}', 1, '{"requests_burst_max":60}');
