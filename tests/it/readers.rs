//! Reads over connections of a worker's own, and over those that all share.

use crate::handles::{playing, through};
use crate::harness::{Choices, World};
use crate::story::{active, open};

#[tokio::test]
async fn a_worker_reads_over_connections_of_its_own() {
    let world = World::new().await;
    let (ada, id) = playing(&world, 1, "lobby").await;
    world.store.close().await;
    for path in [open("lobby"), through(&id), open("lobby")] {
        ada.get(&path).await.expect(200);
    }
    ada.get(&open("nowhere")).await.expect(204);
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
    world.store.close().await;
    ada.get(&open("lobby")).await.expect(503);
    world.running.stop().await;
}
