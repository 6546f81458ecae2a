//! What an instance remembers of sessions it has just saved: that it need not load them, and that nothing rests on it.

use serde_json::json;

use crate::harness::{World, joining, session};

/// How many sessions were loaded to be decided on, and how many were not.
fn counted(world: &World) -> (u64, u64) {
    let metrics = world.running.directory.metrics();
    (metrics.sessions_loaded.get(), metrics.sessions_remembered.get())
}

/// A session with two members, made by the first one; both may write.
async fn of_two(world: &World, path: &str) {
    assert_eq!(world.user(1).put(path, &joining("active")).await.status, 201);
    assert_eq!(world.user(2).put(path, &joining("active")).await.status, 200);
}

#[tokio::test]
async fn a_member_that_writes_again_and_again_has_the_session_loaded_no_more() {
    let world = World::new().await;
    let path = session("Open", "mine");
    of_two(&world, &path).await;
    let before = counted(&world);
    for round in 0..5 {
        let answer = world.user(1).put(&path, &json!({"properties": {"custom": {"round": round}}})).await;
        assert_eq!((answer.status, answer.json()["changeNumber"].as_u64()), (200, Some(3 + round)));
    }
    let left = world.user(2).put(&path, &json!({"members": {"me": null}})).await;
    assert_eq!((left.status, left.json()["membersInfo"]["count"].as_u64()), (200, Some(1)));
    let back = world.user(2).put(&path, &json!({"members": {"me": {"properties": {"system": {"active": true}}}}})).await;
    assert_eq!((back.status, counted(&world)), (200, (before.0, before.1 + 7)), "the session is open to all");
    // Whoever comes now may be kept out by what only the database knows, and so may a connection.
    let narrow = json!({"properties": {"system": {"joinRestriction": "followed", "readRestriction": "followed"}}});
    assert_eq!(world.user(1).put(&path, &narrow).await.status, 200);
    assert_eq!(world.user(3).put(&path, &joining("active")).await.status, 403);
    world.follows(1, 3).await;
    assert_eq!(world.user(3).put(&path, &joining("active")).await.status, 200);
    assert_eq!(counted(&world), (before.0 + 2, before.1 + 8));
    world.end().await;
}

#[tokio::test]
async fn w47_what_another_instance_has_saved_counts() {
    let world = World::new().await;
    let other = world.beside().await;
    let path = session("Open", "shared");
    of_two(&world, &path).await;
    let round = |round: u64| json!({"properties": {"custom": {"round": round}}});
    let first = world.user(1).put(&path, &round(1)).await;
    let second = other.user(2).put(&path, &round(2)).await;
    assert_eq!(second.json()["changeNumber"], 4);

    // The first instance remembers the session as it was before: it would take the old tag, and refuse the new one.
    let refused = world.user(1).put_if(&path, ("If-Match", &first.etag()), &round(3)).await;
    assert_eq!((refused.status, &refused.json()["properties"]["custom"]["round"]), (412, &json!(2)));
    let taken = world.user(1).put_if(&path, ("If-Match", &second.etag()), &round(4)).await;
    assert_eq!((taken.status, &taken.json()["changeNumber"]), (200, &json!(5)));

    // It would take the one for a member who is none any more.
    assert_eq!(other.user(2).put(&path, &json!({"members": {"me": null}})).await.status, 200);
    assert_eq!(world.user(2).put(&path, &round(5)).await.status, 403);

    // It would show a session that has ended, and is another one now.
    assert_eq!(world.user(1).put(&path, &round(6)).await.status, 200);
    assert_eq!(other.user(1).put(&path, &json!({"members": {"me": null}})).await.status, 204);
    assert_eq!(other.user(2).put(&path, &joining("active")).await.status, 201);
    assert_eq!(world.user(1).put(&path, &round(7)).await.status, 403);
    let anew = world.user(2).put(&path, &round(8)).await;
    assert_eq!((anew.status, &anew.json()["changeNumber"]), (200, &json!(2)));
    world.end().await;
}

#[tokio::test]
async fn a_session_that_another_instance_saves_too_is_loaded_until_that_is_over() {
    let world = World::new().await;
    let other = world.beside().await;
    let path = session("Open", "between");
    of_two(&world, &path).await;
    let write = async |at: &World, xuid, round: u64| {
        let answer = at.user(xuid).put(&path, &json!({"properties": {"custom": {"round": round}}})).await;
        assert_eq!((answer.status, answer.json()["changeNumber"].as_u64()), (200, Some(2 + round)));
    };
    for round in 1..=8 {
        write(if round % 2 == 0 { &world } else { &other }, 1 + round % 2, round).await;
    }
    // What was remembered was taken for the session once, and never again.
    assert_eq!(world.running.directory.metrics().races_lost.get(), 1);
    let before = counted(&world);
    for round in 9..=12 {
        write(&world, 1, round).await;
    }
    assert_eq!(counted(&world), (before.0 + 1, before.1 + 3));
    world.end().await;
}

#[tokio::test]
async fn m24_a_remembered_session_is_settled_first() {
    let world = World::new().await;
    let path = session("Private", "late");
    let reserves = json!({"members": {"me": {}, "reserve_0": {"constants": {"system": {"xuid": "7"}}}}});
    let made = world.user(1).put(&path, &reserves).await;
    assert_eq!((made.status, made.json()["membersInfo"]["count"].as_u64()), (201, Some(2)));
    let before = counted(&world);
    world.pass(300_000);
    let answer = world.user(1).put(&path, &json!({"properties": {"custom": {"late": true}}})).await;
    assert_eq!((answer.status, answer.json()["membersInfo"]["count"].as_u64()), (200, Some(1)));
    assert_eq!(answer.json()["changeNumber"], 3, "the end of the reservation comes before the write");
    assert_eq!(counted(&world), (before.0, before.1 + 1));
    world.end().await;
}

#[tokio::test]
async fn m27_a_sweep_loads_only_what_is_not_remembered() {
    let world = World::new().await;
    let other = world.beside().await;
    let reserves = json!({"members": {"me": {}, "reserve_0": {"constants": {"system": {"xuid": "7"}}}}});
    let paths = ["mine", "theirs"].map(|name| session("Private", name));
    for path in &paths {
        assert_eq!(world.user(1).put(path, &reserves).await.status, 201);
    }
    let written = other.user(1).put(&paths[1], &json!({"properties": {"custom": {"round": 1}}})).await;
    assert_eq!((written.status, &written.json()["changeNumber"]), (200, &json!(2)));
    let before = counted(&world);
    world.pass(300_000);
    assert_eq!(world.running.directory.sweep().await.expect("the database answers"), 2);
    // What is remembered of the second one is not what the other instance has left.
    assert_eq!(counted(&world), (before.0 + 1, before.1 + 2));
    let seen = [world.user(1).get(&paths[0]).await.json(), world.user(1).get(&paths[1]).await.json()];
    assert_eq!(seen.map(|document| document["changeNumber"].as_u64()), [Some(2), Some(3)]);
    world.end().await;
}
