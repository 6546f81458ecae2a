delete from blocks where xuid = $1 and blocked = $2
