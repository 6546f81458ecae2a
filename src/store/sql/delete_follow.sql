delete from follows where xuid = $1 and followed = $2
