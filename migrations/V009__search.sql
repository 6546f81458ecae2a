-- Search handles, and what sessions are found by: one row per value and one per entry of a list, so that every condition and every order
-- of a search has an index to walk. The rows are projected from the session, like all that repeats it.

-- Where a transfer handle comes from: the accepted members of that session may follow it.
alter table handles
    add column origin_sid  uuid,
    add column origin_scid uuid;

-- One search handle per session, and all of a template in the order they were posted in.
create unique index handles_search on handles (sid) where type = 2;
create index handles_posted on handles (scid, lower(template collate "C"), created_at, sid) where type = 2;

create table search_values (
    sid          uuid             not null,
    attribute    text             not null collate "C",
    scid         uuid             not null,
    template_key text             not null collate "C",
    posted_at    timestamptz      not null,
    number       double precision,
    text         text             collate "C",
    text_key     text             collate "C",
    primary key (sid, attribute)
) with (fillfactor = 80);

create index search_values_number on search_values (scid, template_key, attribute, number, posted_at, sid) where number is not null;
create index search_values_text on search_values (scid, template_key, attribute, text_key, posted_at, sid) where text_key is not null;

comment on table search_values is 'what listed sessions are compared and ordered by, one row per value';
comment on column search_values.attribute is 'the path in the filter grammar, in lower case';
comment on column search_values.posted_at is 'when the search handle was made, the order among equal values';
comment on column search_values.number is 'instants are in microseconds since 1970';
comment on column search_values.text is 'in lower case';
comment on column search_values.text_key is 'what the index has of the text: its first 256 characters, which decide the order';

create table search_terms (
    sid          uuid        not null,
    term         text        not null collate "C",
    scid         uuid        not null,
    template_key text        not null collate "C",
    posted_at    timestamptz not null,
    primary key (sid, term)
);

create index search_terms_posted on search_terms (scid, template_key, term, posted_at, sid);

comment on table search_terms is 'entries of lists that listed sessions are found by';
comment on column search_terms.term is 'the list and the entry in lower case, as in tags:cooponly';
