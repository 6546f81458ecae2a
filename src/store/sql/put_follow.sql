insert into follows (xuid, followed, favorite) values ($1, $2, $3)
on conflict (xuid, followed) do update set favorite = excluded.favorite where follows.favorite <> excluded.favorite
