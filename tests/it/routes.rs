//! The routes and their headers (R).

use serde_json::json;

use crate::harness::{World, joining, session};

#[tokio::test]
async fn r20_r22_a_session_is_created_read_and_gone() {
    let world = World::new().await;
    let ada = world.user(1);
    let lobby = session("Lobby", "foo");
    ada.get(&lobby).await.expect(204);
    let created = ada.put(&lobby, &joining("active")).await.expect(201);
    assert_eq!(created.header("cache-control"), Some("no-cache"), "R-14");
    assert_eq!(
        created.header("content-location"),
        Some("/serviceconfigs/5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7/sessiontemplates/Lobby/sessions/foo"),
        "R-12"
    );
    let read = ada.get(&lobby).await.expect(200);
    assert_eq!((read.etag(), &read.text), (created.etag(), &created.text));
    ada.put(&lobby, &json!({"members": {"me": null}})).await.expect(204);
    ada.get(&lobby).await.expect(204);
    world.end().await;
}
