-- Service configs and their session templates. The database is the truth: files are imported into it.

create table service_configs (
    scid        uuid     primary key,
    titles      bigint[] not null,
    revision    bigint   not null,
    source_hash text
);

comment on column service_configs.titles is 'title ids that may use the service config; empty means any';

create table session_templates (
    scid             uuid   not null,
    name_key         text   not null collate "C",
    name             text   not null,
    contract_version int    not null,
    revision         bigint not null,
    document         text   not null,
    primary key (scid, name_key)
);

comment on column session_templates.document is 'as it was published; defaults are applied when it is read';

-- One row. The revision rises with every import and publication: instances watch it to know when to read the catalog again.
create table catalog (
    one         boolean primary key default true check (one),
    revision    bigint  not null,
    source_hash text
);

insert into catalog (revision) values (0);
