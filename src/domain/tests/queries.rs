//! What a query finds, and who may ask it (queries.md).

use rstest::rstest;

use super::*;
use crate::domain::access::{Nearness, nearness};
use crate::domain::query::{Candidate, SessionQuery};
use crate::wire::query::{found, read};

fn ask(query: &str) -> SessionQuery {
    read(Scid::parse(SCID).unwrap(), None, query, 7).expect("the query is sound")
}

/// The session on a stage as a query by `caller` about `user` sees it.
fn candidate(stage: &mut Stage, caller: &Principal, user: Option<&Principal>) -> Candidate {
    stage.settle();
    let (session, facts) = (stage.session(), stage.facts());
    let nearness = caller.user().map_or(Nearness::default(), |user| nearness(session, user, &facts));
    Candidate::of(session, user.and_then(Principal::xuid), nearness)
}

fn finds(stage: &mut Stage, caller: &Principal, user: Option<&Principal>, query: &str) -> bool {
    let query = match user {
        Some(user) => format!("xuid={}&{query}", user.xuid().unwrap()),
        None => query.to_owned(),
    };
    let candidate = candidate(stage, caller, user);
    ask(&query).matches(&candidate, caller)
}

/// Q-30: how Bo stands in the session, and what finds him.
#[rstest]
#[case::active(r#"{"active":true}"#, true, true, true)]
#[case::ready(r#"{"ready":true}"#, false, true, false)]
#[case::inactive("{}", false, true, false)]
fn q30_by_default_only_active_members_are_found(
    #[case] flags: &str,
    #[case] plain: bool,
    #[case] inactive: bool,
    #[case] reserved: bool,
) {
    let mut stage = Stage::card();
    stage.put(&bo(), &own(flags));
    assert_eq!(finds(&mut stage, &cy(), Some(&bo()), ""), plain);
    assert_eq!(finds(&mut stage, &cy(), Some(&bo()), "inactive=true"), inactive, "Q-13: ready counts as inactive");
    assert_eq!(finds(&mut stage, &bo(), Some(&bo()), "reservations=true"), reserved);
    assert!(!finds(&mut stage, &cy(), Some(&dee()), "inactive=true&reservations=true"), "no member at all");
}

#[test]
fn q12_reservations_are_found_when_asked_for() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    assert!(!finds(&mut stage, &bo(), Some(&bo()), "inactive=true"));
    assert!(finds(&mut stage, &bo(), Some(&bo()), "reservations=true"));
}

#[test]
fn q10_q31_q32_keywords_match_whole_and_without_case() {
    let mut stage = Stage::card();
    stage.put(&ada(), &system(r#"{"keywords":["EU-West","Été"]}"#));
    for (keyword, found) in [("keyword=eu-WEST", true), ("keyword=eu", false), ("keyword=%C3%89T%C3%89", true)] {
        assert_eq!(finds(&mut stage, &cy(), None, keyword), found, "{keyword}");
        assert_eq!(finds(&mut stage, &cy(), Some(&ada()), keyword), found, "{keyword}");
        assert!(!finds(&mut stage, &cy(), Some(&bo()), keyword), "Q-32: both conditions");
    }
}

#[test]
fn q14_q33_private_sessions_are_found_only_when_asked_for() {
    let mut stage = Stage::with(r#"{"visibility":"private"}"#);
    assert!(!finds(&mut stage, &ada(), Some(&ada()), ""));
    assert!(finds(&mut stage, &ada(), Some(&ada()), "private=true"));
    assert!(finds(&mut stage, &server(), Some(&ada()), "private=true"));
    assert!(finds(&mut Stage::card(), &ada(), Some(&ada()), "private=true"), "beside the others");
}

#[test]
fn q15_q36_q42_visibility_means_the_reported_one() {
    let mut stage = Stage::with(r#"{"maxMembersCount":2}"#);
    let reports = |stage: &mut Stage, word: &str| finds(stage, &cy(), Some(&ada()), &format!("visibility={word}"));
    assert!(reports(&mut stage, "OPEN") && !reports(&mut stage, "full"));
    stage.put(&ada(), &reserves(&bo()));
    assert!(!reports(&mut stage, "open") && reports(&mut stage, "full"), "reservations take slots");
    let mut visible = Stage::with(r#"{"visibility":"visible","maxMembersCount":1}"#);
    assert!(reports(&mut visible, "visible") && !reports(&mut visible, "full"));
}

#[test]
fn q16_only_sessions_of_at_most_the_version() {
    let mut stage = Stage::with(r#"{"version":3}"#);
    for (version, found) in [("", true), ("version=2", false), ("version=3", true), ("version=7", true)] {
        assert_eq!(finds(&mut stage, &cy(), Some(&ada()), version), found, "{version}");
    }
}

#[test]
fn q34_what_cannot_be_read_is_not_found() {
    let mut stage = Stage::card();
    stage.put(&ada(), &system(r#"{"joinRestriction":"followed","readRestriction":"followed","keywords":["eu"],"closed":true}"#));
    assert!(!finds(&mut stage, &cy(), Some(&ada()), ""));
    assert!(!finds(&mut stage, &cy(), None, "keyword=eu"));
    assert!(finds(&mut stage, &server(), None, "keyword=eu"));
    assert!(finds(&mut stage, &ada(), Some(&ada()), ""));
    stage.follows = vec![(ada().xuid().unwrap(), cy().xuid().unwrap())];
    assert!(finds(&mut stage, &cy(), None, "keyword=eu"), "closed does not matter");
}

/// Q-20: who asks, what, and whether that is allowed whatever would be found.
#[rstest]
#[case::own("private=true&reservations=true", ada(), Some(ada()), true)]
#[case::others("private=true", ada(), Some(bo()), false)]
#[case::others_reservations("reservations=true", ada(), Some(bo()), false)]
#[case::others_inactive("inactive=true", ada(), Some(bo()), true)]
#[case::keyword("private=true&keyword=eu", ada(), None, false)]
#[case::server("private=true&keyword=eu", server(), None, true)]
#[case::foreign_server("private=true&keyword=eu", other_server(), None, false)]
fn q20_a50_private_and_reservations_are_for_oneself(
    #[case] query: &str,
    #[case] caller: Principal,
    #[case] user: Option<Principal>,
    #[case] allowed: bool,
) {
    let query = match user {
        Some(user) => format!("{query}&xuid={}", user.xuid().unwrap()),
        None => query.to_owned(),
    };
    assert_eq!(ask(&query).authorise(&caller).is_ok(), allowed);
}

#[test]
fn q41_to_q47_a_result_shows_what_is_set() {
    let mut stage = Stage::card();
    stage.put(&ada(), &reserves(&bo()));
    let shown = |stage: &mut Stage, user: Option<&Principal>| {
        let candidate = candidate(stage, &ada(), user);
        let text = found([(user.and_then(Principal::xuid), &[candidate][..])].into_iter());
        text.strip_prefix(r#"{"results":["#).and_then(|text| text.strip_suffix("]}")).expect("Q-48").to_owned()
    };
    let reference = format!(r#"{{"scid":"{SCID}","templateName":"Lobby","name":"{}"}}"#, stage.reference.name);
    let time = "2031-04-05T18:00:00.1230000Z";
    assert_eq!(
        shown(&mut stage, None),
        format!(r#"{{"startTime":"{time}","sessionRef":{reference},"accepted":1,"visibility":"open"}}"#)
    );
    stage.put(&ada(), &system(r#"{"joinRestriction":"followed","turn":[1],"keywords":["EU"]}"#));
    let xuid = bo().xuid().unwrap();
    assert_eq!(
        json(&shown(&mut stage, Some(&bo()))),
        json(&format!(
            r#"{{"xuid":"{xuid}","startTime":"{time}","sessionRef":{reference},"accepted":1,"status":"reserved","visibility":"open",
            "joinRestriction":"followed","myTurn":true,"keywords":["EU"]}}"#
        ))
    );
    stage.put(&cy(), ACTIVE);
    stage.follows = vec![(ada().xuid().unwrap(), cy().xuid().unwrap()), (ada().xuid().unwrap(), dee().xuid().unwrap())];
    stage.put(&cy(), ACTIVE);
    stage.put(&dee(), ACTIVE);
    let full = json(&shown(&mut stage, Some(&ada())));
    assert_eq!(full.get("visibility"), Some(&"full".into()));
    assert_eq!(full.get("joinRestriction"), Some(&"followed".into()), "Q-46: on full ones too");
    assert_eq!(full.get("myTurn"), None, "Q-45");
    let mut visible = Stage::with(r#"{"visibility":"visible"}"#);
    visible.put(&ada(), &system(r#"{"joinRestriction":"local"}"#));
    assert!(!shown(&mut visible, None).contains("joinRestriction"), "Q-46");
}
