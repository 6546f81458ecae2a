select key from hint_key
