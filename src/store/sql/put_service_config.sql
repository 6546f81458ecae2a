-- One service config; what is not given stays. One that did not change keeps its revision.
insert into service_configs as c (scid, titles, revision, game_types, throttle)
values ($1, $2, $3, $5, $7)
on conflict (scid) do update
set titles = excluded.titles, source_hash = null, revision = excluded.revision,
    game_types = case when $4 then excluded.game_types else c.game_types end,
    throttle = case when $6 then excluded.throttle else c.throttle end
where c.titles is distinct from excluded.titles
    or ($4 and c.game_types is distinct from excluded.game_types)
    or ($6 and c.throttle is distinct from excluded.throttle)
