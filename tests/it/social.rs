//! The social graph in bulk, as operators move it (A-40, A-41).

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::Connection as _;

use crate::harness::{Actor, Answer, Choices, World};
use crate::log::Log;
use crate::story::sql;

const EDGES: &str = "/admin/social/edges";

async fn import(admin: &Actor, method: Method, lines: &str) -> Answer {
    admin.send(method, EDGES, &[("content-type", "application/x-ndjson")], Some(lines.to_owned())).await
}

async fn export(admin: &Actor) -> String {
    let answer = admin.get(EDGES).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    answer.text
}

/// In the order of an export, which is that of the store.
const GRAPH: &str = r#"{"xuid":"18446744073709551615","follows":"1"}
{"xuid":"1","follows":"18446744073709551615"}
{"xuid":"1","follows":"2","favorite":true}
{"xuid":"2","follows":"1"}
{"xuid":"1","blocks":"3"}
{"xuid":"3","blocks":"1"}
"#;

#[tokio::test]
async fn a40_a41_what_is_exported_is_imported_the_same() {
    let world = World::new().await;
    let admin = world.admin();
    assert_eq!(export(&admin).await, "");
    let answer = import(&admin, Method::POST, GRAPH).await.expect(200);
    assert_eq!(answer.json(), json!({"follows": 4, "blocks": 2}));
    let exported = export(&admin).await;
    assert_eq!(exported, GRAPH);

    // Into a graph that has more, less, and one edge of another kind.
    import(&admin, Method::PUT, r#"{"xuid":1,"follows":2}"#).await.expect(200);
    admin.put("/admin/social/7/follows/8", &json!({})).await.expect(204);
    admin.put("/admin/social/7/blocks/8", &json!({})).await.expect(204);
    assert_eq!(import(&admin, Method::PUT, &exported).await.expect(200).json(), json!({"follows": 4, "blocks": 2}));
    assert_eq!(export(&admin).await, GRAPH);
    assert_eq!(import(&admin, Method::PUT, "").await.expect(200).json(), json!({"follows": 0, "blocks": 0}));
    assert_eq!(export(&admin).await, "");
    world.end().await;
}

#[tokio::test]
async fn a40_adding_keeps_what_is_there_and_later_lines_win() {
    let world = World::new().await;
    let admin = world.admin();
    admin.put("/admin/social/1/follows/2", &json!({"favorite": true})).await.expect(204);
    admin.put("/admin/social/1/follows/3", &json!({})).await.expect(204);
    let lines = "{\"xuid\":1,\"follows\":\"4\"}\r\n\n   \n{\"xuid\":\"1\",\"follows\":3,\"favorite\":true}\n\
        {\"xuid\":1,\"follows\":4,\"favorite\":true}\n{\"xuid\":1,\"follows\":3,\"favorite\":false}\n{\"xuid\":1,\"blocks\":9}";
    let answer = import(&admin, Method::POST, lines).await.expect(200);
    assert_eq!(answer.json(), json!({"follows": 2, "blocks": 1}), "edges, not lines");
    let expected = [
        r#"{"xuid":"1","follows":"2","favorite":true}"#,
        r#"{"xuid":"1","follows":"3"}"#,
        r#"{"xuid":"1","follows":"4","favorite":true}"#,
        r#"{"xuid":"1","blocks":"9"}"#,
    ];
    assert_eq!(export(&admin).await.lines().collect::<Vec<_>>(), expected);

    // What is there already is not written again.
    let versions = async || sql(&world, "select string_agg(xmin::text, ' ' order by xuid, followed) from follows").await;
    let before = versions().await;
    for method in [Method::PUT, Method::POST] {
        import(&admin, method, &expected.join("\n")).await.expect(200);
        assert_eq!(versions().await, before);
    }
    world.end().await;
}

#[rstest]
#[case("{\"xuid\":\"1\",\"follows\":\"2\"}\n\n{\"xuid\":\"1\",\"follows\":\"x\"}\n{\"xuid\":\"1\"}", "line 3: follows: ")]
#[case("{\"xuid\":\"1\",\"follows\":\"2\"}\n{\"xuid\":\"1\",\"folows\":\"2\"}", "line 2: folows: ")]
#[case("{\"xuid\":\"1\",\"follows\":\"2\",\"blocks\":\"2\"}", "line 1: blocks: ")]
#[case("{\"xuid\":\"1\",\"favorite\":true}", "line 1: follows: ")]
#[case("{\"xuid\":\"1\",\"blocks\":\"2\",\"favorite\":true}", "line 1: favorite: ")]
#[case("[{\"xuid\":\"1\",\"follows\":\"2\"}]", "line 1: a JSON object is expected")]
#[case("{\"xuid\":\"1\",\"follows\":\"2\"}\n{", "line 2: ")]
#[tokio::test]
async fn a40_e06_an_import_is_done_whole_or_not_at_all(#[case] lines: &str, #[case] says: &str) {
    let world = World::new().await;
    let admin = world.admin();
    import(&admin, Method::POST, GRAPH).await.expect(200);
    for method in [Method::POST, Method::PUT] {
        let answer = import(&admin, method, lines).await.expect(400);
        assert!(answer.text.starts_with(says), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "E-02");
    }
    assert_eq!(export(&admin).await, GRAPH);
    world.end().await;
}

#[tokio::test]
async fn a40_an_export_is_read_in_pages() {
    let world = World::new().await;
    let admin = world.admin();
    let lines: Vec<String> = (0..2500).map(|n| format!(r#"{{"xuid":"{}","follows":"{n}"}}"#, n / 100)).collect();
    import(&admin, Method::POST, &lines.join("\n")).await.expect(200);
    let log = Log::listen();
    assert_eq!(export(&admin).await.lines().collect::<Vec<_>>(), lines);
    assert_eq!(log.statements(), ["db.social.page"; 4], "three of follows, one of blocks");
    world.end().await;
}

#[tokio::test]
async fn a40_an_import_has_a_bound_and_types_of_its_own() {
    let mut choices = Choices::default();
    choices.rules.body_bytes = 1024;
    choices.rules.import_bytes = 64 << 10;
    let world = World::with(choices).await;
    let admin = world.admin();
    let lines = |bytes: usize| format!("{}\n", r#"{"xuid":"1","follows":"2"}"#).repeat(bytes / 27);
    assert_eq!(import(&admin, Method::POST, &lines(64 << 10)).await.expect(200).json(), json!({"follows": 1, "blocks": 0}));
    import(&admin, Method::POST, &lines((64 << 10) + 60)).await.expect(413);
    let chunked = ["Transfer-Encoding: chunked"];
    let body = format!("{:x}\r\n{}\r\n0\r\n\r\n", 65_570, " ".repeat(65_570));
    admin.raw(&format!("PUT {EDGES}"), &chunked, body.as_bytes()).await.expect(413);
    for kind in ["", "application/json", "application/x-ndjson; charset=utf-8", "Application/JSONL", "application/x-ndjson"] {
        let answer = admin.send(Method::POST, EDGES, &[("content-type", kind)], Some(lines(30))).await;
        assert_eq!(answer.status, 200, "{kind} {answer:?}");
    }
    for kind in ["text/csv", "application/x-www-form-urlencoded"] {
        admin.send(Method::POST, EDGES, &[("content-type", kind)], Some(lines(30))).await.expect(400);
    }
    world.end().await;
}

#[tokio::test]
async fn a40_an_import_beside_another_is_refused_at_once() {
    let world = World::new().await;
    let admin = world.admin();
    let mut other = sqlx::PgConnection::connect(world.database.url()).await.expect("the database is there");
    sqlx::query("select pg_advisory_lock(8030029660491182191)").execute(&mut other).await.expect("it is free");
    for method in [Method::POST, Method::PUT] {
        let refused = import(&admin, method, GRAPH).await.expect(409);
        assert!(refused.text.contains("another import is under way"), "{refused:?}");
    }
    assert_eq!(export(&admin).await, "");
    admin.put("/admin/social/1/follows/2", &json!({})).await.expect(204);
    sqlx::query("select pg_advisory_unlock_all()").execute(&mut other).await.expect("it is held");
    import(&admin, Method::POST, GRAPH).await.expect(200);
    assert_eq!(export(&admin).await, GRAPH);
    world.end().await;
}
