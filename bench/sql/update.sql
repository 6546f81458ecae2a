-- One row: the document with another value in it, if the version is the one that is expected.
\set tick random(10000000, 99999999)
update sessions
set body = overlay(body placing (:tick)::text from position('"tick":' in body) + 7), change_number = change_number + 1,
    revision = revision + 1
where sid = md5((:n)::text)::uuid and revision > 0;
