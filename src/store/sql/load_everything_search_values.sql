select sid, attribute, scid, template_key, posted_at, number, text, text_key
from search_values
where sid > $1 and sid <= $2
order by sid, attribute
