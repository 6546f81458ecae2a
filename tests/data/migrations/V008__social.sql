-- A service config that names its title on two platforms.
insert into service_configs (scid, titles, revision, game_types)
values ('4fc10100-5f7a-4470-899b-280835760c07', '{}', 1,
    '{"uwp":{"titleId":"896928775","pfn":"Maker.Game_8wekyb3d8bbwe","boundPfns":[]},"console":{"titleId":"1","pfn":"","boundPfns":[]}}');
