//! Corners of the contract: what is kept without effect, what is not enforced, and what rules say in passing.

use rstest::rstest;

use super::*;

#[test]
fn a13_visibility_is_fixed_and_joinability_is_how_a_session_opens_and_closes() {
    let mut stage = Stage::with(r#"{"visibility":"open"}"#);
    assert_eq!(stage.put(&ada(), r#"{"constants":{"system":{"visibility":"private"}}}"#), 409);
    for (closed, status) in [(true, 403), (false, 200)] {
        assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"closed":{closed}}}"#))), 200);
        assert_eq!(stage.put(&bo(), ACTIVE), status);
    }
}

#[test]
fn a15_a_create_is_judged_as_a_create_whatever_its_visibility() {
    for visibility in ["open", "visible", "private"] {
        assert_eq!(Stage::of(OPEN).put(&bo(), &creating(&format!(r#"{{"visibility":"{visibility}"}}"#))), 201);
    }
}

#[test]
fn a21_each_restriction_has_its_way_to_be_met() {
    let style = r#"{"capabilities":{"userAuthorizationStyle":true}}"#;
    let near = with(bo(), |user| user.device_id = Some("device-1".into()));
    for (restriction, stranger, follower) in [("local", 403, 403), ("followed", 403, 200)] {
        let mut stage = Stage::with(style);
        assert_eq!(stage.put(&ada(), &system(&format!(r#"{{"joinRestriction":"{restriction}"}}"#))), 200);
        assert_eq!(stage.put(&cy(), ACTIVE), stranger);
        stage.follows = vec![(ada().xuid().unwrap(), cy().xuid().unwrap())];
        assert_eq!(stage.put(&cy(), ACTIVE), follower);
        assert_eq!(stage.put(&near, ACTIVE), 200, "local meets both");
    }
    assert_eq!(Stage::with("{}").put(&cy(), ACTIVE), 200, "none is always met");
}

#[test]
fn a32_m77_capabilities_without_effect_are_kept() {
    let mut stage = Stage::with(r#"{"capabilities":{"crossPlay":true,"gameplay":true,"blockBadMsaReputation":true}}"#);
    assert_eq!(stage.at("constants.system.capabilities"), r#"{"crossPlay":true,"gameplay":true,"blockBadMsaReputation":true}"#);
    assert_eq!(stage.put(&with(bo(), |user| user.device_type = Some("Win32".into())), ACTIVE), 200);
}

#[test]
fn m06_the_flow_that_every_title_uses() {
    let mut stage = Stage::of(LOBBY);
    let body = format!(
        r#"{{"members":{{"me":{{"constants":{{"system":{{"xuid":"2533274800000001","initialize":true}}}},
        "properties":{{"system":{{"active":true,"connection":"{CONNECTION}",
        "subscription":{{"id":"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01","changeTypes":["everything"]}}}}}}}}}}}}"#
    );
    assert_eq!(stage.put(&ada(), &body), 201);
    assert!(stage.put(&ada(), &body).is_quiet());
    assert_eq!(stage.put(&ada(), LEAVES), 204);
}

#[test]
fn m28_nobody_looks_whether_active_members_are_present() {
    let mut stage = Stage::with(r#"{"capabilities":{}}"#);
    stage.advance(1_000_000_000_000);
    assert_eq!(stage.at("membersInfo.active"), "1");
}

#[test]
fn m44_what_others_say_of_a_member_stays_when_it_goes() {
    let mut stage = Stage::with(r#"{"capabilities":{"connectivity":true}}"#);
    assert_eq!(stage.put(&bo(), &own(r#"{"active":true,"secureDeviceAddress":"AA"}"#)), 200);
    let token = stage.at("members.1.deviceToken");
    let said = format!(r#"{{"measurements":{{{token}:{{"latency":1}}}},"initializationGroup":[1]}}"#);
    assert_eq!(stage.put(&ada(), &own(&said)), 200);
    let before = stage.at("members.0.properties.system");
    assert_eq!(stage.put(&bo(), LEAVES), 200);
    assert_eq!(stage.at("members.0.properties.system"), before);
}

#[test]
fn m76_s82_s83_groups_stay_and_encounters_are_consumed() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &own(r#"{"groups":["red","Red.2"],"encounters":["boss"]}"#)), 200);
    assert_eq!(stage.at("members.0.properties.system"), r#"{"active":true,"groups":["red","Red.2"]}"#);
    assert!(stage.put(&ada(), &own(r#"{"encounters":["boss"]}"#)).is_quiet());
    for wrong in [r#"{"groups":["a b"]}"#, r#"{"encounters":[1]}"#] {
        assert_eq!(stage.put(&ada(), &own(wrong)), 400);
    }
    assert_eq!(stage.put(&ada(), &own(r#"{"groups":[]}"#)), 200);
    assert_eq!(stage.at("members.0.properties.system.groups"), "");
}

#[test]
fn s52_a_time_is_kept_in_one_form() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &system(r#"{"scheduledTime":"2031-04-06T01:00:00+01:00"}"#)), 200);
    assert_eq!(stage.at("properties.system.scheduledTime"), r#""2031-04-06T00:00:00.0000000Z""#);
    assert_eq!(stage.put(&ada(), &system(r#"{"scheduledTime":"tomorrow"}"#)), 400);
}

#[test]
fn s63_only_ones_own_me_accepts_a_reservation() {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &reserves(&bo())), 200);
    assert_eq!(stage.at("members.1.reserved"), "true");
    assert_eq!(stage.put(&bo(), r#"{"properties":{"custom":{"a":1}}}"#), 200, "A-10: it writes without accepting");
    assert_eq!(stage.at("members.1.reserved"), "true");
    assert_eq!(stage.put(&bo(), HERE), 200);
    assert_eq!(stage.at("members.1.reserved"), "");
}

#[rstest]
#[case::active(r#"{"active":true}"#, r#"{"active":true}"#)]
#[case::ready(r#"{"ready":true}"#, r#"{"ready":true}"#)]
#[case::neither(r#"{"active":false,"ready":false}"#, "{}")]
fn s75_a_member_is_active_or_ready_or_neither(#[case] flags: &str, #[case] shown: &str) {
    let mut stage = Stage::card();
    assert_eq!(stage.put(&bo(), &own(flags)), 200);
    assert_eq!(stage.at("members.1.properties.system"), shown);
}

#[test]
fn s78_s79_older_subscriptions_are_merged_by_id_and_echoed() {
    let mut stage = Stage::card();
    let given = r#"{"subscriptions":{"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01":{"profile":"Party","onBehalfOfTitleId":"7"}},
        "secondarySubscriptions":{"a":{"changeTypes":["host"],"rta":{"connection":"3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01"}},"b":{}}}"#;
    assert_eq!(stage.put(&ada(), &own(given)), 200);
    assert_eq!(stage.put(&ada(), &own(r#"{"secondarySubscriptions":{"b":null}}"#)), 200);
    assert_eq!(
        stage.get().get("members").and_then(|all| all.get("0")?.get("properties")?.get("system")),
        Some(&json(
            r#"{"active":true,
            "subscriptions":{"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01":{"profile":"party","onBehalfOfTitleId":"7"}},
            "secondarySubscriptions":{"a":{"changeTypes":["host"],"rta":{"connection":"3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01"}}}}"#
        ))
    );
    assert_eq!(stage.put(&ada(), &own(r#"{"subscriptions":{"a":{"profile":"nobody"}}}"#)), 400);
    assert_eq!(stage.put(&ada(), &own(r#"{"subscriptions":null,"secondarySubscriptions":{"a":null}}"#)), 200);
    assert_eq!(stage.at("members.0.properties.system"), r#"{"active":true}"#);
}

#[test]
fn t32_t30_searchable_with_user_authorization_needs_owners() {
    let constants = |more: &str| format!(r#"{{"capabilities":{{"searchable":true,"userAuthorizationStyle":true{more}}}}}"#);
    assert_eq!(Stage::of(OPEN).put(&ada(), &creating(&constants(""))), 400);
    assert_eq!(Stage::of(OPEN).put(&ada(), &creating(&constants(r#","hasOwners":true"#))), 201);
    assert_eq!(Stage::of(OPEN).put(&ada(), &creating(r#"{"capabilities":{"searchable":true}}"#)), 201);
}

#[test]
fn w02_a_body_is_a_delta_on_the_template_or_on_what_is_stored() {
    let mut stage = Stage::of(r#"{"constants":{"system":{"inviteProtocol":"game"},"custom":{"map":1}}}"#);
    let joins = r#"{"properties":{"custom":{"a":1}},"members":{"me":{"properties":{"system":{"active":true}}}}}"#;
    assert_eq!(stage.put(&ada(), joins), 201);
    assert_eq!(
        (stage.at("constants.system.inviteProtocol"), stage.at("constants.custom")),
        (r#""game""#.into(), r#"{"map":1}"#.into())
    );
    assert_eq!(stage.put(&ada(), r#"{"properties":{"custom":{"b":2}}}"#), 200);
    assert_eq!(stage.at("properties.custom"), r#"{"a":1,"b":2}"#);
}

#[test]
fn w82_w83_the_pace_of_writes_is_up_to_titles() {
    let mut stage = Stage::of(r#"{"constants":{"system":{"capabilities":{"large":true}}}}"#);
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    for n in 0..100 {
        assert_eq!(stage.put(&ada(), &format!(r#"{{"properties":{{"custom":{{"n":{n}}}}}}}"#)), 200, "W-82");
    }
    let mut stage = Stage::card();
    assert_eq!(stage.put(&ada(), &system(r#"{"closed":true}"#)), 200);
    assert_eq!(stage.put(&bo(), ACTIVE), 403);
    assert_eq!(stage.put(&ada(), &system(r#"{"closed":false}"#)), 200);
    assert_eq!(stage.put(&bo(), ACTIVE), 200, "W-83: at once");
}

#[test]
fn s34_an_empty_list_of_initiators_names_nobody_and_refuses_nobody() {
    let mut stage = Stage::of(OPEN);
    assert_eq!(stage.put(&ada(), &creating(r#"{"initiators":[]}"#)), 201);
    assert_eq!(stage.at("constants.system.initiators"), "");
}

#[test]
fn w71_both_forms_of_one_setting_are_refused_inside_a_section_too() {
    let mut stage = Stage::of(OPEN);
    stage.form = Form::Old;
    let both = r#"{"managedInitialization":{"autoEvaluate":true,"externalEvaluation":true}}"#;
    let answer = stage.put(&ada(), &creating(both));
    assert_eq!(answer, 400);
    assert!(answer.text().starts_with("constants.system.managedInitialization.autoEvaluate: "), "{answer:?}");
}
