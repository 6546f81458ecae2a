select scid from service_configs where scid = $1
