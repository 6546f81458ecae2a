//! Every operation of the description, asked by every kind of principal: the statuses are one table, `tests/data/authority.txt`.
//!
//! Whoever opens a door that was closed, or closes one, sees it there.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use openmpsd::http::openapi;
use reqwest::Method;
use serde_json::{Value, json};

use crate::chance::setting;
use crate::harness::{Actor, Choices, SCID, World, session};

const ADA: u64 = 2_533_274_800_000_001;
const BO: u64 = 2_533_274_800_000_002;
const STRANGER: u64 = 2_533_274_800_000_009;
const CHEAT: u64 = 2_533_274_800_000_007;

/// What is there before every request: a session of Ada and Bo that a server takes part in, Ada's activity, Bo's invite for Ada, and somebody is banned.
struct Stage {
    activity: String,
    invite: String,
}

impl Stage {
    async fn set(world: &World) -> Self {
        let (ada, bo, path) = (world.user(ADA), world.user(BO), session("Card", "harbor-1"));
        let joining = json!({"members": {"me": {"properties": {"system": {"active": true}}}}});
        for user in [&ada, &bo, &world.user(STRANGER)] {
            // The last who leaves takes the session along, whatever became of it.
            let status = user.delete(&format!("{path}/members/me")).await.status;
            assert!(matches!(status, 204 | 404), "{status}");
        }
        for user in [&ada, &bo] {
            let status = user.put(&path, &joining).await.status;
            assert!(matches!(status, 200 | 201), "{status}");
        }
        world.server().put(&format!("{path}/servers/arena"), &json!({})).await.expect(200);
        // What an operation before this one may have set up: blocked users are not invited (H-36).
        world.admin().send(Method::PUT, "/admin/social/edges", &[("Content-Type", "")], None).await.expect(200);
        let banned = world.admin().put(&format!("/admin/bans/{CHEAT}"), &json!({"reason": "cheats"})).await.status;
        assert!(matches!(banned, 200 | 201), "{banned}");
        let reference = json!({"scid": SCID, "templateName": "Card", "name": "harbor-1"});
        let make = async |who: &Actor, handle: Value| {
            who.post("/handles", &handle).await.expect(201).json()["id"].as_str().expect("an id").to_owned()
        };
        let invite = json!({"type": "invite", "sessionRef": reference, "invitedXuid": ADA.to_string()});
        Self { activity: make(&ada, json!({"type": "activity", "sessionRef": reference})).await, invite: make(&bo, invite).await }
    }
}

/// The path of an operation with the examples of its parameters in it.
fn filled(path: &str, operation: &Value, stage: &Stage) -> String {
    let mut path = path.to_owned();
    let mut query = Vec::new();
    for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let name = parameter["name"].as_str().expect("a name");
        let Some(example) = parameter.get("example").and_then(Value::as_str) else { continue };
        match (parameter["in"].as_str(), name) {
            (Some("path"), "handle") => {
                let handle = if path.starts_with("/users/") { &stage.invite } else { &stage.activity };
                path = path.replace("{handle}", handle);
            }
            (Some("path"), _) => path = path.replace(&format!("{{{name}}}"), example),
            (Some("query"), _) => query.push(format!("{name}={example}")),
            _ => {}
        }
    }
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

/// The first example of a body, with its media type.
fn body(operation: &Value) -> Option<(String, String)> {
    let (kind, content) = operation.pointer("/requestBody/content")?.as_object()?.iter().next()?;
    let example = &content.get("examples")?.as_object()?.values().next()?["value"];
    Some((kind.clone(), example.as_str().map_or_else(|| example.to_string(), str::to_owned)))
}

#[tokio::test]
async fn every_operation_answers_every_kind_of_principal_as_the_table_says() {
    let mut choices = Choices::default();
    choices.rules.feeds.lifetime = Duration::from_millis(20);
    let world = World::with(choices).await;
    let document: Value = serde_json::from_str(openapi::text()).expect("the description is JSON");
    let callers = [
        ("nobody", world.nobody()),
        ("user", world.user(ADA)),
        ("stranger", world.user(STRANGER)),
        ("server", world.server()),
        ("admin", world.admin()),
    ];
    let mut table = format!("{:<28}", "operation");
    for (name, _) in &callers {
        write!(table, " {name:<8}").expect("a text grows");
    }
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        for (verb, operation) in item.as_object().expect("a path has operations") {
            // Those need no credential, whoever asks.
            if operation["tags"][0] == "operation" {
                continue;
            }
            write!(table, "\n{:<28}", operation["operationId"].as_str().expect("a name")).expect("a text grows");
            for (_, caller) in &callers {
                let stage = Stage::set(&world).await;
                let (kind, body) = body(operation).unzip();
                let method: Method = verb.to_ascii_uppercase().parse().expect("a method");
                let headers = [("Content-Type", kind.as_deref().unwrap_or_default())];
                let answer = caller.send(method, &filled(path, operation, &stage), &headers, body).await;
                let described = operation["responses"].get(answer.status.to_string());
                assert!(described.is_some(), "{} is answered {answer:?}", operation["operationId"]);
                write!(table, " {:<8}", answer.status).expect("a text grows");
            }
        }
    }
    let table = table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/authority.txt");
    if setting("OPENMPSD_BLESS", 0) == 1 {
        std::fs::write(&path, &table).expect("the table can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == table, "tests/data/authority.txt has it otherwise; `make bless` takes it as it is now:\n{table}");
    world.end().await;
}
