update catalog set revision = revision + 1, source_hash = coalesce($1, source_hash) returning revision
