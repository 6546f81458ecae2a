//! The states of members, what they carry, and what goes when they go (members.md, and the members of session-document.md).

use rstest::rstest;

use super::*;

#[test]
fn m01_active_and_ready_exclude_each_other() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &own(r#"{"active":true,"ready":true}"#)), 400);
    assert_eq!(stage.put(&ada(), &own(r#"{"active":false,"ready":false}"#)), 200);
    assert_eq!(stage.at("members.0.properties.system"), "{}", "S-08: false is not shown");
    assert_eq!(stage.put(&ada(), &own(r#"{"active":"true"}"#)), 400);
}

#[test]
fn m02_a_reservation_has_no_properties_until_accepted() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    assert_eq!(stage.at("members.1.properties"), r#"{"system":{},"custom":{}}"#, "S-02");
    assert_eq!(
        stage.at("members.1.constants"),
        format!(r#"{{"system":{{"xuid":"{}","index":1}},"custom":{{}}}}"#, bo().xuid().unwrap())
    );
    stage.put(&bo(), HERE);
    assert_eq!(stage.at("members.1.properties.system"), "{}", "inactive");
    assert_eq!(stage.at("membersInfo"), r#"{"first":0,"next":2,"count":2,"accepted":2,"active":1}"#, "S-30");
}

/// The table of transitions: a member's state before, the flags it writes, and what it shows then.
#[rstest]
#[case("{}", r#"{"ready":true}"#, r#"{"ready":true}"#)]
#[case("{}", r#"{"active":true}"#, r#"{"active":true}"#)]
#[case("{}", r#"{"active":false}"#, "{}")]
#[case(r#"{"ready":true}"#, r#"{"ready":false}"#, "{}")]
#[case(r#"{"ready":true}"#, r#"{"ready":null}"#, "{}")]
#[case(r#"{"ready":true}"#, r#"{"active":false}"#, r#"{"ready":true}"#)]
#[case(r#"{"ready":true}"#, r#"{"active":true,"ready":false}"#, r#"{"active":true}"#)]
#[case(r#"{"active":true}"#, r#"{"active":false}"#, "{}")]
#[case(r#"{"active":true}"#, r#"{"active":null}"#, "{}")]
#[case(r#"{"active":true}"#, r#"{"ready":false}"#, r#"{"active":true}"#)]
#[case(r#"{"active":true}"#, r#"{"active":false,"ready":true}"#, r#"{"ready":true}"#)]
#[case(r#"{"active":true}"#, r#"{"active":false,"ready":false}"#, "{}")]
#[case(r#"{"active":true}"#, "{}", r#"{"active":true}"#)]
fn m01_transitions_by_ones_own_write(#[case] before: &str, #[case] flags: &str, #[case] after: &str) {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&bo(), &own(before)), 200);
    assert_eq!(stage.put(&bo(), &own(flags)), 200);
    assert_eq!(stage.at("members.1.properties.system"), after);
}

#[test]
fn m03_w06_nobody_else_sets_a_members_flags() {
    let mut stage = Stage::card();
    stage.put(&bo(), ACTIVE);
    let other = r#"{"members":{"0":{"properties":{"system":{"active":false}}}}}"#;
    assert_eq!(stage.put(&bo(), other), 403);
    assert_eq!(stage.at("membersInfo.active"), "2");
}

#[test]
fn m04_the_active_title_is_that_of_the_write_that_made_active() {
    let mut stage = Stage::card();
    assert_eq!(stage.at("members.0.activeTitleId"), r#""1739200451""#, "S-04: a string");
    let elsewhere = with(ada(), |user| user.title_id = Some(TitleId(5)));
    assert!(stage.put(&elsewhere, ACTIVE).is_quiet());
    stage.put(&elsewhere, &own(r#"{"ready":true}"#));
    assert_eq!(stage.at("members.0.activeTitleId"), "");
    stage.put(&elsewhere, ACTIVE);
    assert_eq!(stage.at("members.0.activeTitleId"), r#""5""#);
    stage.put(&with(bo(), |user| user.title_id = None), ACTIVE);
    assert_eq!(stage.at("members.1.activeTitleId"), "");
}

#[test]
fn m05_a_second_device_overwrites_the_same_entry() {
    let mut stage = Stage::card();
    stage.put(&ada(), &own(&format!(r#"{{"connection":"{CONNECTION}"}}"#)));
    let phone = with(ada(), |user| user.device_id = Some("phone".into()));
    let other = CONNECTION.replace("3c5f", "4C5F");
    assert_eq!(stage.put(&phone, &own(&format!(r#"{{"active":true,"connection":"{other}"}}"#))), 200);
    assert_eq!(stage.at("membersInfo.count"), "1");
    assert_eq!(stage.at("members.0.properties.system.connection"), format!(r#""{other}""#));
}

#[test]
fn m30_active_needs_a_connection_where_that_is_required() {
    let mut stage = Stage::of(LOBBY);
    assert_eq!(stage.put(&ada(), ACTIVE), 400);
    let connected = own(&format!(r#"{{"active":true,"connection":"{CONNECTION}"}}"#));
    assert_eq!(stage.put(&ada(), &connected), 201, "M-32: nobody has seen this connection");
    assert!(stage.put(&ada(), ACTIVE).is_quiet(), "the stored one counts");
    assert_eq!(stage.put(&ada(), &own(r#"{"connection":null}"#)), 400);
    assert_eq!(stage.put(&ada(), &own(r#"{"ready":true,"connection":null}"#)), 200);
    assert_eq!(stage.put(&ada(), ACTIVE), 400);
}

#[test]
fn m40_indices_are_never_used_again_and_the_list_is_relinked() {
    let mut stage = Stage::card();
    stage.put(&bo(), ACTIVE);
    stage.put(&cy(), ACTIVE);
    stage.put(&bo(), LEAVES);
    assert_eq!(
        (stage.at("members.0.next"), stage.at("members.1"), stage.at("members.2.next")),
        ("2".into(), String::new(), "3".into())
    );
    stage.put(&bo(), ACTIVE);
    assert_eq!(stage.at("members.3.constants.system.xuid"), format!(r#""{}""#, bo().xuid().unwrap()));
    stage.put(&ada(), LEAVES);
    assert_eq!(stage.at("membersInfo"), r#"{"first":2,"next":4,"count":2,"accepted":2,"active":2}"#);
}

#[test]
fn s30_without_members_first_is_next() {
    let mut stage = Stage::with(r#"{"sessionEmptyTimeout":null}"#);
    stage.put(&ada(), LEAVES);
    assert_eq!(stage.at("membersInfo"), r#"{"first":1,"next":1,"count":0,"accepted":0,"active":0}"#);
    assert_eq!(stage.at("members"), "{}");
}

#[test]
fn m41_turn_and_host_go_with_their_member() {
    let mut stage = Stage::with(r#"{"capabilities":{"connectivity":true},"inactiveRemovalTimeout":null}"#);
    let sda = r#"{"active":true,"secureDeviceAddress":"AAAAAAAA00112233445566778899aabbccddeeff"}"#;
    stage.put(&bo(), &own(sda));
    assert_eq!(stage.at("members.1.deviceToken"), r#""f56cad2ba680f530a25f98eb28c573f6""#, "S-62");
    stage.put(&ada(), &system(r#"{"turn":[1,0],"host":"F56cad2ba680f530a25f98eb28c573f6"}"#));
    assert_eq!(stage.at("members.1.turn"), "true");
    assert_ne!(stage.at("properties.system.host"), "", "S-46: compared without case");
    stage.put(&bo(), LEAVES);
    assert_eq!(stage.at("properties.system.turn"), "[0]", "S-45");
    assert_eq!(stage.at("properties.system.host"), "", "S-46");
}

#[test]
fn s46_a_host_that_is_nobodys_token_is_removed_silently() {
    let mut stage = Stage::with(r#"{"capabilities":{"connectivity":true}}"#);
    assert!(stage.put(&ada(), &system(r#"{"host":"00000000000000000000000000000000"}"#)).is_quiet());
    stage.put(&ada(), &own(r#"{"secureDeviceAddress":"AAAAAAAA00112233445566778899aabbccddeeff"}"#));
    stage.put(&ada(), &system(r#"{"host":"f56cad2ba680f530a25f98eb28c573f6"}"#));
    assert_ne!(stage.at("properties.system.host"), "");
    stage.put(&ada(), &own(r#"{"secureDeviceAddress":""}"#));
    assert_eq!((stage.at("members.0.deviceToken"), stage.at("properties.system.host")), (String::new(), String::new()), "S-80");
}

#[test]
fn s45_turn_names_members_that_are_there() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &system(r#"{"turn":[1]}"#)), 400);
    assert_eq!(stage.put(&ada(), r#"{"members":{"me":null},"properties":{"system":{"turn":[0]}}}"#), 400);
    stage.put(&ada(), &reserves(&bo()));
    assert_eq!(stage.put(&bo(), &system(r#"{"turn":[1,1]}"#)), 200, "M-78: any member");
    assert_eq!(stage.at("properties.system.turn"), "[1]");
    assert_eq!((stage.at("members.0.turn"), stage.at("members.1.turn")), (String::new(), "true".into()));
    assert_eq!(stage.put(&ada(), &system(r#"{"turn":null}"#)), 200);
    assert_eq!(stage.at("properties.system.turn"), "[]");
}

#[test]
fn s70_s71_ones_own_constants_may_name_xuid_and_index() {
    let mut stage = Stage::of(CARD);
    let xuid = ada().xuid().unwrap();
    for (value, status) in [(format!("\"{xuid}\""), 201), (xuid.to_string(), 200), ("\"7\"".into(), 400), ("null".into(), 400)] {
        let body = format!(
            r#"{{"members":{{"me":{{"constants":{{"system":{{"xuid":{value},"index":77}}}},"properties":{{"system":{{"active":true}}}}}}}}}}"#
        );
        assert_eq!(stage.put(&ada(), &body), status, "{value}");
    }
    assert_eq!(stage.at("members.0.constants.system"), format!(r#"{{"xuid":"{xuid}","index":0}}"#));
}

/// A value of the own `properties.system`, whether it is taken, and how it is kept.
#[rstest]
#[case::s76("connection", r#""3c5f1f0e""#, None)]
#[case::s76("connection", r#""3C5F1F0E-91d4-4d1b-8a86-0a4f2e6b7c01""#, Some(r#""3C5F1F0E-91d4-4d1b-8a86-0a4f2e6b7c01""#))]
#[case::s77("subscription", r#"{"changeTypes":["everything"]}"#, None)]
#[case::s77("subscription", r#"{"id":"x"}"#, None)]
#[case::s77(
    "subscription",
    r#"{"id":"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01","changeTypes":[]}"#,
    Some(r#"{"id":"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01"}"#)
)]
#[case::s80("secureDeviceAddress", r#""AAAA""#, None)]
#[case::s80("secureDeviceAddress", r#""""#, Some(""))]
#[case::s81("initializationGroup", "[0]", Some("[0,1]"))]
#[case::s81("initializationGroup", "[2]", None)]
#[case::s81("initializationGroup", "[-1]", None)]
#[case::s82("groups", r#"["red","blue.1"]"#, Some(r#"["red","blue.1"]"#))]
#[case::s82("groups", r#"["not a name"]"#, None)]
#[case::s84("measurements", r#"{"ABC":{"latency":5}}"#, Some(r#"{"abc":{"latency":5}}"#))]
#[case::s84("measurements", r#"{"abc":{"latency":-5}}"#, None)]
#[case::s85("serverMeasurements", "{}", Some("{}"))]
#[case::s85("serverMeasurements", r#"{"One":{"latency":5.0}}"#, Some(r#"{"One":{"latency":5}}"#))]
#[case::s86("RolePreference", r#"{"healer":50.0}"#, Some(r#"{"healer":50}"#))]
#[case::s86("RolePreference", r#"{"healer":101}"#, None)]
#[case::s87("arbitration", r#"{"results":{"red":{"outcome":"win"}}}"#, Some(r#"{"results":{"red":{"outcome":"win"}}}"#))]
fn member_fields_are_checked_and_kept(#[case] name: &str, #[case] value: &str, #[case] kept: Option<&str>) {
    let mut stage = Stage::card();
    stage.put(&bo(), HERE);
    let answer = stage.put(&bo(), &own(&format!(r#"{{"{name}":{value}}}"#)));
    match kept {
        Some(kept) => {
            assert_eq!(answer, 200);
            assert_eq!(stage.at(&format!("members.1.properties.system.{name}")), kept);
        }
        None => {
            assert!(answer == 400 && answer.text().starts_with(&format!("members.me.properties.system.{name}")), "{answer:?}");
        }
    }
}

#[test]
fn s84_measurements_are_written_whole_and_never_of_oneself() {
    let mut stage = Stage::with(r#"{"capabilities":{"connectivity":true}}"#);
    stage.put(&ada(), &own(r#"{"measurements":{"a":{"latency":1}}}"#));
    stage.put(&ada(), &own(r#"{"measurements":{"b":{"latency":2}}}"#));
    assert_eq!(stage.at("members.0.properties.system.measurements"), r#"{"b":{"latency":2}}"#);
    let token = "F56CAD2BA680F530A25F98EB28C573F6";
    let body = format!(
        r#"{{"secureDeviceAddress":"AAAAAAAA00112233445566778899aabbccddeeff","measurements":{{"{token}":{{"latency":1}}}}}}"#
    );
    assert_eq!(stage.put(&ada(), &own(&body)), 400);
}

#[test]
fn s81_a_group_may_name_who_is_added_in_the_same_request() {
    let mut stage = Stage::card();
    let body = |index: u32| {
        format!(
            r#"{{"members":{{"me":{{"properties":{{"system":{{"initializationGroup":[{index}]}}}}}},"reserve_0":{{"constants":{{"system":{{"xuid":"7"}}}}}}}}}}"#
        )
    };
    assert_eq!(stage.put(&ada(), &body(2)), 400);
    assert_eq!(stage.put(&ada(), &body(1)), 200);
    assert_eq!(stage.at("members.0.properties.system.initializationGroup"), "[1,0]");
    assert!(stage.put(&ada(), &body(1)).is_quiet(), "W-34");
}

#[test]
fn t50_old_requests_name_the_group_as_of_old() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &own(r#"{"group":[0]}"#)), 400, "W-71");
    stage.form = Form::Old;
    assert_eq!(stage.put(&ada(), &own(r#"{"group":[0]}"#)), 200);
    assert_eq!(stage.at("members.0.properties.system"), r#"{"active":true,"initializationGroup":[0]}"#);
    assert_eq!(stage.put(&ada(), &own(r#"{"group":[0],"initializationGroup":[0]}"#)), 400, "W-71: both forms");
    assert_eq!(stage.put(&ada(), &own(r#"{"group":null}"#)), 200);
    assert_eq!(stage.at("members.0.properties.system"), r#"{"active":true}"#);
}

#[test]
fn w05_members_are_removed_by_a_server() {
    let mut stage = Stage::card();
    stage.put(&bo(), ACTIVE);
    assert_eq!(stage.put(&ada(), r#"{"members":{"1":null}}"#), 403, "A-36");
    assert_eq!(stage.put(&other_server(), r#"{"members":{"1":null}}"#), 403, "A-04");
    assert_eq!(stage.put(&server(), r#"{"members":{"1":null}}"#), 200);
    assert!(stage.put(&server(), r#"{"members":{"1":null}}"#).is_quiet());
    assert_eq!(stage.put(&server(), r#"{"members":{"0":null}}"#), 204);
}

#[test]
fn w04_a_server_has_no_entry_of_its_own() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&server(), ACTIVE), 403);
    assert_eq!(stage.put(&server(), LEAVES), 403);
    assert_eq!(Stage::of(CARD).put(&server(), ACTIVE), 403, "A-03");
}

#[test]
fn w06_ones_own_index_is_another_word_for_me() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    let activate = r#"{"members":{"1":{"properties":{"system":{"active":true}}}}}"#;
    assert_eq!(stage.put(&with(bo(), |user| user.multiplayer = false), activate), 403, "A-20 #1");
    assert_eq!(stage.put(&bo(), &activate.replace("\"1\"", "\"0\"")), 403);
    let and_reserves = r#"{"members":{"1":{},"reserve_0":{"constants":{"system":{"xuid":"7"}}}}}"#;
    assert_eq!(stage.put(&bo(), and_reserves), 200, "accepts and reserves");
    assert_eq!(stage.put(&bo(), activate), 200);
    assert_eq!(stage.at("membersInfo"), r#"{"first":0,"next":3,"count":3,"accepted":2,"active":2}"#);
    assert_eq!(stage.put(&bo(), r#"{"members":{"me":{},"1":null}}"#), 400, "the same entry twice");
    assert_eq!(stage.put(&bo(), r#"{"members":{"1":null}}"#), 200);
    assert_eq!(stage.at("members.1"), "");
}

#[test]
fn m88_reservations_hold_slots() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &reserves_all(&[&bo(), &cy()])), 200);
    assert_eq!(stage.put(&dee(), ACTIVE), 200);
    let late = player(9, "Late");
    assert_eq!(stage.put(&late, ACTIVE), 400);
    assert_eq!(stage.put(&ada(), &reserves(&late)), 400);
    assert_eq!(stage.put(&server(), &reserves(&late)), 400, "A-04: capacity binds servers too");
    assert_eq!(stage.put(&bo(), ACTIVE), 200, "a reservation has its slot");
    assert_eq!(stage.put(&cy(), LEAVES), 200);
    assert_eq!(stage.put(&late, ACTIVE), 200);
    assert_eq!(stage.at("membersInfo.count"), "4");
}

#[test]
fn m88_a_create_may_not_be_overfull() {
    let body = r#"{"constants":{"system":{"maxMembersCount":1}},"members":{"me":{"properties":{"system":{"active":true}}},"reserve_0":{"constants":{"system":{"xuid":"7"}}}}}"#;
    let mut stage = Stage::of(OPEN);
    assert_eq!(stage.put(&ada(), body), 400);
    assert!(stage.record.is_none());
}
