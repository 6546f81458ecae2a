-- Templates of an import or a publication; one that did not change keeps its revision.
insert into session_templates as t (scid, name_key, name, contract_version, document, revision)
select scid, name_key, name, contract_version, document, $6
from unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[]) as given (scid, name_key, name, contract_version, document)
on conflict (scid, name_key) do update
set name = excluded.name, contract_version = excluded.contract_version, document = excluded.document, revision = excluded.revision
where (t.name, t.contract_version, t.document) is distinct from (excluded.name, excluded.contract_version, excluded.document)
