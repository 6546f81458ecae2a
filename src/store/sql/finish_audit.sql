update audit set outcome = $2 where id = $1
