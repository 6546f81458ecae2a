select scid, titles, game_types, throttle, revision from service_configs order by scid
