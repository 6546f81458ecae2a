//! The tables of templates.md, row by row.

use rstest::rstest;

use super::*;
use crate::json::parse;

fn json(text: &str) -> Json {
    parse(text.as_bytes(), 32).expect("test data is JSON")
}

fn template(text: &str) -> Template {
    Template::read(TemplateName::parse("T").unwrap(), &json(text)).expect("the template is valid").0
}

fn merged(published: &str, request: &str) -> Result<String, Refusal> {
    let request = json(request);
    let merged = merge(&template(published), request.as_object().unwrap(), None, &Limits::default())?;
    match merged.conflict {
        Some(conflict) => Err(conflict),
        None => Ok(Json::Object(merged.constants.system.clone()).to_string()),
    }
}

#[test]
fn t40_t41_defaults_are_filled_in_and_shown() {
    assert_eq!(
        merged("{}", "{}").unwrap(),
        r#"{"version":1,"maxMembersCount":100,"visibility":"open","reservedRemovalTimeout":30000,"inactiveRemovalTimeout":0,"readyRemovalTimeout":180000,"sessionEmptyTimeout":0,"capabilities":{}}"#
    );
}

#[test]
fn t40_sessions_whose_creators_give_no_constants_share_those_of_the_template() {
    let template = template(r#"{"constants":{"system":{"maxMembersCount":7},"custom":{"a":1}}}"#);
    let merge = |custom: Option<&Json>| merge(&template, &Object::new(), custom, &Limits::default()).unwrap().constants;
    let (one, two) = (merge(None), merge(None));
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(one, merge(Some(&json(r#"{"a":1.0}"#))), "it is what is made for one of them");
    assert_eq!(merge(Some(&json(r#"{"b":2}"#))).custom, json(r#"{"a":1,"b":2}"#));
}

#[test]
fn t51_defaults_follow_the_version_of_the_template() {
    assert!(merged(r#"{"contractVersion":105}"#, "{}").unwrap().contains(r#""inactiveRemovalTimeout":7200000"#));
}

/// The table of T-20, row by row: template, request, what becomes of `sessionEmptyTimeout`.
#[rstest]
#[case::absent_value("{}", r#"{"sessionEmptyTimeout":5}"#, Some("5"))]
#[case::absent_absent("{}", "{}", Some("0"))]
#[case::absent_null("{}", r#"{"sessionEmptyTimeout":null}"#, Some(""))]
#[case::value_absent(r#"{"sessionEmptyTimeout":7}"#, "{}", Some("7"))]
#[case::value_equal(r#"{"sessionEmptyTimeout":7}"#, r#"{"sessionEmptyTimeout":7.0}"#, Some("7"))]
#[case::value_other(r#"{"sessionEmptyTimeout":7}"#, r#"{"sessionEmptyTimeout":8}"#, None)]
#[case::value_null(r#"{"sessionEmptyTimeout":7}"#, r#"{"sessionEmptyTimeout":null}"#, None)]
#[case::null_absent(r#"{"sessionEmptyTimeout":null}"#, "{}", Some(""))]
#[case::null_null(r#"{"sessionEmptyTimeout":null}"#, r#"{"sessionEmptyTimeout":null}"#, Some(""))]
#[case::null_value(r#"{"sessionEmptyTimeout":null}"#, r#"{"sessionEmptyTimeout":7}"#, None)]
fn t20_template_against_request(#[case] published: &str, #[case] request: &str, #[case] kept: Option<&str>) {
    let result = merged(&format!(r#"{{"constants":{{"system":{published}}}}}"#), request);
    match kept {
        Some("") => assert!(!result.unwrap().contains("sessionEmptyTimeout")),
        Some(value) => assert!(result.unwrap().contains(&format!(r#""sessionEmptyTimeout":{value}"#))),
        None => assert_eq!(result.unwrap_err().kind, crate::domain::refusal::Kind::Conflict),
    }
}

#[rstest]
#[case::may_repeat_a_part(r#"{"gameplay":true,"crossPlay":true}"#, r#"{"gameplay":true}"#, true)]
#[case::may_not_add(r#"{"gameplay":true}"#, r#"{"crossPlay":true}"#, false)]
#[case::empty_forbids_all("{}", r#"{"crossPlay":true}"#, false)]
#[case::false_is_not_there("{}", r#"{"crossPlay":false}"#, true)]
#[case::false_against_true(r#"{"gameplay":true}"#, r#"{"gameplay":false}"#, false)]
fn t21_capabilities_compare_one_by_one(#[case] fixed: &str, #[case] given: &str, #[case] fits: bool) {
    let published = format!(r#"{{"constants":{{"system":{{"capabilities":{fixed}}}}}}}"#);
    assert_eq!(merged(&published, &format!(r#"{{"capabilities":{given}}}"#)).is_ok(), fits);
}

#[test]
fn s08_false_capabilities_of_a_request_are_not_stored() {
    let constants = merged("{}", r#"{"capabilities":{"gameplay":false,"crossPlay":true}}"#).unwrap();
    assert!(constants.contains(r#""capabilities":{"crossPlay":true}"#), "{constants}");
}

#[test]
fn t55_templates_may_use_the_old_names() {
    let system = r#"{"timeouts":{"inactive":5,"ready":null},"managedInitialization":{"autoEvaluate":true}}"#;
    let constants = merged(&format!(r#"{{"constants":{{"system":{system}}}}}"#), "{}").unwrap();
    assert!(constants.contains(r#""inactiveRemovalTimeout":5"#), "{constants}");
    assert!(!constants.contains("readyRemovalTimeout"), "{constants}");
    assert!(constants.contains(r#""memberInitialization":{"externalEvaluation":false,"joinTimeout":10000,"measurementTimeout":30000,"evaluationTimeout":5000,"membersNeededToStart":1}"#), "{constants}");
}

#[rstest]
#[case::t01(r#"{"members":{}}"#, "members")]
#[case::t07(r#"{"contractVersion":103}"#, "contractVersion")]
#[case::s09(r#"{"constants":{"system":{"fly":1}}}"#, "constants.system.fly")]
#[case::t30(
    r#"{"constants":{"system":{"capabilities":{"large":true,"connectivity":true}}}}"#,
    "constants.system.capabilities.connectivity"
)]
#[case::t31(r#"{"constants":{"system":{"maxMembersCount":101}}}"#, "constants.system.maxMembersCount")]
#[case::t31(r#"{"constants":{"system":{"metrics":{"latency":true}}}}"#, "constants.system.metrics")]
#[case::t33(r#"{"constants":{"system":{"capabilities":{"gameplay":1}}}}"#, "constants.system.capabilities.gameplay")]
#[case::t42(r#"{"constants":{"system":{"inactiveRemovalTimeout":2147483648}}}"#, "constants.system.inactiveRemovalTimeout")]
#[case::t55(r#"{"constants":{"system":{"timeouts":{"ready":1},"readyRemovalTimeout":1}}}"#, "constants.system.timeouts.ready")]
#[case::s55(r#"{"roleTypes":{"Class":{"roles":{}}}}"#, "roleTypes.Class")]
#[case::m82(r#"{"roleTypes":{"class":{"ownerManaged":true,"roles":{}}}}"#, "roleTypes.class.ownerManaged")]
fn t08_invalid_templates_are_reported_by_field(#[case] published: &str, #[case] at: &str) {
    let remarks = Template::read(TemplateName::parse("T").unwrap(), &json(published)).expect_err("invalid");
    assert!(remarks.iter().any(|remark| remark.fatal && remark.at == at), "{remarks:?}");
}

#[test]
fn t33_unknown_capabilities_of_a_template_are_kept_with_a_warning() {
    let document = json(r#"{"constants":{"system":{"capabilities":{"fly":true}}}}"#);
    let (template, remarks) = Template::read(TemplateName::parse("T").unwrap(), &document).unwrap();
    assert!(!remarks[0].fatal && remarks[0].at == "constants.system.capabilities.fly", "{remarks:?}");
    let merged = merge(&template, &Object::new(), None, &Limits::default()).unwrap();
    assert!(Json::Object(merged.constants.system.clone()).to_string().contains(r#""fly":true"#));
}

#[test]
fn t02_published_form_keeps_nulls_and_shows_custom() {
    let template = template(r#"{"constants":{"system":{"sessionEmptyTimeout":null}}}"#);
    assert_eq!(
        template.published().to_string(),
        r#"{"contractVersion":107,"constants":{"system":{"sessionEmptyTimeout":null},"custom":{}}}"#
    );
}
