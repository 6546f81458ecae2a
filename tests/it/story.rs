//! Words that several chapters tell their stories with.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::{NoTls, SimpleQueryMessage};
use uuid::Uuid;

use crate::harness::{Actor, Answer, SCID, World, session};

/// A session of the template that leaves every constant to the creator.
pub fn open(name: &str) -> String {
    session("Open", name)
}

/// The query route over all templates.
pub fn sessions(query: &str) -> String {
    format!("/serviceconfigs/{SCID}/sessions?{query}")
}

/// A PUT that creates a session with these constants and properties, the caller active in it.
pub fn creating(constants: &Value, properties: &Value) -> Value {
    json!({
        "constants": {"system": constants},
        "properties": {"system": properties},
        "members": {"me": {"properties": {"system": {"active": true}}}},
    })
}

/// The same without constants, found by a keyword.
pub fn tagged(keyword: &str) -> Value {
    creating(&json!({}), &json!({"keywords": [keyword]}))
}

/// A PUT that makes the caller active.
pub fn active() -> Value {
    json!({"members": {"me": {"properties": {"system": {"active": true}}}}})
}

/// A PUT that takes the caller out.
pub fn leaving() -> Value {
    json!({"members": {"me": null}})
}

/// A PUT that reserves slots.
pub fn reserving(xuids: &[u64]) -> Value {
    let members = xuids
        .iter()
        .enumerate()
        .map(|(n, xuid)| (format!("reserve_{n}"), json!({"constants": {"system": {"xuid": xuid.to_string()}}})));
    json!({"members": members.collect::<serde_json::Map<_, _>>()})
}

/// The items of a query's answer.
#[track_caller]
pub fn results(answer: Answer) -> Vec<Value> {
    answer.expect(200).json()["results"].as_array().expect("results is an array").clone()
}

/// The session names of a query's answer, in its order.
#[track_caller]
pub fn names(answer: Answer) -> Vec<String> {
    results(answer).iter().map(|item| item["sessionRef"]["name"].as_str().expect("a name is text").to_owned()).collect()
}

/// The indices of a document's members, in their order.
pub fn indices(document: &Value) -> Vec<u64> {
    let members = document["members"].as_object().expect("members is an object");
    let mut found: Vec<u64> = members.keys().map(|index| index.parse().expect("keys are indices")).collect();
    found.sort_unstable();
    found
}

/// Sends one PUT to each path at once and insists on 201.
pub async fn create_all(actor: &Actor, paths: &[String], body: &Value) {
    for part in paths.chunks(64) {
        for answer in join_all(part.iter().map(|path| actor.put(path, body))).await {
            answer.expect(201);
        }
    }
}

/// The id that the store knows a session by: its `correlationId`.
pub fn sid(document: &Value) -> Uuid {
    document["correlationId"].as_str().expect("correlationId is text").parse().expect("correlationId is a GUID")
}

/// Runs a statement behind the service's back and returns the first column of its first row, if it has rows.
pub async fn sql(world: &World, statement: &str) -> Option<String> {
    let (client, connection) = tokio_postgres::connect(world.database.url(), NoTls).await.expect("the database is there");
    let (messages, _) = tokio::join!(
        async move {
            let client = client;
            client.simple_query(statement).await.expect("the statement is sound")
        },
        connection
    );
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}
