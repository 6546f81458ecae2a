//! Session queries among thousands of sessions that are none of the caller's business.

use serde_json::json;

use crate::harness::World;
use crate::story::{active, create_all, creating, names, open, reserving, sessions, sql, tagged};

/// Copies the session `m` with its members and keywords, under the names m-00001 and so on, behind the service's back.
async fn copy(world: &World, count: u32) {
    let copies = |table: &str, with: &str| {
        format!(
            "insert into {table} select copied.*
             from sessions s, {table} t, generate_series(1, {count}) n, lpad(n::text, 5, '0') no,
                jsonb_populate_record(t, jsonb_build_object('sid', md5('m' || n){with})) copied
             where s.name = 'm' and t.sid = s.sid;"
        )
    };
    let members = copies("members", "");
    let keywords = copies("keywords", ", 'name', 'm-' || no");
    let sessions = copies("sessions", ", 'name', 'm-' || no, 'next_timer_at', null");
    sql(world, &format!("{members}{keywords}{sessions} analyze")).await;
}

/// Takes copies away: those whose name is like this.
async fn remove(world: &World, like: &str) {
    let of = |table: &str| format!("delete from {table} where sid in (select sid from sessions where name like '{like}');");
    sql(world, &[of("members"), of("keywords"), of("sessions")].concat()).await;
}

#[tokio::test]
async fn q30_reservations_made_by_others_bury_nothing() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    bo.put(&open("own"), &active()).await.expect(201);
    world.pass(1);
    ada.put(&open("m"), &active()).await.expect(201);
    ada.put(&open("m"), &reserving(&[2])).await.expect(200);
    copy(&world, 20_500).await;
    for query in ["xuid=2", "xuid=2&inactive=true", "xuid=2&private=true"] {
        assert_eq!(names(bo.get(&sessions(query)).await), ["own"], "{query}");
    }
    let reserved = names(bo.get(&sessions("xuid=2&reservations=true&take=3")).await);
    assert_eq!(reserved, ["m", "m-00001", "m-00002"]);
    remove(&world, "m-%").await;
    assert_eq!(names(bo.get(&sessions("xuid=2&reservations=true")).await), ["m", "own"]);
    world.end().await;
}

#[tokio::test]
async fn q34_a_list_ends_where_too_much_is_unreadable() {
    let world = World::new().await;
    let (ada, eve) = (world.user(1), world.user(9));
    ada.put(&open("old"), &tagged("eu")).await.expect(201);
    world.pass(1);
    let restricted = json!({"keywords": ["eu"], "joinRestriction": "local", "readRestriction": "local"});
    ada.put(&open("m"), &creating(&json!({}), &restricted)).await.expect(201);
    copy(&world, 20_000).await;
    for by in ["keyword=eu", "xuid=1", "keyword=eu&xuid=1"] {
        assert!(names(eve.get(&sessions(by)).await).is_empty(), "{by}");
        assert_eq!(names(ada.get(&sessions(&format!("{by}&take=2"))).await), ["m", "m-00001"], "{by}");
    }
    remove(&world, "m-1999%").await;
    for by in ["keyword=eu", "xuid=1", "keyword=eu&xuid=1"] {
        assert_eq!(names(eve.get(&sessions(by)).await), ["old"], "{by}");
    }
    remove(&world, "m-%").await;
    world.end().await;
}

#[tokio::test]
async fn q30_m24_many_reservations_that_are_over_bury_nothing_either() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    bo.put(&open("own"), &active()).await.expect(201);
    world.pass(1);
    ada.put(&open("m"), &active()).await.expect(201);
    ada.put(&open("m"), &reserving(&[2])).await.expect(200);
    let many: Vec<String> = (0..1200).map(|n| open(&format!("m-{n:04}"))).collect();
    let mut body = active();
    body["members"]["reserve_0"] = reserving(&[2])["members"]["reserve_0"].clone();
    create_all(&ada, &many, &body).await;
    world.pass(30_000);
    assert_eq!(names(bo.get(&sessions("xuid=2")).await), ["own"]);
    assert_eq!(names(bo.get(&sessions("xuid=2&reservations=true")).await), ["own"]);
    world.end().await;
}
