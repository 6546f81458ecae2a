//! Merging a request into what is stored (writes.md, Merge semantics).

use rstest::rstest;

use super::*;

#[test]
fn w10_fields_are_replaced_whole_and_the_rest_stays() {
    let mut stage = Stage::card();
    stage.put(
        &ada(),
        r#"{"properties":{"custom":{"a":{"x":1,"y":2},"b":1},"system":{"description":{"text":"one","locale":"en"}}}}"#,
    );
    stage.put(&ada(), r#"{"properties":{"custom":{"a":{"x":3}},"system":{"description":{"text":"two"}}}}"#);
    assert_eq!(stage.at("properties.custom"), r#"{"a":{"x":3},"b":1}"#);
    assert_eq!(stage.at("properties.system.description"), r#"{"text":"two"}"#);
    stage.put(&ada(), r#"{"members":{"me":{"properties":{"custom":{"a":{"x":1},"b":2}}}}}"#);
    stage.put(&ada(), r#"{"members":{"me":{"properties":{"custom":{"a":{"y":1},"b":null}}}}}"#);
    assert_eq!(stage.at("members.0.properties.custom"), r#"{"a":{"y":1}}"#);
}

#[test]
fn w11_null_deletes_a_field_and_an_absent_one_again() {
    let mut stage = Stage::card();
    stage.put(&ada(), r#"{"properties":{"custom":{"a":1,"keep":{"n":null}},"system":{"searchHandleVisibility":"xboxlive"}}}"#);
    let delete = r#"{"properties":{"custom":{"a":null},"system":{"searchHandleVisibility":null}}}"#;
    assert_eq!(stage.put(&ada(), delete), 200);
    assert_eq!(stage.at("properties.custom"), r#"{"keep":{"n":null}}"#);
    assert_eq!(stage.at("properties.system.searchHandleVisibility"), "");
    assert!(stage.put(&ada(), delete).is_quiet());
}

#[test]
fn s03_system_data_holds_no_null_at_any_depth() {
    let mut stage = Stage::card();
    let body = r#"{"matchmaking":{"targetSessionConstants":{"system":{"a":null,"b":{"c":null}},"custom":{"d":null}}},"description":{"text":"t","locale":null}}"#;
    assert_eq!(stage.put(&ada(), &system(body)), 200);
    assert_eq!(
        stage.at("properties.system.matchmaking.targetSessionConstants"),
        r#"{"system":{"b":{}},"custom":{"d":null}}"#,
        "custom data may hold nulls"
    );
    assert_eq!(stage.at("properties.system.description"), r#"{"text":"t"}"#);
    assert_eq!(stage.put(&ada(), &own(r#"{"arbitration":{"results":{"red":{"outcome":"win","ranking":null}}}}"#)), 200);
    assert_eq!(stage.at("members.0.properties.system.arbitration"), r#"{"results":{"red":{"outcome":"win"}}}"#);
    assert_eq!(stage.put(&ada(), &own(r#"{"arbitration":{"results":[null]}}"#)), 400);
}

#[test]
fn w12_active_clears_ready() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&bo(), &own(r#"{"ready":true}"#)), 200);
    assert_eq!(stage.at("members.1.properties.system"), r#"{"ready":true}"#);
    assert_eq!(stage.put(&bo(), &own(r#"{"active":true}"#)), 200);
    assert_eq!(stage.at("members.1.properties.system"), r#"{"active":true}"#);
    assert_eq!(stage.put(&bo(), &own(r#"{"ready":true}"#)), 200);
    assert_eq!(stage.at("members.1.properties.system"), r#"{"ready":true}"#);
    assert!(stage.put(&bo(), &own(r#"{"active":false}"#)).is_quiet(), "the flag that is not set");
    assert_eq!(stage.put(&bo(), &own(r#"{"active":true,"ready":false}"#)), 200);
    assert_eq!(stage.at("members.1.properties.system"), r#"{"active":true}"#);
}

#[test]
fn w12_subscriptions_merge_by_id_and_encounters_are_consumed() {
    let mut stage = Stage::card();
    let one = "6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01";
    let two = "b7e0f1a2-3c4d-4e5f-8a9b-0c1d2e3f4a02";
    stage.put(&ada(), &own(&format!(r#"{{"subscriptions":{{"{one}":{{"profile":"Party"}},"{two}":{{"profile":"queue"}}}}}}"#)));
    stage.put(&ada(), &own(&format!(r#"{{"subscriptions":{{"{two}":null}}}}"#)));
    assert_eq!(stage.at("members.0.properties.system.subscriptions"), format!(r#"{{"{one}":{{"profile":"party"}}}}"#));
    stage.put(&ada(), &own(&format!(r#"{{"subscriptions":{{"{one}":null}}}}"#)));
    assert_eq!(stage.at("members.0.properties.system.subscriptions"), "");
    let second = format!(r#"{{"secondarySubscriptions":{{"a":{{"changeTypes":[],"rta":{{"connection":"{CONNECTION}"}}}}}}}}"#);
    stage.put(&ada(), &own(&second));
    assert_eq!(
        stage.at("members.0.properties.system.secondarySubscriptions"),
        format!(r#"{{"a":{{"rta":{{"connection":"{CONNECTION}"}}}}}}"#)
    );
    let number = stage.at("changeNumber");
    assert!(stage.put(&ada(), &own(r#"{"encounters":["corridor"]}"#)).is_quiet(), "S-83");
    assert_eq!(stage.at("changeNumber"), number);
    assert_eq!(stage.put(&ada(), &own(r#"{"encounters":["no way"]}"#)), 400);
}

#[rstest]
#[case("subscriptions", r#"{"profile":"party"}"#)]
#[case("secondarySubscriptions", r#"{"changeTypes":["everything"]}"#)]
fn n16_s95_a_member_has_so_many_subscriptions_with_so_long_ids(#[case] field: &str, #[case] entry: &str) {
    let mut stage = Stage::card();
    let entries = |ids: std::ops::Range<usize>| {
        let entries: Vec<String> = ids.map(|id| format!(r#""{id}":{entry}"#)).collect();
        own(&format!(r#"{{"{field}":{{{}}}}}"#, entries.join(",")))
    };
    assert_eq!(stage.put(&ada(), &entries(0..20)), 200);
    assert_eq!(stage.put(&ada(), &entries(12..32)), 200, "they merge to 32");
    let answer = stage.put(&ada(), &entries(32..33));
    assert_eq!(answer, 400);
    assert!(answer.text().contains(&format!("members.me.properties.system.{field}:")), "{}", answer.text());
    assert_eq!(stage.put(&ada(), &own(&format!(r#"{{"{field}":{{"0":null,"x":{entry}}}}}"#))), 200);
    assert_eq!(stage.put(&ada(), &own(&format!(r#"{{"{field}":null}}"#))), 200);

    let with_id = |id: &str| own(&format!(r#"{{"{field}":{{"{id}":{entry}}}}}"#));
    assert_eq!(stage.put(&ada(), &with_id(&"é".repeat(100))), 200);
    let answer = stage.put(&ada(), &with_id(&"é".repeat(101)));
    assert_eq!(answer, 400);
    assert!(answer.text().contains(field) && answer.text().len() < 200, "{}", answer.text());
}

#[rstest]
#[case::empties(r#"{"a":1}"#, "null", "{}")]
#[case::text_replaces(r#"{"a":1}"#, r#""text""#, r#""text""#)]
#[case::object_replaces_text(r#""text""#, r#"{"a":1}"#, r#"{"a":1}"#)]
#[case::empty_object_replaces_text(r#""text""#, "{}", "{}")]
#[case::list_replaces_text(r#""text""#, "[1]", "[1]")]
fn w13_custom_that_is_no_object_is_replaced(#[case] first: &str, #[case] second: &str, #[case] after: &str) {
    let mut stage = Stage::card();
    for custom in [first, second] {
        stage.put(
            &ada(),
            &format!(r#"{{"properties":{{"custom":{custom}}},"members":{{"me":{{"properties":{{"custom":{custom}}}}}}}}}"#),
        );
    }
    assert_eq!(stage.at("properties.custom"), after);
    assert_eq!(stage.at("members.0.properties.custom"), after, "S-01");
}

#[test]
fn w14_empty_lists_mean_no_value_but_for_turn() {
    let mut stage = Stage::card();
    stage.put(&ada(), &system(r#"{"keywords":["eu"],"serverConnectionStringCandidates":["a"],"turn":[0]}"#));
    stage.put(&ada(), &own(r#"{"groups":["red"],"initializationGroup":[0]}"#));
    assert_eq!(stage.put(&ada(), &system(r#"{"keywords":[],"serverConnectionStringCandidates":[],"turn":[]}"#)), 200);
    assert_eq!(stage.at("properties.system"), r#"{"joinRestriction":"none","readRestriction":"none","turn":[]}"#);
    assert_eq!(stage.put(&ada(), &own(r#"{"groups":[],"initializationGroup":[]}"#)), 200);
    assert_eq!(stage.at("members.0.properties.system"), r#"{"active":true}"#);
    stage.put(&ada(), &system(r#"{"keywords":["eu","na"]}"#));
    stage.put(&ada(), &system(r#"{"keywords":["as"]}"#));
    assert_eq!(stage.at("properties.system.keywords"), r#"["as"]"#, "replaced, not joined");
}

#[test]
fn w15_one_wrong_field_rejects_the_whole_request() {
    let mut stage = Stage::card();
    let before = stage.get();
    let body = r#"{"properties":{"custom":{"a":1},"system":{"turn":[9]}},"members":{"me":{"properties":{"custom":{"b":1}}}}}"#;
    assert_eq!(stage.put(&ada(), body), 400);
    assert_eq!(stage.get(), before);
}

#[test]
fn w16_s96_custom_data_comes_back_as_written() {
    let mut stage = Stage::card();
    let custom = r#"{"big":18446744073709551617,"float":1.10,"huge":1e400,"nul":"\u0000","half":"\ud800","b":1,"a":2}"#;
    stage.put(&ada(), &format!(r#"{{"properties":{{"custom":{custom}}}}}"#));
    assert_eq!(stage.at("properties.custom"), custom, "W-17 as well");
}

#[test]
fn w18_properties_of_a_response_may_be_sent_back() {
    let mut stage = Stage::of(
        r#"{"constants":{"system":{"inactiveRemovalTimeout":null,"capabilities":{"connectivity":true,"clientMatchmaking":true}}}}"#,
    );
    let sda = "AAAAAAAA00112233445566778899aabbccddeeff";
    let me = format!(
        r#"{{"active":true,"connection":"{CONNECTION}","subscription":{{"id":"6A1D9C3E-0f4b-4e27-8f6d-1b2c3d4e5f01","changeTypes":["everything"]}},
        "secondarySubscriptions":{{"x":{{"changeTypes":["host"]}}}},"secureDeviceAddress":"{sda}","initializationGroup":[1],"groups":["red"],
        "measurements":{{"ABC":{{"latency":12.0,"custom":{{"n":null}}}}}},"serverMeasurements":{{}},"RolePreference":{{"healer":50.0}},
        "arbitration":{{"results":{{}}}}}}"#
    );
    let body = format!(
        r#"{{"properties":{{"custom":{{"n":1.0,"z":{{"y":null}}}},"system":{{"joinRestriction":"followed","closed":true,"locked":true,
        "keywords":["EU"],"turn":[0,1],"host":"F56CAD2BA680F530A25F98EB28C573F6","serverConnectionStringCandidates":["a:1"],
        "matchmaking":{{"clientResult":{{"status":"Found","typicalWait":5}},"resubmit":false}},"matchmakingResubmit":false,
        "allocateCloudCompute":true,"description":{{"text":"t"}},"scheduledTime":"2031-05-05T18:00:00.1234567+02:00","searchHandleVisibility":"xboxlive"}}}},
        "members":{{"me":{{"properties":{{"system":{me},"custom":"text"}}}},"reserve_0":{{"constants":{{"system":{{"xuid":"7"}}}}}}}}}}"#
    );
    assert_eq!(stage.put(&ada(), &body), 201);
    stage.advance(5);
    let session = stage.at("properties");
    assert_eq!(stage.at("properties.system.turn"), "[0,1]");
    assert_ne!(stage.at("properties.system.host"), "");
    assert!(stage.put(&ada(), &format!(r#"{{"properties":{session}}}"#)).is_quiet());
    let member = stage.at("members.0.properties");
    assert!(stage.put(&ada(), &format!(r#"{{"members":{{"me":{{"properties":{member}}}}}}}"#)).is_quiet());
    let both = format!(r#"{{"properties":{session},"members":{{"0":{{"properties":{member}}}}}}}"#);
    assert!(stage.put(&ada(), &both).is_quiet());
}

#[test]
fn w18_a_state_that_could_not_be_sent_back_is_never_reached() {
    let mut stage = Stage::of(LOBBY);
    let active = format!(r#"{{"active":true,"connection":"{CONNECTION}"}}"#);
    assert_eq!(stage.put(&ada(), &own(&active)), 201);
    assert_eq!(stage.put(&ada(), &own(r#"{"connection":null}"#)), 400, "M-30: an active member needs one");
    let token = "f56cad2ba680f530a25f98eb28c573f6";
    assert_eq!(stage.put(&ada(), &own(&format!(r#"{{"measurements":{{"{token}":{{"latency":1}}}}}}"#))), 200);
    let address = r#"{"secureDeviceAddress":"AAAAAAAA00112233445566778899aabbccddeeff"}"#;
    assert_eq!(stage.put(&ada(), &own(address)), 400, "S-84: measurements would name the own device");
    let group = format!(
        r#"{{"members":{{"me":{{"properties":{{"system":{{"initializationGroup":[1]}}}}}},"reserve_0":{{"constants":{{"system":{{"xuid":"{}"}}}}}}}}}}"#,
        ada().xuid().unwrap()
    );
    assert_eq!(stage.put(&ada(), &group), 400, "S-81: the reservation is for who is there already, so there is no member 1");
    assert_eq!(stage.put(&ada(), &system(r#"{"scheduledTime":"9999-12-31T23:59:59-01:00"}"#)), 400, "S-07: no such year in UTC");
}
