-- What instances tell each other goes over NOTIFY, which every login role of the database may use. So each hint is sealed with this key,
-- which only the service can read; a hint without the seal is not listened to.

create table hint_key (
    one boolean primary key default true check (one),
    key bytea   not null
);

insert into hint_key (key) values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

comment on table hint_key is 'seals what instances tell each other';
