//! Constants: templates against creators, creators against later writers (templates.md, W-32, W-71).

use rstest::rstest;

use super::*;

fn template(system: &str, custom: &str) -> Stage {
    Stage::of(&format!(r#"{{"constants":{{"system":{system},"custom":{custom}}}}}"#))
}

fn create(system: &str, custom: &str) -> String {
    format!(
        r#"{{"constants":{{"system":{system},"custom":{custom}}},"members":{{"me":{{"properties":{{"system":{{"active":true}}}}}}}}}}"#
    )
}

#[test]
fn t20_t41_a_session_shows_its_template_and_the_defaults() {
    let mut stage = template("{}", r#"{"map":"harbor"}"#);
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    assert_eq!(
        stage.at("constants"),
        r#"{"system":{"version":1,"maxMembersCount":100,"visibility":"open","reservedRemovalTimeout":30000,"inactiveRemovalTimeout":0,"readyRemovalTimeout":180000,"sessionEmptyTimeout":0,"capabilities":{}},"custom":{"map":"harbor"}}"#
    );
}

/// T-20 for any constant: the template, the request, and what the session has; `None` is 409.
#[rstest]
#[case::enum_without_case(r#"{"visibility":"visible"}"#, r#"{"visibility":"VISIBLE"}"#, "visibility", Some(r#""visible""#))]
#[case::s35_protocol_without_case(
    r#"{"inviteProtocol":"game"}"#,
    r#"{"inviteProtocol":"Game"}"#,
    "inviteProtocol",
    Some(r#""game""#)
)]
#[case::number_by_value(r#"{"maxMembersCount":4}"#, r#"{"maxMembersCount":4.0}"#, "maxMembersCount", Some("4"))]
#[case::t26_other_count(r#"{"maxMembersCount":4}"#, r#"{"maxMembersCount":5}"#, "maxMembersCount", None)]
#[case::null_of_default("{}", r#"{"inactiveRemovalTimeout":null}"#, "inactiveRemovalTimeout", Some(""))]
#[case::null_of_object("{}", r#"{"peerToPeerRequirements":null}"#, "peerToPeerRequirements", Some(""))]
#[case::fixed_null(r#"{"inviteProtocol":null}"#, r#"{"inviteProtocol":"game"}"#, "inviteProtocol", None)]
#[case::fixed_null_repeated(r#"{"inviteProtocol":null}"#, r#"{"inviteProtocol":null}"#, "inviteProtocol", Some(""))]
#[case::list_in_order(
    r#"{"initiators":["2533274800000001","7"]}"#,
    r#"{"initiators":[2533274800000001,"7"]}"#,
    "initiators",
    Some(r#"["2533274800000001","7"]"#)
)]
#[case::t23_list_out_of_order(
    r#"{"initiators":["2533274800000001","7"]}"#,
    r#"{"initiators":["7","2533274800000001"]}"#,
    "initiators",
    None
)]
#[case::t21_object_part(
    r#"{"peerToPeerRequirements":{"latencyMaximum":5,"bandwidthMinimum":6}}"#,
    r#"{"peerToPeerRequirements":{"latencyMaximum":5}}"#,
    "peerToPeerRequirements",
    Some(r#"{"latencyMaximum":5,"bandwidthMinimum":6}"#)
)]
#[case::t21_object_more(
    r#"{"peerToPeerRequirements":{"latencyMaximum":5}}"#,
    r#"{"peerToPeerRequirements":{"latencyMaximum":5,"bandwidthMinimum":10000}}"#,
    "peerToPeerRequirements",
    None
)]
#[case::t21_object_null(
    r#"{"peerToPeerRequirements":{"latencyMaximum":5}}"#,
    r#"{"peerToPeerRequirements":null}"#,
    "peerToPeerRequirements",
    None
)]
#[case::t41_object_filled_in(
    "{}",
    r#"{"peerToPeerRequirements":{"latencyMaximum":5}}"#,
    "peerToPeerRequirements",
    Some(r#"{"latencyMaximum":5,"bandwidthMinimum":10000}"#)
)]
#[case::t41_host_filled_in(
    r#"{"peerToHostRequirements":{"bandwidthUpMinimum":7}}"#,
    "{}",
    "peerToHostRequirements",
    Some(r#"{"bandwidthUpMinimum":7,"latencyMaximum":250,"bandwidthDownMinimum":100000,"hostSelectionMetric":"latency"}"#)
)]
#[case::t21_package_part(
    r#"{"capabilities":{"cloudCompute":true},"cloudComputePackage":{"titleId":"4","variant":"x"}}"#,
    r#"{"cloudComputePackage":{"variant":"x"}}"#,
    "cloudComputePackage",
    Some(r#"{"titleId":"4","variant":"x"}"#)
)]
#[case::t23_lower_keys(
    r#"{"measurementServerAddresses":{"eu":{"secureDeviceAddress":"AA"}}}"#,
    r#"{"measurementServerAddresses":{"EU":{"secureDeviceAddress":"AA"}}}"#,
    "measurementServerAddresses",
    Some(r#"{"eu":{"secureDeviceAddress":"AA"}}"#)
)]
#[case::addresses_keep_case(
    r#"{"measurementServerAddresses":{"eu":{"secureDeviceAddress":"AA"}}}"#,
    r#"{"measurementServerAddresses":{"eu":{"secureDeviceAddress":"aa"}}}"#,
    "measurementServerAddresses",
    None
)]
fn t20_template_against_request(#[case] fixed: &str, #[case] asked: &str, #[case] name: &str, #[case] kept: Option<&str>) {
    let mut stage = template(fixed, "{}");
    let answer = stage.put(&ada(), &create(asked, "{}"));
    match kept {
        Some(kept) => {
            assert_eq!(answer, 201);
            assert_eq!(stage.at(&format!("constants.system.{name}")), kept);
            assert!(stage.put(&ada(), &create(asked, "{}")).is_quiet(), "W-32: what created it may be repeated");
        }
        None => assert!(answer == 409 && answer.text().contains(name), "{answer:?}"),
    }
}

/// T-22: the template's custom constants, the creator's, and what the session has; `None` is 409.
#[rstest]
#[case::added(r#"{"a":1}"#, r#"{"b":2}"#, Some(r#"{"a":1,"b":2}"#))]
#[case::equal(r#"{"a":{"x":1}}"#, r#"{"a":{"x":1.0}}"#, Some(r#"{"a":{"x":1}}"#))]
#[case::deeper_part(r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"x":1}}"#, None)]
#[case::other(r#"{"a":1}"#, r#"{"a":2}"#, None)]
#[case::null(r#"{"a":1}"#, r#"{"a":null}"#, None)]
#[case::null_of_nothing("{}", r#"{"a":null,"b":{"c":null}}"#, Some(r#"{"b":{"c":null}}"#))]
#[case::unset_is_absent(r#"{"a":null}"#, "{}", Some("{}"))]
#[case::unset_repeated(r#"{"a":null}"#, r#"{"a":null}"#, Some("{}"))]
#[case::unset_given(r#"{"a":null}"#, r#"{"a":1}"#, None)]
#[case::no_object("{}", r#""text""#, Some(r#""text""#))]
#[case::no_object_against_fields(r#"{"a":1}"#, r#""text""#, None)]
#[case::all_null("{}", "null", Some("{}"))]
#[case::all_null_against_fields(r#"{"a":1}"#, "null", None)]
fn t22_custom_constants_compare_field_by_field(#[case] fixed: &str, #[case] asked: &str, #[case] kept: Option<&str>) {
    let mut stage = template("{}", fixed);
    let answer = stage.put(&ada(), &create("{}", asked));
    match kept {
        Some(kept) => {
            assert_eq!(answer, 201);
            assert_eq!(stage.at("constants.custom"), kept);
            assert!(stage.put(&ada(), &create("{}", asked)).is_quiet(), "W-32");
        }
        None => assert_eq!(answer, 409),
    }
}

/// W-32: constants in a later write, and whether they say what the session says.
#[rstest]
#[case::defaults(
    r#"{"system":{"version":1,"maxMembersCount":100,"visibility":"Open","capabilities":{},"readyRemovalTimeout":180000}}"#,
    200
)]
#[case::a_part(r#"{"system":{"peerToPeerRequirements":{"bandwidthMinimum":10000}}}"#, 200)]
#[case::null_of_unset(r#"{"system":{"sessionEmptyTimeout":null,"inviteProtocol":null}}"#, 200)]
#[case::nothing_listed(r#"{"system":{"initiators":[]}}"#, 200)]
#[case::capability_off(r#"{"system":{"capabilities":{"gameplay":false}}}"#, 200)]
#[case::custom(r#"{"custom":{"map":"harbor","none":null}}"#, 200)]
#[case::capability_on(r#"{"system":{"capabilities":{"gameplay":true}}}"#, 409)]
#[case::null_of_set(r#"{"system":{"maxMembersCount":null}}"#, 409)]
#[case::set_of_unset(r#"{"system":{"sessionEmptyTimeout":0}}"#, 409)]
#[case::part_differs(r#"{"system":{"peerToPeerRequirements":{"latencyMaximum":6}}}"#, 409)]
#[case::other_custom(r#"{"custom":{"map":"ruins"}}"#, 409)]
#[case::new_custom(r#"{"custom":{"mode":"raid"}}"#, 409)]
#[case::no_custom(r#"{"custom":null}"#, 409)]
#[case::text_custom(r#"{"custom":"text"}"#, 409)]
fn w32_t24_constants_are_fixed_once_the_session_exists(#[case] constants: &str, #[case] status: u16) {
    let mut stage = template("{}", "{}");
    let system = r#"{"sessionEmptyTimeout":null,"peerToPeerRequirements":{"latencyMaximum":5}}"#;
    assert_eq!(stage.put(&ada(), &create(system, r#"{"map":"harbor"}"#)), 201);
    let before = stage.get();
    let body = format!(r#"{{"constants":{constants}}}"#);
    assert_eq!(stage.put(&ada(), &body), status);
    assert_eq!(stage.put(&server(), &body), status, "A-04");
    assert_eq!(stage.get(), before);
}

#[test]
fn w32_the_constants_of_a_response_may_be_sent_back() {
    let mut stage = Stage::of(LOBBY);
    let active = own(&format!(r#"{{"active":true,"connection":"{CONNECTION}"}}"#));
    assert_eq!(stage.put(&ada(), &active), 201);
    let constants = stage.at("constants");
    assert!(stage.put(&ada(), &format!(r#"{{"constants":{constants}}}"#)).is_quiet());
}

#[test]
fn t26_xsapi_names_version_count_and_visibility_on_every_create() {
    let mut stage = Stage::of(LOBBY);
    let body = format!(
        r#"{{"constants":{{"system":{{"version":1,"maxMembersCount":16,"visibility":"open","initiators":["{}"]}}}},"members":{{"me":{{"properties":{{"system":{{"active":true,"connection":"{CONNECTION}"}}}}}}}}}}"#,
        ada().xuid().unwrap()
    );
    assert_eq!(stage.put(&ada(), &body), 201);
    assert_eq!(Stage::of(LOBBY).put(&ada(), &body.replace("16", "8")), 409);
}

#[rstest]
#[case::t31_metrics(r#"{"metrics":{"latency":true}}"#, "constants.system.metrics")]
#[case::t31_count(r#"{"maxMembersCount":101}"#, "constants.system.maxMembersCount")]
#[case::t30_searchable(
    r#"{"capabilities":{"searchable":true,"userAuthorizationStyle":true}}"#,
    "constants.system.capabilities.searchable"
)]
#[case::t30_team(r#"{"capabilities":{"team":true,"gameplay":true}}"#, "constants.system.capabilities.team")]
#[case::t30_broadcast(r#"{"capabilities":{"broadcast":true}}"#, "constants.system.capabilities.broadcast")]
#[case::t31_package(r#"{"cloudComputePackage":{}}"#, "constants.system.cloudComputePackage")]
#[case::t31_owners(r#"{"ownershipPolicies":{}}"#, "constants.system.ownershipPolicies")]
#[case::m60(
    r#"{"capabilities":{"connectivity":true},"metrics":{"latency":true},"peerToPeerRequirements":{}}"#,
    "constants.system.metrics.bandwidthDown"
)]
#[case::t33(r#"{"capabilities":{"fly":true}}"#, "constants.system.capabilities.fly")]
#[case::t42(r#"{"readyRemovalTimeout":2147483648}"#, "constants.system.readyRemovalTimeout")]
#[case::s31(r#"{"version":0}"#, "constants.system.version")]
#[case::s33(r#"{"visibility":"full"}"#, "constants.system.visibility")]
#[case::s35(r#"{"inviteProtocol":7}"#, "constants.system.inviteProtocol")]
fn t31_what_cannot_stand_is_400_at_create(#[case] constants: &str, #[case] at: &str) {
    let answer = Stage::of(OPEN).put(&ada(), &creating(constants));
    assert!(answer == 400 && answer.text().starts_with(&format!("{at}: ")), "{answer:?}");
}

#[test]
fn t31_template_and_request_are_judged_together() {
    let mut stage = template(r#"{"capabilities":{"connectivity":true}}"#, "{}");
    assert_eq!(stage.put(&ada(), &creating(r#"{"metrics":{"latency":true}}"#)), 201);
    let mut stage = template(r#"{"metrics":null}"#, "{}");
    assert_eq!(stage.put(&ada(), &creating("{}")), 201);
}

#[test]
fn t34_requirements_without_connectivity_are_accepted() {
    assert_eq!(Stage::of(OPEN).put(&ada(), &creating(r#"{"peerToHostRequirements":{"latencyMaximum":180}}"#)), 201);
}

#[test]
fn w71_old_names_are_for_old_requests() {
    let old = r#"{"timeouts":{"reserved":1000,"inactive":2000,"ready":3000,"sessionEmpty":4000}}"#;
    assert_eq!(Stage::of(OPEN).put(&ada(), &creating(old)), 400);
    let mut stage = Stage::of(OPEN);
    stage.form = Form::Old;
    assert_eq!(stage.put(&ada(), &creating(r#"{"timeouts":{"ready":1},"readyRemovalTimeout":1}"#)), 400, "both forms");
    assert_eq!(stage.put(&ada(), &creating(r#"{"timeouts":{"fly":1}}"#)), 400);
    assert_eq!(stage.put(&ada(), &creating(old)), 201);
    for (name, value) in [
        ("reservedRemovalTimeout", "1000"),
        ("inactiveRemovalTimeout", "2000"),
        ("readyRemovalTimeout", "3000"),
        ("sessionEmptyTimeout", "4000"),
    ] {
        assert_eq!(stage.at(&format!("constants.system.{name}")), value, "T-50");
    }
    assert!(stage.put(&ada(), &creating(old)).is_quiet(), "W-32");
    assert!(stage.put(&ada(), &creating(r#"{"readyRemovalTimeout":3000}"#)).is_quiet(), "the new names as well");
    assert_eq!(stage.put(&ada(), &creating(r#"{"timeouts":{"ready":5}}"#)), 409);
    stage.form = Form::New;
    assert!(stage.put(&ada(), &creating(r#"{"readyRemovalTimeout":3000}"#)).is_quiet(), "W-70");
}

#[test]
fn t51_defaults_come_from_the_template_whatever_the_request() {
    for (version, form, timeout) in
        [(105, Form::New, "7200000"), (107, Form::Old, "0"), (106, Form::Old, "0"), (104, Form::New, "7200000")]
    {
        let mut stage = Stage::of(&format!(r#"{{"contractVersion":{version},"constants":{{"system":{{}}}}}}"#));
        stage.form = form;
        assert_eq!(stage.put(&ada(), ACTIVE), 201);
        assert_eq!(stage.at("constants.system.inactiveRemovalTimeout"), timeout, "{version}");
    }
}

#[rstest]
#[case::silent("{}", r#"{"gameplay":true}"#)]
#[case::some(r#"{"capabilities":{"connectivity":true}}"#, r#"{"connectivity":true,"gameplay":true}"#)]
#[case::off(r#"{"capabilities":{"gameplay":false}}"#, r#"{"gameplay":false}"#)]
fn t54_templates_of_old_imply_gameplay(#[case] system: &str, #[case] capabilities: &str) {
    let mut stage = Stage::of(&format!(r#"{{"contractVersion":105,"constants":{{"system":{system}}}}}"#));
    assert_eq!(stage.put(&ada(), ACTIVE), 201);
    assert_eq!(stage.at("constants.system.capabilities"), capabilities);
    let old = format!(r#"{{"contractVersion":105,"constants":{{"system":{}}}}}"#, r#"{"capabilities":{"arbitration":true}}"#);
    assert!(Template::read(TemplateName::parse("T").unwrap(), &json(&old)).is_ok(), "T-30: arbitration needs gameplay");
}
