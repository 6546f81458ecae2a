-- There is no index on sid here: a check may read the whole table, a write should not keep another index.
select sid, keyword, scid, start_time, name, template_key
from keywords
where sid > $1 and sid <= $2
order by sid, keyword
