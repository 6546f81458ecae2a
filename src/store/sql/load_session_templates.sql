select scid, name_key, name, contract_version, revision, document from session_templates order by scid, name_key
