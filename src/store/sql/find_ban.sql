select xuid, reason, expires_at, created_at, created_by from bans where xuid = $1
