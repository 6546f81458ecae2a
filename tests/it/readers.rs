//! Reads over connections of a worker's own, and over those that all share.

use serde_json::json;

use crate::handles::{asking, playing, query as ask_for_activities, through};
use crate::harness::{Choices, SCID, World};
use crate::story::{active, names, open, sessions};

fn batch() -> String {
    format!("/serviceconfigs/{SCID}/batch")
}

#[tokio::test]
async fn a_worker_reads_over_connections_of_its_own() {
    let world = World::new().await;
    let (ada, id) = playing(&world, 1, "lobby").await;
    world.store.close().await;
    for path in [open("lobby"), through(&id), open("lobby")] {
        ada.get(&path).await.expect(200);
    }
    ada.get(&open("nowhere")).await.expect(204);
    // So are queries whose answers are short.
    assert_eq!(names(ada.get(&sessions("xuid=1")).await), ["lobby"]);
    assert_eq!(ask_for_activities(&ada, &asking(&[1])).await.len(), 1);
    let users = |most: u64| json!({"xuids": (1..=most).collect::<Vec<_>>()});
    assert_eq!(names(ada.post(&batch(), &users(20)).await), ["lobby"]);
    ada.post(&batch(), &users(21)).await.expect(503);
    ada.put(&open("lobby"), &active()).await.expect(503);
    world.running.stop().await;
}

#[tokio::test]
async fn a_worker_without_reads_over_those_that_all_share() {
    let world = World::with(Choices { readers: 0, ..Choices::default() }).await;
    let (ada, id) = playing(&world, 1, "lobby").await;
    for path in [open("lobby"), through(&id), open("lobby")] {
        ada.get(&path).await.expect(200);
    }
    assert_eq!(names(ada.get(&sessions("xuid=1")).await), ["lobby"]);
    assert_eq!(ask_for_activities(&ada, &asking(&[1])).await.len(), 1);
    world.store.close().await;
    ada.get(&open("lobby")).await.expect(503);
    ada.get(&sessions("xuid=1")).await.expect(503);
    ada.post("/handles/query", &asking(&[1])).await.expect(503);
    world.running.stop().await;
}
