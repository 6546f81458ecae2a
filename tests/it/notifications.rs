//! Taps: from a change to the sockets of those who subscribed to it (N-25 to N-57).

use serde_json::json;

use crate::harness::{World, session};

#[tokio::test]
async fn n30_n50_n51_a_change_taps_who_subscribed() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let mut socket = world.socket(1).await;
    let subscribed = socket.subscribes(crate::rta_client::CONNECTIONS).await;
    let connection = subscribed.data["ConnectionId"].clone();
    let lobby = session("Open", "Lobby-1");
    let joins = json!({"members": {"me": {"properties": {"system": {"active": true, "connection": connection,
        "subscription": {"id": "6A1D9C3E-0F4B-4E27-8F6D-1B2C3D4E5F01", "changeTypes": ["everything"]}}}}}});
    let created = ada.put(&lobby, &joins).await.expect(201).json();
    let first = socket.next().await;
    println!("{first}");
    bo.put(&lobby, &crate::harness::joining("active")).await.expect(200);
    let tap = socket.next().await;
    println!("{tap}");
    assert_eq!(tap[2]["shoulderTaps"][0]["branch"], created["branch"]);
    world.end().await;
}
