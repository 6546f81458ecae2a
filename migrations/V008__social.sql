-- Who plays, newest first, for installations where everybody follows everybody; and what a service config's title is called on each
-- platform.

create index handles_newest on handles (created_at) where type = 0;

alter table service_configs add column game_types text;

comment on column service_configs.game_types is
    'by platform {"titleId", "pfn", "boundPfns"}, as handles show it (H-33); null when nothing is configured';
