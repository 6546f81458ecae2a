//! The document as clients see it (session-document.md).

use super::*;

#[test]
fn s02_every_key_that_clients_rely_on_is_there() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    let document = stage.get();
    for key in [
        "contractVersion",
        "branch",
        "changeNumber",
        "correlationId",
        "startTime",
        "constants",
        "properties",
        "members",
        "membersInfo",
        "servers",
    ] {
        assert!(document.get(key).is_some(), "{key}");
    }
    for path in ["constants.system", "constants.custom", "properties.system", "properties.custom"] {
        for at in [path.to_owned(), format!("members.0.{path}"), format!("members.1.{path}")] {
            assert!(stage.at(&at).starts_with('{'), "{at}");
        }
    }
    assert_eq!(stage.at("servers"), "{}");
}

#[test]
fn s12_s20_to_s24_the_head_of_the_document() {
    let mut stage = Stage::with(r#"{"version":3}"#);
    assert_eq!(stage.at("contractVersion"), "307");
    assert_eq!(Stage::with("{}").at("contractVersion"), "107");
    assert_eq!(stage.at("changeNumber"), "1", "S-22");
    assert_eq!(stage.at("startTime"), r#""2031-04-05T18:00:00.1230000Z""#, "S-07");
    for name in ["branch", "correlationId"] {
        let id = stage.at(name).replace('"', "");
        assert!(id.len() == 36 && id == id.to_lowercase(), "{id}");
    }
    assert_eq!(stage.at("correlationId"), format!(r#""{}""#, stage.reference.sid()));
    assert_eq!(stage.at("searchHandle"), "");
}

#[test]
fn s04_ids_are_strings_and_counters_are_integers() {
    let mut stage = Stage::of(OPEN);
    let xuid = ada().xuid().unwrap();
    let body = format!(
        r#"{{"constants":{{"system":{{"initiators":[{xuid}],"maxMembersCount":1e1}}}},"members":{{"me":{{"constants":{{"system":{{"xuid":{xuid}}}}},"properties":{{"system":{{"active":true}}}}}},"reserve_0":{{"constants":{{"system":{{"xuid":18446744073709551615}}}}}}}}}}"#
    );
    assert_eq!(stage.put(&ada(), &body), 201);
    assert_eq!(stage.at("constants.system.initiators"), format!(r#"["{xuid}"]"#));
    assert_eq!(stage.at("constants.system.maxMembersCount"), "10");
    assert_eq!(stage.at("members.0.constants.system.xuid"), format!(r#""{xuid}""#));
    assert_eq!(stage.at("members.1.constants.system.xuid"), r#""18446744073709551615""#);
    assert_eq!(stage.at("members.0.activeTitleId"), r#""1739200451""#);
}

#[test]
fn s08_flags_that_are_false_are_absent() {
    let mut stage = Stage::card();
    let flags = r#"{"closed":false,"locked":false,"allocateCloudCompute":false}"#;
    assert!(stage.put(&ada(), &system(flags)).is_quiet());
    stage.put(&ada(), &system(&flags.replace("false", "true")));
    assert_eq!(stage.put(&ada(), &system(flags)), 200);
    assert_eq!(stage.at("properties.system"), r#"{"joinRestriction":"none","readRestriction":"none","turn":[]}"#);
    stage.put(&ada(), &system(r#"{"matchmakingResubmit":false}"#));
    assert_eq!(stage.at("properties.system.matchmakingResubmit"), "false", "S-50");
    stage.put(&bo(), r#"{"members":{"me":{"constants":{"system":{"initialize":"False"}}}}}"#);
    assert_eq!(stage.at("members.1.constants.system.initialize"), "");
    for text in ["turn", "reserved"] {
        assert_eq!(stage.at(&format!("members.1.{text}")), "");
    }
}

#[test]
fn s08_a_templates_false_capability_is_shown() {
    let mut stage = Stage::of(r#"{"constants":{"system":{"capabilities":{"gameplay":false,"crossPlay":true}}}}"#);
    let body = |gameplay: bool| creating(&format!(r#"{{"capabilities":{{"gameplay":{gameplay},"connectivity":false}}}}"#));
    assert_eq!(stage.put(&ada(), &body(true)), 409);
    assert_eq!(stage.put(&ada(), &body(false)), 201);
    assert_eq!(stage.at("constants.system.capabilities"), r#"{"gameplay":false,"crossPlay":true}"#);
    assert_eq!(stage.put(&ada(), r#"{"constants":{"system":{"capabilities":{"crossPlay":false}}}}"#), 409);
}

#[test]
fn s40_to_s53_session_properties_are_kept_in_the_contracts_spelling() {
    let mut stage = Stage::with(r#"{"capabilities":{"clientMatchmaking":true}}"#);
    let fields = r#"{"joinRestriction":"Followed","readRestriction":"NONE","keywords":["EU","eu","Na"],
        "serverConnectionStringCandidates":["A","a","b"],"matchmaking":{"clientResult":{"status":"SEARCHING"},"serverConnectionString":"x"},
        "description":{"text":"hello","locale":"en-US"},"scheduledTime":"2031-05-05T18:00:00+02:00","searchHandleVisibility":"xboxlive"}"#;
    assert_eq!(stage.put(&ada(), &system(fields)), 200);
    for (name, value) in [
        ("joinRestriction", r#""followed""#),
        ("readRestriction", r#""none""#),
        ("keywords", r#"["EU","Na"]"#),
        ("serverConnectionStringCandidates", r#"["A","b"]"#),
        ("matchmaking.clientResult.status", r#""searching""#),
        ("description", r#"{"text":"hello","locale":"en-US"}"#),
        ("scheduledTime", r#""2031-05-05T16:00:00.0000000Z""#),
        ("searchHandleVisibility", r#""xboxlive""#),
    ] {
        assert_eq!(stage.at(&format!("properties.system.{name}")), value, "{name}");
    }
    let long = format!(r#"{{"description":{{"text":"{}"}}}}"#, "é".repeat(1025));
    assert_eq!(stage.put(&ada(), &system(&long)), 400, "S-51");
}

#[test]
fn s47_to_s49_properties_that_need_something_are_refused_without_it() {
    let mut stage = Stage::card();
    for fields in [
        r#"{"initializationSucceeded":true}"#,
        r#"{"owners":[0]}"#,
        r#"{"matchmaking":{"clientResult":{"status":"found"}}}"#,
        r#"{"joinRestriction":"friends"}"#,
        r#"{"scheduledTime":"soon"}"#,
    ] {
        assert_eq!(stage.put(&ada(), &system(fields)), 400, "{fields}");
    }
    assert!(stage.put(&ada(), &system(r#"{"initializationSucceeded":null,"owners":null}"#)).is_quiet(), "W-11");
}

#[test]
fn s05_a_session_keeps_the_case_it_was_created_in() {
    let mut stage = Stage::of(CARD);
    stage.reference.name = SessionName::parse("Harbor-One").unwrap();
    stage.put(&ada(), ACTIVE);
    let correlation = stage.at("correlationId");
    stage.reference.name = SessionName::parse("harbor-ONE").unwrap();
    stage.put(&bo(), ACTIVE);
    assert_eq!(stage.session().reference.name.as_str(), "Harbor-One");
    assert_eq!(stage.at("correlationId"), correlation, "S-23");
}

#[test]
fn s60_the_list_of_members_can_be_walked() {
    let mut stage = Stage::card();
    for who in [bo(), cy(), dee()] {
        stage.put(&who, ACTIVE);
    }
    stage.put(&cy(), LEAVES);
    let (mut at, mut walked) = (stage.at("membersInfo.first"), Vec::new());
    while at != stage.at("membersInfo.next") {
        walked.push(stage.at(&format!("members.{at}.gamertag")));
        at = stage.at(&format!("members.{at}.next"));
    }
    assert_eq!(walked, [r#""AdaLumen""#, r#""BoTide""#, r#""DeeWren""#]);
}

#[test]
fn a_gamertag_is_shown_only_when_the_token_had_one() {
    let mut stage = Stage::card();
    stage.put(&with(bo(), |user| user.gamertag = None), ACTIVE);
    assert_eq!(stage.at("members.1.gamertag"), "");
}
