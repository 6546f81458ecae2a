-- Takes or renews the lease of the development clock; no row while another instance holds it.
insert into dev_lease as l (instance, expires_at) values ($1, $3)
on conflict (one) do update set instance = excluded.instance, expires_at = excluded.expires_at
where l.instance = excluded.instance or l.expires_at <= $2
returning instance
