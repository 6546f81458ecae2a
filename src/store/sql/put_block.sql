insert into blocks (xuid, blocked) values ($1, $2) on conflict (xuid, blocked) do nothing
