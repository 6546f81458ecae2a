-- The social source and administration: who follows and blocks whom, who is banned, and who did what to this service.

create table follows (
    xuid     bigint  not null,
    followed bigint  not null,
    favorite boolean not null,
    primary key (xuid, followed)
);

create index follows_followed on follows (followed, xuid);

create table blocks (
    xuid    bigint not null,
    blocked bigint not null,
    primary key (xuid, blocked)
);

create index blocks_blocked on blocks (blocked, xuid);

create table bans (
    xuid       bigint      primary key,
    reason     text        not null,
    expires_at timestamptz
);

create table audit (
    id     uuid        primary key,
    at     timestamptz not null,
    actor  text        not null,
    action text        not null,
    detail text
);

create index audit_at on audit (at desc);
