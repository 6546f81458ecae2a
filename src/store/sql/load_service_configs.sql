select scid, titles, game_types, revision from service_configs order by scid
