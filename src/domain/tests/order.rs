//! Which check comes first (errors.md, E-10).

use super::*;

#[test]
fn e10_if_none_match_before_access() {
    let mut stage = Stage::with(r#"{"visibility":"private"}"#);
    assert_eq!(stage.put_if(&bo(), if_none_match_any(), r#"{"servers":{}}"#), 412);
}

#[test]
fn e10_access_before_if_match() {
    let mut stage = Stage::card();
    for body in [r#"{"properties":{}}"#, r#"{"servers":{}}"#, r#"{"members":{"0":null}}"#] {
        assert_eq!(stage.put_if(&bo(), if_match(&["old"]), body), 403, "{body}");
    }
}

#[test]
fn e10_if_match_before_validation() {
    let mut stage = Stage::card();
    assert_eq!(stage.put_if(&ada(), if_match(&["old"]), &system(r#"{"fly":1}"#)), 412);
    assert_eq!(stage.put_if(&ada(), if_match(&["old"]), r#"{"fly":1}"#), 400, "but the top-level shape is #8");
}

#[test]
fn e10_access_before_validation() {
    let mut stage = Stage::with(r#"{"visibility":"visible"}"#);
    assert_eq!(stage.put(&bo(), &own(r#"{"fly":1}"#)), 403);
    assert_eq!(stage.put(&ada(), r#"{"members":{"9":{"fly":1}},"properties":{"system":{"fly":1}}}"#), 403);
    assert_eq!(Stage::of(CARD).put(&ada(), r#"{"servers":{},"properties":{"system":{"fly":1}}}"#), 403);
}

#[test]
fn e10_validation_before_conflicts_wherever_they_stand() {
    let mut stage = Stage::card();
    let conflict = r#""constants":{"system":{"maxMembersCount":5},"custom":{"new":1}}"#;
    assert_eq!(stage.put(&ada(), &format!("{{{conflict}}}")), 409);
    assert_eq!(stage.put(&ada(), &format!(r#"{{{conflict},"properties":{{"system":{{"fly":1}}}}}}"#)), 400);
    assert_eq!(stage.put(&ada(), &format!(r#"{{{conflict},"members":{{"reserve_0":{{}}}}}}"#)), 400);
    let differing = r#"{"members":{"me":{"constants":{"custom":{"new":1}}}},"properties":{"system":{"turn":[9]}}}"#;
    assert_eq!(stage.put(&ada(), differing), 400);
    assert_eq!(
        stage.put(&ada(), r#"{"members":{"me":{"constants":{"custom":{"new":1}},"properties":{"system":{"fly":1}}}}}"#),
        400
    );
    assert_eq!(stage.put(&ada(), r#"{"constants":{"system":{"maxMembersCount":5,"version":"x"}}}"#), 400);
    let mut missing = Stage::of(CARD);
    assert_eq!(
        missing.put(&ada(), &format!(r#"{{{conflict},"members":{{"me":{{"properties":{{"system":{{"fly":1}}}}}}}}}}"#)),
        400
    );
    assert_eq!(missing.put(&ada(), r#"{"constants":{"system":{"maxMembersCount":5,"version":0}}}"#), 400);
}

#[test]
fn e10_conflicts_before_capacity() {
    let mut stage = Stage::with(r#"{"maxMembersCount":1}"#);
    assert_eq!(stage.put(&bo(), r#"{"constants":{"system":{"version":2}},"members":{"me":{}}}"#), 409);
    let full = stage.put(&bo(), r#"{"constants":{"system":{"version":1}},"members":{"me":{}}}"#);
    assert_eq!(full.0.unwrap_err().kind, Kind::Full);
}

#[test]
fn e10_validation_before_capacity() {
    let mut stage = Stage::with(r#"{"maxMembersCount":1}"#);
    let answer = stage.put(&bo(), r#"{"members":{"me":{"properties":{"system":{"fly":1}}}}}"#);
    assert_eq!(answer.0.unwrap_err().kind, Kind::Invalid);
}

#[test]
fn e10_m88_a_full_session_refuses_even_who_would_not_stay() {
    let mut stage = Stage::with(r#"{"maxMembersCount":1}"#);
    assert_eq!(stage.put(&bo(), HERE), 400);
}
