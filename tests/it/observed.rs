//! What operators see: metrics, correlation, the log of a request, traces, and what is bounded.

use std::time::Duration;

use openmpsd::metrics::Cause;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::harness::{Choices, World, answer_of, session};
use crate::process::{Caller, Folder, Process};
use crate::story::sql;

/// The metrics, read by somebody without a credential.
async fn metrics(world: &World) -> String {
    let answer = world.nobody().get("/metrics").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    answer.text
}

/// The value of a series, or 0.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a value is a number"))
}

#[tokio::test]
async fn requests_writes_sweeps_sockets_and_taps_are_counted() {
    let world = World::new().await;
    let (ada, bob) = (world.user(1), world.user(2));
    let mut socket = world.socket(1).await;
    let connection = socket.connects().await;
    let path = session("Card", "counted");
    let registered = json!({"members": {"me": {"properties": {"system": {"active": true, "connection": connection,
        "subscription": {"id": "7f8a2c1e-0c5b-4f3a-9d55-0d3a4f1b2c33", "changeTypes": ["everything"]}}}}}});
    ada.put(&path, &registered).await.expect(201);
    bob.put(&path, &json!({"members": {"me": {"properties": {"system": {"ready": true}}}}})).await.expect(200);
    socket.next().await;
    bob.get(&path).await.expect(200);
    bob.get("/no/such/path").await.expect(404);
    world.pass(3_600_000);
    world.running.directory.sweep().await.expect("the database answers");
    openmpsd::app::take_statistics(&world.running.directory).await.expect("the database answers");

    let text = metrics(&world).await;
    let one = r#"{route="/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}",method="#;
    for (series, expected) in [
        (format!(r#"openmpsd_http_requests_total{one}"PUT",status="201"}}"#), 1.0),
        (format!(r#"openmpsd_http_requests_total{one}"PUT",status="200"}}"#), 1.0),
        (format!(r#"openmpsd_http_request_duration_seconds_count{one}"PUT"}}"#), 2.0),
        (r#"openmpsd_http_requests_total{route="none",method="GET",status="404"}"#.to_owned(), 1.0),
        ("openmpsd_sockets_open".to_owned(), 1.0),
        ("openmpsd_sockets_opened_total".to_owned(), 1.0),
        ("openmpsd_subscriptions".to_owned(), 1.0),
        ("openmpsd_http_requests_in_flight".to_owned(), 0.0),
        ("openmpsd_pool_connections_max".to_owned(), 8.0),
        ("openmpsd_instances".to_owned(), 1.0),
        ("openmpsd_database_up".to_owned(), 1.0),
        ("openmpsd_ready".to_owned(), 1.0),
        ("openmpsd_write_queue_length".to_owned(), 0.0),
    ] {
        assert!((value(&text, &series) - expected).abs() < 0.1, "{series} is not {expected} in\n{text}");
    }
    for series in [
        "openmpsd_commit_seconds_count",
        "openmpsd_commit_commands_count",
        "openmpsd_read_batch_requests_count",
        "openmpsd_sweep_seconds_count",
        "openmpsd_sweep_sessions_total",
        "openmpsd_timer_lateness_seconds_count",
        "openmpsd_taps_total",
        "openmpsd_tap_lag_seconds_count",
        r#"openmpsd_table_bytes{table="sessions"}"#,
        r#"openmpsd_table_bytes{table="changes"}"#,
        "process_resident_memory_bytes",
    ] {
        assert!(value(&text, series) > 0.0, "{series} is 0 or not there in\n{text}");
    }
    socket.leaves().await;
    crate::harness::eventually("the socket is not counted any more", async || {
        let text = metrics(&world).await;
        value(&text, "openmpsd_sockets_open") < 0.5
            && value(&text, "openmpsd_subscriptions") < 0.5
            && value(&text, r#"openmpsd_sockets_closed_total{cause="client"}"#) > 0.5
            && value(&text, "openmpsd_connections_lost_total") > 0.5
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn every_metric_is_described_in_the_docs_and_none_else() {
    let world = World::new().await;
    // Series of a family are there once they count something.
    world.nobody().get("/no/such/path").await.expect(401);
    openmpsd::app::take_statistics(&world.running.directory).await.expect("the database answers");
    let counted = world.running.directory.metrics();
    drop(counted.sockets_closed.get_or_create(&Cause { cause: "client" }));
    let text = metrics(&world).await;
    let mut exported: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    exported.sort_unstable();
    let page = include_str!("../../docs/metrics.md");
    let mut described: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .map(|name| name.trim_end_matches("_total"))
        .collect();
    described.sort_unstable();
    // Facts are called by their name without the ending that the format adds.
    let described: Vec<&str> = described.into_iter().map(|name| name.trim_end_matches("_info")).collect();
    assert_eq!(exported, described);
    world.end().await;
}

#[tokio::test]
async fn metrics_can_want_a_token() {
    let mut choices = Choices::default();
    choices.rules.metrics_bearer = Some("scrape-me".into());
    let world = World::with(choices).await;
    for (credential, status) in
        [(None, 401), (Some("Bearer scrape"), 401), (Some("Bearer scrape-mE"), 401), (Some("Bearer scrape-me"), 200)]
    {
        let reader = world.nobody().authorized(credential);
        reader.get("/metrics").await.expect(status);
    }
    world.nobody().get("/health").await.expect(200);
    world.end().await;
}

#[tokio::test]
async fn r10_answers_carry_the_correlation_of_their_request() {
    let world = World::new().await;
    let path = session("Card", "none");
    let ada = world.user(1);
    let given = "0a1b2c3d-0000-4000-8000-00000000cafe";
    let answer = ada.clone().with("X-XblCorrelationId", given).with("MS-CV", "PmvzQKgYek6Sdk/T5sWaqw.0").get(&path).await;
    assert_eq!(answer.header("x-xblcorrelationid"), Some(given));
    assert_eq!(answer.header("ms-cv"), Some("PmvzQKgYek6Sdk/T5sWaqw.0"));
    let answer = ada.clone().with("X-XblCorrelationId", "no GUID").with("MS-CV", "no vector").get(&path).await;
    let made = answer.header("x-xblcorrelationid").expect("every answer has one");
    assert!(uuid::Uuid::try_parse(made).is_ok(), "{made}");
    assert_eq!(answer.header("ms-cv"), None);
    // Refusals too.
    assert!(world.nobody().get(&path).await.expect(401).header("x-xblcorrelationid").is_some());
    world.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let mut choices = Choices::default();
    choices.rules.patience.body = Duration::from_millis(80);
    let world = World::with(choices).await;
    let ada = world.user(1);
    let request = format!("PUT {}", session("Card", "slow"));
    let mut stream = ada.dial(&request, &["Content-Length: 20", "Content-Type: application/json"]).await;
    stream.write_all(b"{\"members\"").await.expect("the service reads");
    let answer = timeout(Duration::from_secs(10), answer_of(&mut stream)).await.expect("it is not waited for").expect(408);
    assert_eq!(answer.text, "body: it takes too long: nothing came for 80 ms");
    world.end().await;
}

#[tokio::test]
async fn a_body_that_drips_is_not_waited_for_either() {
    let mut choices = Choices::default();
    choices.rules.patience.request = Duration::from_millis(400);
    let world = World::with(choices).await;
    let ada = world.user(1);
    let request = format!("PUT {}", session("Card", "slow"));
    let stream = ada.dial(&request, &["Content-Length: 100000", "Content-Type: application/json"]).await;
    let (mut reading, mut writing) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let mut bytes = Vec::new();
    let reading = timeout(Duration::from_secs(10), reading.read_to_end(&mut bytes)).await.expect("it is not waited for");
    drop(reading);
    dripping.abort();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("not complete after 300 ms"), "{text}");
    world.end().await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_ends_the_connection() {
    let world = World::new().await;
    for path in ["/health", "/no/such/path"] {
        let request = format!("GET {path}");
        let stream = world.nobody().dial(&request, &["Connection: keep-alive", "Transfer-Encoding: chunked"]).await;
        let (mut reading, mut writing) = stream.into_split();
        let feeding = tokio::spawn(async move {
            while writing.write_all(b"1\r\nx\r\n").await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        let mut bytes = Vec::new();
        // A reset behind the answer is an end, too.
        let _ = timeout(Duration::from_secs(10), reading.read_to_end(&mut bytes)).await.expect("it comes to an end");
        feeding.abort();
    }
    world.end().await;
}

#[tokio::test]
async fn health_can_be_asked_for_its_head_alone() {
    let world = World::new().await;
    for path in ["/health", "/health/ready"] {
        let answer = world.nobody().raw(&format!("HEAD {path}"), &[], b"").await.expect(200);
        assert_eq!(answer.text, "");
    }
    world.end().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_503() {
    let mut choices = Choices::default();
    choices.rules.patience.request = Duration::from_millis(150);
    let world = World::with(choices).await;
    let ada = world.user(1);
    let path = session("Card", "held");
    ada.put(&path, &json!({"members": {"me": {}}})).await.expect(201);
    // Somebody keeps the session's row.
    let (client, connection) = tokio_postgres::connect(world.database.url(), tokio_postgres::NoTls).await.expect("it is there");
    let driver = tokio::spawn(connection);
    client.batch_execute("begin; select * from sessions for update").await.expect("the row is there");
    let answer = ada.put(&path, &json!({"properties": {"custom": {"n": 1}}})).await.expect(503);
    assert!(answer.text.contains("may have been done"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), None, "repeating it is the caller's decision");
    client.batch_execute("commit").await.expect("it is held no longer");
    drop(client);
    let _ = driver.await;
    // And here it was.
    crate::harness::eventually("the write is done", async || ada.get(&path).await.text.contains("\"n\":1")).await;
    world.end().await;
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let mut choices = Choices::default();
    choices.rules.header_bytes = 4096;
    let world = World::with(choices).await;
    let ada = world.user(1);
    ada.clone().with("X-Padding", &"p".repeat(1000)).get("/handles/x").await.expect(404);
    let answer = ada.with("X-Padding", &"p".repeat(4096)).get("/handles/x").await.expect(431);
    assert_eq!(answer.text, "the headers are larger than 4096 bytes");
    world.end().await;
}

#[tokio::test]
async fn whoever_drains_answers_but_is_not_ready() {
    let world = World::with(Choices { drain: Duration::from_millis(600), ..Choices::default() }).await;
    let (ada, nobody) = (world.user(1), world.nobody());
    let path = session("Card", "drained");
    ada.put(&path, &json!({"members": {"me": {}}})).await.expect(201);
    let mut socket = world.socket(1).await;
    let World { running, database, .. } = world;
    let stopping = tokio::spawn(async move {
        running.drain().await;
        running.stop().await;
    });
    crate::harness::eventually("it is not ready", async || nobody.get("/health/ready").await.status == 503).await;
    assert!(nobody.get("/health/ready").await.text.contains("draining"));
    nobody.get("/health").await.expect(200);
    // The raw answer: the client of the tests hides what becomes of connections.
    let mut stream = ada.dial(&format!("GET {path}"), &["Connection: keep-alive"]).await;
    let answer = answer_of(&mut stream).await.expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
    socket.closed(1001).await;
    stopping.await.expect("it ends");
    drop(database);
}

#[tokio::test]
async fn whoever_gets_no_answer_from_the_database_tells_that_it_is_not_ready() {
    let world = World::new().await;
    let told = async || {
        let text = metrics(&world).await;
        ["openmpsd_ready", "openmpsd_database_up"].map(|series| value(&text, series) > 0.5)
    };
    let asked = async || openmpsd::app::take_statistics(&world.running.directory).await;
    assert_eq!(told().await, [true, true], "it would not serve otherwise");
    sql(&world, "alter table connections rename to connections_elsewhere").await;
    asked().await.expect_err("the question cannot be answered");
    assert_eq!(told().await, [false, false]);
    sql(&world, "alter table connections_elsewhere rename to connections").await;
    asked().await.expect("it can again");
    assert_eq!(told().await, [true, true]);
    world.end().await;
}

#[tokio::test]
async fn a_line_of_the_log_names_its_caller_once() {
    let folder = Folder::new("lines");
    let variables = [("OPENMPSD__TELEMETRY__FILTER", "info,openmpsd::http=debug")];
    let process = Process::start(folder.path(), &[], &variables).await.expect("it starts");
    let caller = Caller::new(&folder, 7);
    caller.get(&process.base, &session("Card", "none")).await.expect("an answer");
    crate::harness::eventually("the request is logged", async || process.log().contains(": answered")).await;
    let log = process.log();
    let line = log.lines().find(|line| line.contains(": answered")).expect("it is there");
    for once in ["principal.kind=\"user\"", "principal.xuid=7", "http.status=204"] {
        assert_eq!(line.matches(once).count(), 1, "{once} in {line}");
    }
    let (status, _) = process.end().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn logs_and_spans_of_a_process() {
    let folder = Folder::new("traces");
    let collector = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().expect("it has an address"));
    let variables = [
        ("OPENMPSD__TELEMETRY__FORMAT", "json"),
        ("OPENMPSD__TELEMETRY__FILTER", "info,openmpsd::http=debug"),
        ("OPENMPSD__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("OPENMPSD__TELEMETRY__OTLP_SAMPLE_RATIO", "1"),
    ];
    let process = Process::start(folder.path(), &[], &variables).await.expect("it starts");
    let collected = tokio::spawn(async move {
        let (mut stream, _) = collector.accept().await.expect("somebody comes");
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        let head = b"POST /v1/traces";
        while !bytes.windows(7).any(|window| window == b"request") || !bytes.starts_with(head) {
            let read = stream.read(&mut part).await.expect("it sends");
            assert!(read > 0, "{}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&part[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.expect("it reads");
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let caller = Caller::new(&folder, 7);
    caller.get(&process.base, &session("Card", "none")).await.expect("an answer");
    crate::harness::eventually("the request is logged", async || process.log().contains("\"answered\"")).await;
    let log = process.log();
    let line = log.lines().find(|line| line.contains("\"answered\"")).expect("it is there");
    let line: serde_json::Value = serde_json::from_str(line).expect("lines are JSON");
    let span = &line["span"];
    assert_eq!(span["http.method"], "GET", "{line}");
    assert_eq!(span["http.route"], "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}");
    assert_eq!((span["principal.kind"].as_str(), span["principal.xuid"].as_str()), (Some("user"), Some("7")));
    assert!(span["correlation.id"].is_string(), "{line}");
    assert_eq!(line["http.status"], 204);
    // What is left is sent at the end.
    let (status, _) = process.end().await;
    assert!(status.success(), "{status}");
    let sent = timeout(Duration::from_secs(20), collected).await.expect("spans are sent").expect("the collector lives");
    assert!(sent.contains("openmpsd") && sent.contains("correlation.id"), "{sent}");
}
