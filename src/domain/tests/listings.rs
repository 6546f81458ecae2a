//! Listed sessions: who lists them, what the document shows of that, and what they are found by (handles.md, Search).

use std::collections::BTreeMap;

use rstest::rstest;

use super::*;
use crate::domain::listing::{Finding, Listing, Sought, read_attributes};
use crate::domain::names::HandleId;

/// The command of a user to list the session under the handle of this number.
fn lists(who: &Principal, number: u128, attributes: &str) -> Command {
    let user = who.user().expect("a user lists");
    Command::List(Arc::new(Listing {
        id: HandleId(Uuid::from_u128(number)),
        posted_at: "2031-04-05T18:00:00Z".parse().unwrap(),
        owner: user.xuid,
        title_id: user.title_id,
        attributes: read_attributes(Some(&json(attributes))).expect("the attributes are sound"),
    }))
}

fn unlists(number: u128) -> Command {
    Command::Unlist(HandleId(Uuid::from_u128(number)))
}

/// Ada's session that can be found.
fn searchable(constants: &str) -> Stage {
    Stage::with(&format!(r#"{{"capabilities":{{"searchable":true{constants}}},"inactiveRemovalTimeout":null}}"#))
}

#[test]
fn s26_h62_the_document_shows_one_handle_at_a_time() {
    let mut stage = searchable("");
    for number in [1, 2] {
        let before = stage.session().change_number;
        assert_eq!(stage.run(&ada(), &lists(&ada(), number, r#"{"tags":["a"]}"#)), 200);
        assert_eq!(stage.at("searchHandle"), format!("\"{}\"", Uuid::from_u128(number)));
        assert_eq!(stage.session().change_number, before + 1);
    }
    assert_eq!(stage.run(&ada(), &unlists(1)), 404, "it was replaced");
    // H-66: doors do not matter, nor who is there.
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    assert_eq!(stage.put(&ada(), &system(r#"{"closed":true}"#)), 200);
    assert_eq!(stage.put(&ada(), LEAVES), 200);
    assert_eq!(stage.run(&bo(), &unlists(2)), 403);
    assert_eq!(stage.run(&server(), &unlists(2)), 200);
    assert_eq!(stage.at("searchHandle"), "");
    assert_eq!(stage.run(&server(), &unlists(2)), 404);
    assert_eq!(stage.run(&bo(), &lists(&bo(), 3, "{}")), 200);
    assert_eq!(stage.put(&bo(), LEAVES), 204);
    assert_eq!(stage.run(&bo(), &unlists(3)), 404);
    assert_eq!(stage.run(&bo(), &lists(&bo(), 4, "{}")), 404, "H-61: the session must exist");
}

#[rstest]
#[case::owner(ada(), 200, 200)]
#[case::accepted(bo(), 403, 403)]
#[case::reserved(cy(), 403, 403)]
#[case::stranger(dee(), 403, 403)]
#[case::server(server(), 403, 200)]
#[case::foreign_server(other_server(), 403, 403)]
#[case::admin(Principal::Admin { name: "root".into() }, 403, 403)]
#[case::without_privilege(with(ada(), |user| user.multiplayer = false), 403, 200)]
fn h08_h61_who_lists_and_unlists_an_owned_session(#[case] who: Principal, #[case] lists_it: u16, #[case] unlists_it: u16) {
    let mut stage = searchable(r#","hasOwners":true"#);
    assert_eq!(stage.put(&bo(), HERE), 200);
    assert_eq!(stage.put(&ada(), &reserves(&cy())), 200);
    assert_eq!(stage.run(&who, &lists(&ada(), 1, "{}")), lists_it);
    assert_eq!(stage.run(&ada(), &lists(&ada(), 2, "{}")), 200);
    assert_eq!(stage.run(&who, &unlists(2)), unlists_it);
}

#[test]
fn h61_the_capability_is_needed() {
    let mut stage = Stage::with("{}");
    assert_eq!(stage.run(&ada(), &lists(&ada(), 1, "{}")), 403);
}

#[test]
fn h63_h65_everything_a_listed_session_is_found_by() {
    let mut stage = Stage::of(
        r#"{"constants":{"system":{"maxMembersCount":8,"capabilities":{"searchable":true}},"custom":{}},
        "roleTypes":{"class":{"roles":{"healer":{"max":3,"target":2},"tank":{"max":1},"scout":{}}}}}"#,
    );
    let create = r#"{"members":{"me":{"roles":{"class":"healer"},"properties":{"system":{"active":true}}}},
        "properties":{"system":{"keywords":["EU"],"scheduledTime":"1970-01-01T00:00:01.5Z"}}}"#;
    assert_eq!(stage.put(&ada(), create), 201);
    assert_eq!(Finding::of(stage.session()), None, "not without a search handle");
    let attributes = r#"{"tags":["CoopOnly"],"strings":{"Map":"HARBOR Bay"},"numbers":{"Level":1.50},"achievementIds":["A7"],"locale":"EN-us"}"#;
    assert_eq!(stage.run(&ada(), &lists(&ada(), 1, attributes)), 200);
    assert_eq!(stage.put(&bo(), ACTIVE), 200);
    let found = Finding::of(stage.session()).expect("it is listed");
    let numbers = [
        ("numbers/level", 1.5),
        ("session/maxmemberscount", 8.0),
        ("session/maxmemberscountremaining", 6.0),
        ("session/memberscount", 2.0),
        ("session/needs", 0.0),
        ("session/roles/class/healer/count", 1.0),
        ("session/roles/class/healer/needs", 1.0),
        ("session/roles/class/healer/target", 2.0),
        ("session/roles/class/scout/count", 0.0),
        ("session/roles/class/tank/count", 0.0),
        ("session/roles/class/tank/needs", 1.0),
        ("session/roles/class/tank/target", 1.0),
        ("session/scheduledtime", 1_500_000.0),
        ("session/targetmemberscount", 2.0),
        ("session/titleid", 1_739_200_451.0),
    ];
    let texts = [("language", "en"), ("strings/map", "harbor bay")];
    let mut expected: BTreeMap<_, _> = numbers.map(|(path, number)| (path.to_owned(), Sought::Number(number))).into();
    expected.extend(texts.map(|(path, text)| (path.to_owned(), Sought::Text(text.to_owned()))));
    assert_eq!(found.values, expected);
    assert_eq!(
        found.terms.iter().map(String::as_str).collect::<Vec<_>>(),
        ["achievementids:a7", "session/keywords:eu", "tags:cooponly"]
    );
}

#[rstest]
#[case::locale(r#"{"locale":"de"}"#, Some("de"))]
#[case::region(r#"{"locale":"pt-BR"}"#, Some("pt"))]
#[case::language(r#"{"language":"FR"}"#, Some("fr"))]
#[case::both(r#"{"language":"fr","locale":"en-US"}"#, Some("en"))]
#[case::neither("{}", None)]
fn h65_the_language_of_a_listing(#[case] attributes: &str, #[case] language: Option<&str>) {
    let mut stage = searchable("");
    stage.run(&ada(), &lists(&ada(), 1, attributes));
    let found = Finding::of(stage.session()).expect("it is listed");
    assert_eq!(found.values.get("language"), language.map(|language| Sought::Text(language.to_owned())).as_ref());
}
