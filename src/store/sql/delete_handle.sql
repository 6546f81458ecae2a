-- A handle is deleted by its id; whoever replaced it meanwhile keeps the new one, which has another id.
delete from handles where id = $1 returning id
