-- The key is there already.
select key from hint_key;
