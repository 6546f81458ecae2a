-- With sixteen pages a range, busy services asked for more summaries than PostgreSQL takes down, and its log said so each time.
drop index changes_at;

create index changes_at on changes using brin (at) with (pages_per_range = 128, autosummarize = on);
