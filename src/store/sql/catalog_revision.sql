-- Whether the catalog has moved since it was read: asked every second.
select revision, source_hash from catalog
