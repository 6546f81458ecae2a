-- What V014 gave to service configs, for readers; and what V013 said of an index that there is not.

create or replace view admin.service_configs as
select scid, titles, admin.document(game_types) as game_types, revision, admin.document(throttle) as throttle
from service_configs;

comment on column admin.service_configs.throttle is
    'rate limits that differ from the installation, numbers by key; null means none';

-- The indexes on owners are partial, by type, which the view shows as words: a filter by owner alone reaches none of them.
comment on column admin.handles.owner_key is 'the owner as the stored number: compare with admin.xuid(…); has no index of its own';
