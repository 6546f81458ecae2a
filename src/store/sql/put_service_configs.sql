-- Service configs of an import; one that did not change keeps its revision.
insert into service_configs as c (scid, titles, source_hash, revision, game_types, throttle)
select scid, ($4::bigint[])[first_title:last_title], $5, $6, game_types, throttle
from unnest($1::uuid[], $2::int[], $3::int[], $7::text[], $8::text[]) as given (scid, first_title, last_title, game_types, throttle)
on conflict (scid) do update
set titles = excluded.titles, source_hash = excluded.source_hash, revision = excluded.revision, game_types = excluded.game_types,
    throttle = excluded.throttle
where (c.titles, c.game_types, c.throttle) is distinct from (excluded.titles, excluded.game_types, excluded.throttle)
