-- Service configs of an import; one that did not change keeps its revision.
insert into service_configs as c (scid, titles, source_hash, revision)
select scid, ($4::bigint[])[first_title:last_title], $5, $6
from unnest($1::uuid[], $2::int[], $3::int[]) as given (scid, first_title, last_title)
on conflict (scid) do update
set titles = excluded.titles, source_hash = excluded.source_hash, revision = excluded.revision
where c.titles <> excluded.titles
