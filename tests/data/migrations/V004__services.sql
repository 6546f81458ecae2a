-- A service config with a template.
insert into service_configs (scid, titles, revision, source_hash) values ('5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', '{7}', 1, 'x');

insert into session_templates (scid, name_key, name, contract_version, revision, document)
values ('5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7', 'lobby', 'Lobby', 107, 1, '{"constants":{"system":{}}}');

update catalog set revision = 1, source_hash = 'x';
