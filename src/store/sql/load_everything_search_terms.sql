select sid, term, scid, template_key, posted_at
from search_terms
where sid > $1 and sid <= $2
order by sid, term
