//! Creating, updating, leaving, preconditions (writes.md); merging has a file of its own.

use rstest::rstest;

use super::*;
use crate::wire::request::{leaving, read_properties};

#[test]
fn w01_w03_an_empty_request_is_valid_and_changes_nothing() {
    let mut stage = Stage::card();
    for body in ["", " ", "{}", r#"{"properties":{},"members":{},"constants":{}}"#] {
        assert!(stage.put(&ada(), body).is_quiet(), "{body}");
    }
    assert_eq!(stage.at("changeNumber"), "1");
}

#[rstest]
#[case::s09_top_level(r#"{"fly":1}"#, "fly: ")]
#[case::s10_read_only(r#"{"branch":"3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01"}"#, "branch: ")]
#[case::s09_bag(r#"{"properties":{"fly":{}}}"#, "properties.fly: ")]
#[case::s09_system(r#"{"properties":{"system":{"fly":1}}}"#, "properties.system.fly: ")]
#[case::s09_system_null(r#"{"properties":{"system":{"fly":null}}}"#, "properties.system.fly: ")]
#[case::s09_inner(r#"{"properties":{"system":{"description":{"fly":1}}}}"#, "properties.system.description.fly: ")]
#[case::s09_constants(r#"{"constants":{"system":{"fly":1}}}"#, "constants.system.fly: ")]
#[case::s09_member(r#"{"members":{"me":{"fly":{}}}}"#, "members.me.fly: ")]
#[case::s10_member(r#"{"members":{"me":{"gamertag":"A"}}}"#, "members.me.gamertag: ")]
#[case::s09_member_system(r#"{"members":{"me":{"properties":{"system":{"fly":1}}}}}"#, "members.me.properties.system.fly: ")]
#[case::s09_member_constants(r#"{"members":{"me":{"constants":{"system":{"fly":1}}}}}"#, "members.me.constants.system.fly: ")]
#[case::w13_properties_null(r#"{"properties":null}"#, "properties: ")]
#[case::w13_constants_null(r#"{"constants":null}"#, "constants: ")]
#[case::w13_system_null(r#"{"properties":{"system":null}}"#, "properties.system: ")]
#[case::w13_member_null(r#"{"members":{"me":{"properties":null}}}"#, "members.me.properties: ")]
#[case::w03_members(r#"{"members":null}"#, "members: ")]
#[case::w09(
    r#"{"members":{"reserve_0":{"constants":{"system":{"xuid":"7"}},"properties":{"custom":{}}}}}"#,
    "members.reserve_0.properties: "
)]
#[case::w09_even_empty(
    r#"{"members":{"reserve_0":{"constants":{"system":{"xuid":"7"}},"properties":{}}}}"#,
    "members.reserve_0.properties: "
)]
#[case::s70(r#"{"members":{"reserve_0":{}}}"#, "members.reserve_0.constants.system.xuid: ")]
#[case::s70_me(r#"{"members":{"me":{"constants":{"system":{"xuid":"7"}}}}}"#, "members.me.constants.system.xuid: ")]
#[case::w71(r#"{"constants":{"system":{"timeouts":{}}}}"#, "constants.system.timeouts: ")]
fn e11_refused_with_the_name_of_the_field(#[case] body: &str, #[case] start: &str) {
    let mut stage = Stage::card();
    let before = stage.get();
    let answer = stage.put(&ada(), body);
    assert_eq!(answer, 400);
    assert!(answer.text().starts_with(start), "{answer:?}");
    assert_eq!(stage.get(), before, "E-06");
}

#[test]
fn s09_unknown_system_fields_may_be_ignored_by_configuration() {
    let mut stage = Stage::card();
    stage.limits.unknown_fields = crate::domain::limits::UnknownFields::Ignore;
    assert!(stage.put(&ada(), &system(r#"{"fly":1}"#)).is_quiet());
    assert!(stage.put(&ada(), &own(r#"{"fly":1}"#)).is_quiet());
    assert_eq!(stage.put(&ada(), r#"{"properties":{"fly":1}}"#), 400);
}

#[test]
fn w07_reservations_follow_me_in_the_order_of_their_numbers() {
    let mut stage = Stage::of(CARD);
    let body = r#"{"members":{"reserve_1":{"constants":{"system":{"xuid":"12"}}},"reserve_0":{"constants":{"system":{"xuid":11}}},
        "me":{"properties":{"system":{"active":true}}}}}"#;
    assert_eq!(stage.put(&ada(), body), 201);
    let xuids: Vec<u64> = stage.session().members.iter().map(|member| member.xuid.0).collect();
    assert_eq!(xuids, [2_533_274_800_000_001, 11, 12]);
}

#[test]
fn w08_reserving_who_is_there_already_is_nothing() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &reserves_all(&[&bo(), &bo()])), 200);
    assert_eq!(stage.at("membersInfo.count"), "2");
    stage.advance(10_000);
    assert!(stage.put(&ada(), &reserves_all(&[&bo(), &ada()])).is_quiet());
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:30.1230000Z""#, "the reservation keeps its time");
}

#[test]
fn w08_reserving_oneself_collapses_into_me() {
    let xuid = ada().xuid().unwrap();
    let mut stage = Stage::of(CARD);
    let reserve = format!(r#""reserve_0":{{"constants":{{"system":{{"xuid":"{xuid}"}}}}}}"#);
    let body = format!(r#"{{"members":{{"me":{{"properties":{{"system":{{"active":true}}}}}},{reserve}}}}}"#);
    assert_eq!(stage.put(&ada(), &body), 201);
    assert_eq!(stage.at("membersInfo.count"), "1");
    assert_eq!(stage.at("members.0.reserved"), "");
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    assert_eq!(stage.put(&ada(), &format!(r#"{{"members":{{"me":null,{reserve}}}}}"#)), 200);
    assert_eq!(stage.at("membersInfo.count"), "1", "leaving wins");
}

#[test]
fn w20_w25_a_put_creates_what_is_missing_once() {
    let mut stage = Stage::of(CARD);
    assert_eq!(stage.put_if(&ada(), if_none_match_any(), ACTIVE), 201);
    assert_eq!(stage.put_if(&bo(), if_none_match_any(), ACTIVE), 412);
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    assert_eq!(stage.at("membersInfo"), r#"{"first":0,"next":2,"count":2,"accepted":2,"active":2}"#);
}

#[rstest]
#[case::user_without_me("{}", "0", 204)]
#[case::inactive_user(HERE, "0", 204)]
#[case::leaving(LEAVES, "0", 204)]
#[case::unset_timeout("{}", "null", 201)]
#[case::long_timeout("{}", "5", 201)]
fn w22_nothing_is_created_without_members_unless_it_may_be_empty(#[case] body: &str, #[case] timeout: &str, #[case] status: u16) {
    let mut stage = Stage::of(&format!(r#"{{"constants":{{"system":{{"sessionEmptyTimeout":{timeout}}}}}}}"#));
    assert_eq!(stage.put(&ada(), body), status);
    assert_eq!(stage.record.is_some(), status == 201);
    assert!(stage.record.is_none_or(|session| session.members.is_empty()), "W-22: a user is added only through me");
}

#[test]
fn w24_creating_needs_the_multiplayer_privilege_or_a_server() {
    let template = r#"{"constants":{"system":{"sessionEmptyTimeout":null}}}"#;
    let lonely = with(ada(), |user| user.multiplayer = false);
    assert_eq!(Stage::of(template).put(&lonely, ACTIVE), 403);
    assert_eq!(Stage::of(template).put(&server(), &reserves(&bo())), 201);
    assert_eq!(Stage::of(template).put(&other_server(), &reserves(&bo())), 403, "A-04");
    assert_eq!(Stage::of(template).put(&Principal::Admin { name: "root".into() }, "{}"), 403);
}

#[test]
fn w26_the_arbitration_capability_is_not_for_users() {
    let mut stage = Stage::of(OPEN);
    let answer = stage.put(&ada(), &creating(r#"{"capabilities":{"arbitration":true,"gameplay":true}}"#));
    assert!([400, 403].contains(&answer.status()), "{answer:?}");
}

#[test]
fn w30_who_is_no_member_writes_nothing() {
    let mut stage = Stage::card();
    for body in ["{}", r#"{"properties":{"custom":{"a":1}}}"#, r#"{"members":{"me":null},"properties":{}}"#, &reserves(&cy())] {
        assert_eq!(stage.put(&bo(), body), 403, "{body}");
    }
    assert_eq!(stage.put(&bo(), r#"{"members":{"me":{}},"properties":{"custom":{"a":1}}}"#), 200, "joining in the same request");
    let leaving = r#"{"members":{"me":null},"properties":{"custom":{"a":2}}}"#;
    assert_eq!(stage.put(&bo(), leaving), 200, "leaving in the same request");
    assert_eq!(stage.at("properties.custom.a"), "2");
}

/// A member's constants at first and in a later write of its own.
#[rstest]
#[case::same(
    r#"{"custom":{"a":{"b":1}},"system":{"initialize":true,"team":"red"}}"#,
    r#"{"custom":{"a":{"b":1.0}},"system":{"initialize":true,"team":"red"}}"#,
    200
)]
#[case::a_part("{\"custom\":{\"a\":1,\"b\":2}}", "{\"custom\":{\"a\":1}}", 200)]
#[case::no_initialize(r#"{"system":{"initialize":true}}"#, r#"{"system":{"index":0}}"#, 200)]
#[case::other_initialize(r#"{"system":{"initialize":true}}"#, r#"{"system":{"initialize":false}}"#, 200)]
#[case::new_initialize("{}", r#"{"system":{"initialize":"true"}}"#, 200)]
#[case::wrong_initialize("{}", r#"{"system":{"initialize":5}}"#, 400)]
#[case::null_of_nothing("{}", r#"{"custom":{"a":null},"system":{"team":null}}"#, 200)]
#[case::null_custom_of_nothing("{}", r#"{"custom":null}"#, 200)]
#[case::other_custom("{\"custom\":{\"a\":1}}", "{\"custom\":{\"a\":2}}", 409)]
#[case::deleted_custom("{\"custom\":{\"a\":1}}", "{\"custom\":{\"a\":null}}", 409)]
#[case::new_custom("{\"custom\":{\"a\":1}}", "{\"custom\":{\"b\":2}}", 409)]
#[case::other_kind("{\"custom\":\"a\"}", "{\"custom\":{\"a\":1}}", 409)]
#[case::same_text("{\"custom\":\"a\"}", "{\"custom\":\"a\"}", 200)]
#[case::other_system(r#"{"system":{"team":"red"}}"#, r#"{"system":{"team":"blue"}}"#, 409)]
#[case::new_system("{}", r#"{"system":{"team":"blue"}}"#, 409)]
fn w31_an_accepted_member_may_repeat_its_constants(#[case] first: &str, #[case] again: &str, #[case] status: u16) {
    let mut stage = Stage::card();
    let with = |constants: &str| {
        format!(r#"{{"members":{{"me":{{"constants":{constants},"properties":{{"system":{{"active":true}}}}}}}}}}"#)
    };
    assert_eq!(stage.put(&bo(), &with(first)), 200);
    let before = stage.get();
    assert_eq!(stage.put(&bo(), &with(again)), status);
    assert_eq!(stage.get(), before);
}

/// A reservation's constants, those of its user's first write, and what the member has then.
#[rstest]
#[case::added("{}", r#"{"custom":{"a":1},"system":{"team":"red","initialize":true}}"#, Some(r#"{"a":1}"#))]
#[case::equal(r#"{"custom":{"a":1}}"#, r#"{"custom":{"a":1.0}}"#, Some(r#"{"a":1}"#))]
#[case::beside(r#"{"custom":{"a":1}}"#, r#"{"custom":{"b":2}}"#, Some(r#"{"a":1,"b":2}"#))]
#[case::text("{}", r#"{"custom":"text"}"#, Some(r#""text""#))]
#[case::no_initialize(r#"{"system":{"initialize":true}}"#, r#"{"system":{"initialize":false}}"#, Some("{}"))]
#[case::differing_custom(r#"{"custom":{"a":1}}"#, r#"{"custom":{"a":2}}"#, None)]
#[case::deleted_custom(r#"{"custom":{"a":1}}"#, r#"{"custom":{"a":null}}"#, None)]
#[case::differing_system(r#"{"system":{"team":"red"}}"#, r#"{"system":{"team":"blue"}}"#, None)]
fn w31_a_reserved_member_adds_what_its_reservation_lacks(
    #[case] reserved: &str,
    #[case] own: &str,
    #[case] custom: Option<&str>,
) {
    let mut stage = Stage::card();
    let mut constants = object(reserved);
    let mut system = constants.get("system").and_then(Json::as_object).cloned().unwrap_or_default();
    system.insert("xuid".into(), bo().xuid().unwrap().to_string().into());
    constants.insert("system".into(), system.into());
    stage.put(&ada(), &format!(r#"{{"members":{{"reserve_0":{{"constants":{}}}}}}}"#, Json::Object(constants)));
    let answer = stage.put(&bo(), &format!(r#"{{"members":{{"me":{{"constants":{own}}}}}}}"#));
    if let Some(custom) = custom {
        assert_eq!(answer, 200);
        assert_eq!(stage.at("members.1.constants.custom"), custom);
    } else {
        assert_eq!(answer, 409);
        assert_eq!(stage.at("members.1.reserved"), "true", "E-06");
    }
}

#[test]
fn s95_constants_added_to_a_reservation_count_together() {
    let mut stage = Stage::card();
    stage.limits.member_custom_bytes = 100;
    let constants =
        |name: &str| format!(r#"{{"system":{{"xuid":"{}"}},"custom":{{"{name}":"{}"}}}}"#, bo().xuid().unwrap(), "x".repeat(60));
    assert_eq!(stage.put(&ada(), &format!(r#"{{"members":{{"reserve_0":{{"constants":{}}}}}}}"#, constants("a"))), 200);
    assert_eq!(stage.put(&bo(), &format!(r#"{{"members":{{"me":{{"constants":{}}}}}}}"#, constants("b"))), 400);
}

#[test]
fn s95_bags_are_bounded_after_the_merge() {
    let mut stage = Stage::card();
    stage.limits.session_custom_bytes = 50;
    stage.limits.member_custom_bytes = 50;
    let half = "x".repeat(25);
    for (name, status) in [("a", 200), ("b", 400)] {
        assert_eq!(stage.put(&ada(), &format!(r#"{{"properties":{{"custom":{{"{name}":"{half}"}}}}}}"#)), status);
        let own = format!(r#"{{"members":{{"me":{{"properties":{{"custom":{{"{name}":"{half}"}}}}}}}}}}"#);
        assert_eq!(stage.put(&ada(), &own), status);
    }
    assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"turn":[{}0]}}"#, "0,".repeat(128)))), 400);
    assert_eq!(
        stage.put(
            &ada(),
            &system(r#"{"keywords":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]}"#)
        ),
        400
    );
}

#[test]
fn w33_the_first_write_of_ones_own_accepts_a_reservation() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    stage.advance(1000);
    assert_eq!(stage.put(&bo(), r#"{"properties":{"custom":{"a":1}}}"#), 200, "A-10: writes and stays reserved");
    assert_eq!(stage.at("members.1.reserved"), "true");
    assert_eq!(stage.at("members.1.joinTime"), r#""2031-04-05T18:00:00.1230000Z""#);
    assert_eq!(stage.at("members.1.gamertag"), "");
    assert_eq!(stage.at("membersInfo.accepted"), "1");
    assert_eq!(stage.put(&bo(), HERE), 200);
    assert_eq!(stage.at("members.1.reserved"), "");
    assert_eq!(stage.at("members.1.joinTime"), r#""2031-04-05T18:00:01.1230000Z""#, "S-64");
    assert_eq!(stage.at("members.1.gamertag"), r#""BoTide""#);
    assert_eq!(stage.at("membersInfo.accepted"), "2");
}

#[test]
fn w34_the_same_write_again_is_quiet_and_keeps_tag_and_timers() {
    let mut stage = Stage::card();
    let body = format!(
        r#"{{"members":{{"me":{{"constants":{{"system":{{"initialize":true}}}},"properties":{{"system":{{"active":true,"connection":"{CONNECTION}"}}}}}}}}}}"#
    );
    assert_eq!(stage.put(&bo(), &body), 200);
    stage.put(&cy(), &own(r#"{"ready":true}"#));
    let (etag, timer) = (stage.etag(), stage.at("nextTimer"));
    stage.advance(1000);
    assert!(stage.put(&bo(), &body).is_quiet());
    assert!(stage.put(&cy(), &own(r#"{"ready":true}"#)).is_quiet());
    assert_eq!((stage.etag(), stage.at("nextTimer")), (etag.clone(), timer));
    assert_eq!(stage.put(&bo(), &body.replace("3c5f", "4c5f")), 200);
    assert_ne!(stage.etag(), etag, "a new connection is a change");
}

#[test]
fn w34_remembering_a_device_is_no_change() {
    let mut stage = Stage::card();
    let elsewhere = with(ada(), |user| user.device_id = Some("phone".into()));
    let etag = stage.etag();
    assert!(stage.put(&elsewhere, "{}").is_quiet());
    assert_eq!(stage.session().members[0].device_id.as_deref(), Some("phone"), "A-22");
    assert_eq!(stage.etag(), etag);
}

#[test]
fn w34_a_member_that_is_gone_in_the_same_write_leaves_no_trace() {
    let mut stage = Stage::with("{}");
    let etag = stage.etag();
    assert!(stage.put(&bo(), HERE).is_quiet(), "M-26: joins and is removed at once");
    assert_eq!(stage.etag(), etag);
    assert_eq!(stage.at("membersInfo.next"), "1");
    let mut stage = Stage::with(r#"{"reservedRemovalTimeout":0}"#);
    assert!(stage.put(&ada(), &reserves(&bo())).is_quiet());
}

#[test]
fn w34_ready_without_time_to_be_ready_is_inactive_as_before() {
    let mut stage = Stage::with(r#"{"readyRemovalTimeout":0,"inactiveRemovalTimeout":5000}"#);
    assert_eq!(stage.put(&bo(), HERE), 200);
    stage.advance(2000);
    assert!(stage.put(&bo(), &own(r#"{"ready":true}"#)).is_quiet());
    assert_eq!(stage.at("nextTimer"), r#""2031-04-05T18:00:05.1230000Z""#);
}

#[test]
fn w35_leaving_answers_with_the_session_even_if_it_cannot_be_read_any_more() {
    let mut stage = Stage::with(r#"{"visibility":"private"}"#);
    stage.put(&ada(), &reserves(&bo()));
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    assert_eq!(stage.put(&bo(), LEAVES), 200);
    assert!(!stage.may_read(&bo()));
    assert_eq!(stage.put(&bo(), LEAVES), 403, "who was no member and may not read");
    assert_eq!(stage.put(&ada(), LEAVES), 204, "W-63");
    assert!(stage.record.is_none());
}

#[test]
fn w35_who_was_no_member_leaves_without_effect() {
    let mut stage = Stage::card();
    let etag = stage.etag();
    assert!(stage.put(&bo(), LEAVES).is_quiet());
    assert!(stage.write(&bo(), leaving(), Preconditions::default(), Target::Element).is_quiet());
    assert_eq!(stage.put_if(&bo(), if_match(&["old"]), LEAVES), 412);
    assert_eq!(stage.etag(), etag);
}

#[test]
fn w35_a_reservation_may_be_declined() {
    let mut stage = Stage::with(r#"{"visibility":"private"}"#);
    stage.put(&ada(), &reserves(&bo()));
    assert_eq!(stage.put(&with(bo(), |user| user.multiplayer = false), LEAVES), 200);
    assert_eq!(stage.at("membersInfo.count"), "1");
}

#[test]
fn w36_users_write_no_servers() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), r#"{"servers":{"a":{}}}"#), 403);
    assert_eq!(Stage::of(CARD).put(&ada(), r#"{"servers":{"a":{}}}"#), 403);
}

#[test]
fn w38_removals_precede_me_and_reservations_precede_properties() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &reserves_all(&[&bo(), &cy(), &dee()])), 200);
    let xuid = "99";
    let body = format!(
        r#"{{"members":{{"1":null,"reserve_0":{{"constants":{{"system":{{"xuid":"{xuid}"}}}}}}}},"properties":{{"system":{{"turn":[4]}}}}}}"#
    );
    assert_eq!(stage.put(&server(), &body), 200, "the freed slot is taken again, and turn names who takes it");
    assert_eq!(stage.at("members.4.turn"), "true");
    assert_eq!(stage.at("membersInfo.count"), "4");
}

#[test]
fn w40_the_tag_moves_with_every_change_and_with_timers() {
    let mut stage = Stage::card();
    let first = stage.etag();
    stage.put(&ada(), &reserves(&bo()));
    let second = stage.etag();
    stage.advance(30_000);
    stage.settle();
    let third = stage.etag();
    assert!(first != second && second != third && first != third);
    stage.settle();
    assert_eq!(stage.etag(), third);
}

#[test]
fn w40_the_table_of_preconditions() {
    let mut stage = Stage::card();
    let current = stage.etag();
    let write = r#"{"properties":{"custom":{"a":1}}}"#;
    let kind = |answer: Answer| answer.0.unwrap_err().kind;
    assert_eq!(kind(stage.put_if(&ada(), if_none_match_any(), write)), Kind::Precondition, "W-43: without a body");
    assert_eq!(kind(stage.put_if(&ada(), if_match(&["old"]), write)), Kind::Stale, "W-43: with the session");
    assert_eq!(stage.put_if(&ada(), if_match(&["old", &current]), write), 200, "W-41: lists");
    assert_eq!(stage.put_if(&ada(), if_match(&[&current]), write), 412);
    assert_eq!(stage.put_if(&ada(), if_match_any(), write), 200);
    let both = Preconditions { if_match: Some(Tags::Any), if_none_match: Some(Tags::Any) };
    assert_eq!(kind(stage.put_if(&ada(), both, write)), Kind::Precondition, "W-46");

    let mut missing = Stage::of(CARD);
    assert_eq!(kind(missing.put_if(&ada(), if_match_any(), ACTIVE)), Kind::Precondition, "W-42");
    assert_eq!(kind(missing.put_if(&ada(), if_match(&[&current]), ACTIVE)), Kind::Precondition, "W-42");
    let delta = || request::read_delta(ACTIVE.as_bytes(), 32).unwrap();
    assert_eq!(missing.write(&ada(), delta(), if_match_any(), Target::Handle), 404, "H-46");
    assert_eq!(missing.write(&ada(), delta(), Preconditions::default(), Target::Element), 404);
    assert_eq!(missing.write(&ada(), delta(), Preconditions::default(), Target::Handle), 201, "H-46");
}

#[test]
fn w43_the_tag_is_judged_after_access() {
    let mut stage = Stage::with(r#"{"visibility":"private"}"#);
    assert_eq!(stage.put_if(&bo(), if_match(&["old"]), ACTIVE), 403);
    assert_eq!(stage.put_if(&bo(), if_none_match_any(), ACTIVE), 412, "this one is judged before");
    let mut missing = Stage::of(CARD);
    assert_eq!(missing.put_if(&with(ada(), |user| user.multiplayer = false), if_match_any(), ACTIVE), 403);
}

#[test]
fn w61_a_name_used_again_starts_anew() {
    let mut stage = Stage::card();
    stage.put(&bo(), ACTIVE);
    let (branch, correlation) = (stage.at("branch"), stage.at("correlationId"));
    stage.put(&ada(), LEAVES);
    assert_eq!(stage.put(&bo(), LEAVES), 204);
    stage.advance(1000);
    assert_eq!(stage.put(&cy(), ACTIVE), 201);
    assert_eq!(stage.at("correlationId"), correlation);
    assert_ne!(stage.at("branch"), branch);
    assert_eq!(stage.at("startTime"), r#""2031-04-05T18:00:01.1230000Z""#);
    assert_eq!((stage.at("changeNumber"), stage.at("members.0.gamertag")), ("1".into(), r#""CyVale""#.into()));
}

#[test]
fn r25_properties_alone_are_written_the_same() {
    let mut stage = Stage::card();
    let delta = read_properties(br#"{"custom":{"a":1}}"#, 32).unwrap();
    assert_eq!(stage.write(&ada(), delta, Preconditions::default(), Target::Element), 200);
    assert_eq!(stage.at("properties.custom"), r#"{"a":1}"#);
    let wrong = read_properties(br#"{"fly":1}"#, 32).unwrap();
    assert_eq!(stage.write(&ada(), wrong, Preconditions::default(), Target::Element), 400);
}
