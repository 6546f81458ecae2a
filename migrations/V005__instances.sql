-- The service processes that share this database, and the sockets that live in them.

create table instances (
    id               uuid        primary key,
    started_at       timestamptz not null,
    lease_expires_at timestamptz not null
);

create table connections (
    id        uuid        primary key,
    instance  uuid        not null,
    xuid      bigint      not null,
    opened_at timestamptz not null
);

create index connections_instance on connections (instance);

-- At most one row: the instance whose development clock moves the time of this database.
create table dev_lease (
    one        boolean     primary key default true check (one),
    instance   uuid        not null,
    expires_at timestamptz not null
);
