select scid, titles, revision from service_configs order by scid
