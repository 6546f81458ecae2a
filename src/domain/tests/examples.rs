//! The contract's own examples: what they send, and what they are answered.

use std::fs;

use chrono::Utc;

use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/contract/examples");

fn read(name: &str) -> Json {
    let path = format!("{FOLDER}/{name}.json");
    json(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// Without what a run makes up: ids, and instants that the story does not name.
fn comparable(document: &Json) -> Json {
    let mut fields = document.as_object().expect("a document").clone();
    for name in ["branch", "correlationId"] {
        assert!(fields.shift_remove(name).is_some(), "{name}");
    }
    fields.into()
}

struct Story {
    stage: Stage,
}

impl Story {
    fn of(template: &str) -> Self {
        let mut stage = Stage::of(template);
        let id = |who: Principal| who.xuid().unwrap();
        stage.follows = vec![(id(ada()), id(bo()))];
        // The examples tell of players whose sockets are there.
        stage.connections = vec![
            alive("3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01", id(ada())),
            alive("9e2d4b77-6c0a-4a5f-b3f1-5d8c7a6e4b02", id(bo())),
        ];
        Self { stage }
    }

    fn at(&mut self, instant: &str) {
        self.stage.now = instant.parse::<chrono::DateTime<Utc>>().unwrap();
    }

    /// Sends the request of an example and holds the answer against the example's. A tag ending in a number stands for ours.
    fn plays(&mut self, name: &str) {
        let (request, response) = (read(&format!("{name}.request")), read(&format!("{name}.response")));
        let caller = request.get("caller").and_then(Json::as_str).expect("a caller").into_owned();
        let who = [ada(), bo(), cy()].into_iter().find(|who| caller.ends_with(&who.xuid().unwrap().to_string())).expect("known");
        let header = |name: &str| request.get("headers").and_then(|all| all.get(name)).and_then(Json::as_str).map(String::from);
        let tags = |value: String| match value.trim_matches('"') {
            "*" => Tags::Any,
            tag => {
                let number = tag.rsplit_once('.').expect("a tag of branch and number").1;
                Tags::These(vec![format!("{}.{number}", self.stage.session().branch)])
            }
        };
        let preconditions =
            Preconditions { if_match: header("If-Match").map(tags), if_none_match: header("If-None-Match").map(|_| Tags::Any) };
        let path = request.get("path").and_then(Json::as_str).expect("a path").into_owned();
        let target = if path.starts_with("/handles/") { Target::Handle } else { Target::Session };
        let body = request.get("body").map(Json::to_string).unwrap_or_default();
        let delta = request::read_delta(body.as_bytes(), 32).expect("the example is well-formed");
        let answer = self.stage.write(&who, delta, preconditions, target);
        assert_eq!(Some(&Json::from(u64::from(answer.status()))), response.get("status"), "{name}: {answer:?}");
        match response.get("body") {
            Some(expected) => {
                if let Err(refusal) = &answer.0 {
                    assert!(matches!(refusal.kind, Kind::Stale | Kind::Forbidden), "{name}");
                    assert!(self.stage.may_read(&who), "A-11, W-43");
                }
                self.stage.settle();
                let shown = json(&large::document(self.stage.session(), who.xuid()));
                let (shown, expected) = (comparable(&shown), comparable(expected));
                assert_eq!(shown, expected, "{name}: {shown} instead of {expected}");
            }
            None => assert!(answer.0.is_err() || self.stage.record.is_none(), "{name}"),
        }
    }
}

#[test]
fn the_life_of_a_lobby() {
    let mut story = Story::of(LOBBY);
    story.at("2031-04-05T18:00:00.123Z");
    story.plays("put-create-lobby");
    story.at("2031-04-05T18:01:10.5Z");
    story.plays("put-join-by-handle");
    story.at("2031-04-05T18:01:30Z");
    story.plays("put-custom-property");
    story.plays("put-stale-etag");
    story.at("2031-04-05T18:02:00Z");
    story.plays("put-reserve-member");
    story.at("2031-04-05T18:05:00Z");
    story.plays("put-leave");
    story.plays("put-last-leave");
}

#[test]
fn who_is_no_member_is_shown_the_session() {
    let mut story = Story::of(LOBBY);
    story.at("2031-04-05T18:00:00.123Z");
    let create = read("put-create-lobby.request").get("body").unwrap().to_string();
    let create = create.replace(r#""readRestriction":"followed""#, r#""readRestriction":"none""#);
    assert_eq!(story.stage.put(&ada(), &create), 201);
    story.plays("put-not-a-member");
}

#[test]
fn a_creator_who_is_not_active_vanishes() {
    Story::of(LOBBY).plays("put-create-inactive-vanishes");
}

/// A sample template as the service ships it.
fn sample(name: &str) -> String {
    let path = format!("{}/config/services/{SCID}/templates/{name}.json", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn a_game_that_measures_its_players() {
    let mut story = Story::of(&sample("PeerHost"));
    story.at("2031-04-05T18:00:00.123Z");
    story.plays("put-create-too-few-members");
    story.plays("put-create-with-initialization");
}

#[test]
fn a_spectator_among_hundreds() {
    let mut story = Story::of(&sample("Arena"));
    story.at("2031-04-05T12:00:00Z");
    let active = format!(r#"{{"active":true,"connection":"{CONNECTION}"}}"#);
    assert_eq!(story.stage.put(&ada(), &own(&active)), 201);
    let mut session = story.stage.session().clone();
    (session.change_number, session.next_index) = (932, 417);
    let crowd = session.crowd.as_mut().expect("the session is large");
    (crowd.count, crowd.active) = (389, 386);
    story.stage.load(session);
    story.at("2031-04-05T19:00:00Z");
    story.plays("put-join-large");
}

#[test]
fn every_example_of_a_put_is_played() {
    let played = include_str!("examples.rs");
    for entry in fs::read_dir(FOLDER).expect("the examples are there") {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".request.json").filter(|name| name.starts_with("put-")) {
            assert!(played.contains(&format!("plays(\"{name}\")")), "{name}");
        }
    }
}
