//! The RTA socket over real sockets (N-01 to N-24, N-65 to N-67, R-60, R-61).

use std::time::Duration;

use futures_util::StreamExt as _;
use openmpsd::auth::Nonce;
use openmpsd::domain::principal::{Principal, Server};
use openmpsd::rta;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::harness::{Choices, World, player};
use crate::rta_client::{CONNECTIONS, PROTOCOL};

fn token(world: &World, xuid: u64, seconds: u64) -> String {
    world.token(&Principal::User(player(xuid)), seconds)
}

/// Asks for a ticket and returns it.
async fn nonce(world: &World, xuid: u64) -> String {
    let answer = world.user(xuid).send(Method::GET, "/nonce", &[], None).await.expect(200);
    answer.json()["nonce"].as_str().expect("the nonce is a text").to_owned()
}

#[tokio::test]
async fn n01_n05_r60_a_socket_tells_its_connection() {
    let world = World::new().await;
    for path in ["/connect", "/connect/", "/Connect?deviceId=7"] {
        let mut socket = world.dials(path).bearer(&token(&world, 1, 600)).open().await;
        let id = socket.connects().await;
        assert!(uuid::Uuid::try_parse(&id).is_ok() && id == id.to_lowercase() && id.len() == 36, "{id}: N-21");
        socket.leaves().await;
    }
    world.end().await;
}

#[tokio::test]
async fn n22_every_socket_has_a_connection_of_its_own() {
    let world = World::new().await;
    let (mut one, mut two) = (world.socket(1).await, world.socket(1).await);
    let (first, second) = (one.connects().await, two.connects().await);
    assert_ne!(first, second);
    assert_eq!(one.connects().await, first, "N-16");
    one.leaves().await;
    two.leaves().await;
    world.end().await;
}

#[tokio::test]
async fn n24_unsubscribing_ends_the_connection_and_not_the_socket() {
    let world = World::new().await;
    let mut socket = world.socket(1).await;
    let before = socket.subscribes(CONNECTIONS).await;
    assert_eq!(socket.unsubscribes(before.id).await, 0);
    assert_eq!(socket.unsubscribes(before.id).await, 1, "N-09");
    let after = socket.subscribes(CONNECTIONS).await;
    assert_ne!(after.data, before.data);
    assert_ne!(after.id, before.id);
    socket.leaves().await;
    world.end().await;
}

#[tokio::test]
async fn n02_the_sub_protocol_of_the_contract_is_chosen() {
    let world = World::new().await;
    let offers: [(&[&str], Option<&str>); 5] = [
        (&[PROTOCOL], Some(PROTOCOL)),
        (&["echo-protocol"], Some("echo-protocol")),
        (&["other, rta.xboxlive.com.V2"], Some(PROTOCOL)),
        (&["other, another"], Some("other")),
        (&[], None),
    ];
    for (offered, chosen) in offers {
        let mut dialing = world.dials("/connect").bearer(&token(&world, 1, 600));
        for protocol in offered {
            dialing = dialing.with("sec-websocket-protocol", protocol);
        }
        let mut socket = dialing.open().await;
        assert_eq!(socket.protocol.as_deref(), chosen, "{offered:?}");
        socket.connects().await;
        socket.leaves().await;
    }
    world.end().await;
}

#[tokio::test]
async fn n03_only_users_open_sockets() {
    let world = World::with(Choices {
        rules: openmpsd::http::Rules { banned: vec![666], ..Choices::default().rules },
        ..Choices::default()
    })
    .await;
    let answer = world.dials("/connect").refused(401).await;
    assert_eq!(answer.headers()["www-authenticate"], "XBL3.0", "A-01");
    world.dials("/connect").bearer("nonsense").refused(401).await;
    world.dials("/connect").bearer(&token(&world, 666, 600)).refused(403).await;
    let server = Principal::Server(Server { name: "arena".into(), scids: Vec::new() });
    for principal in [server, Principal::Admin { name: "op".into() }] {
        let token = world.token(&principal, 600);
        let answer = world.dials("/connect").bearer(&token).refused(403).await;
        let text = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
        assert!(text.contains("users"), "{text}");
        world.actor(principal).send(Method::GET, "/nonce", &[], None).await.expect(403);
    }
    world.user(666).send(Method::GET, "/nonce", &[], None).await.expect(403);
    world.end().await;
}

#[tokio::test]
async fn r60_r61_requests_that_open_nothing_are_told_what_would() {
    let world = World::new().await;
    let ada = world.user(1);
    let answer = ada.send(Method::GET, "/connect", &[("x-xbl-contract-version", "")], None).await.expect(426);
    assert_eq!((answer.header("upgrade"), answer.header("sec-websocket-version")), (Some("websocket"), Some("13")));
    assert!(answer.text.contains("Sec-WebSocket-Key"), "{answer:?}");
    world.nobody().get("/connect").await.expect(401);
    for path in ["/connect", "/connect/", "/nonce", "/nonce/"] {
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            let answer = ada.send(method, path, &[], None).await.expect(405);
            assert_eq!(answer.header("allow"), Some("GET"), "R-08");
        }
    }
    ada.get("/connect/more").await.expect(404);
    world.end().await;
}

#[tokio::test]
async fn n04_frames_that_mean_nothing_are_ignored() {
    let world = World::new().await;
    let mut socket = world.socket(1).await;
    for text in ["", "hello", "{}", "[]", "[9,1]", r#"[1,"1","x"]"#, "[4]"] {
        socket.says(text).await;
    }
    socket.sends(Message::binary(br#"[1,1,"https://a/connections"]"#.to_vec())).await;
    socket.sends(Message::binary(vec![0xff; 1000])).await;
    // A frame in two parts is one.
    let part = |text: &str, code, last| Message::Frame(Frame::message(text.as_bytes().to_vec(), OpCode::Data(code), last));
    socket.sends(part("[1,77,\"https://a/conn", Data::Text, false)).await;
    socket.sends(part("ections\"]", Data::Continue, true)).await;
    assert_eq!(socket.next().await[1], json!(77), "nothing else was answered");
    socket.leaves().await;
    world.end().await;
}

#[tokio::test]
async fn n04_frames_may_have_64_kib() {
    let world = World::new().await;
    let long = |bytes: usize| {
        let frame = format!(r#"[1,5,"{CONNECTIONS}?"]"#);
        frame.replace('?', &format!("?{}", "x".repeat(bytes - frame.len())))
    };
    let mut socket = world.socket(1).await;
    socket.says(long(65_536)).await;
    assert_eq!(socket.next().await[1], json!(5));
    socket.says(long(65_537)).await;
    assert!(socket.closed(1009).await.contains("large"));
    // So may messages in parts.
    let mut socket = world.socket(1).await;
    let part = |code, last| Message::Frame(Frame::message(vec![b' '; 40_000], OpCode::Data(code), last));
    socket.sends(part(Data::Text, false)).await;
    socket.sends(part(Data::Continue, true)).await;
    assert!(socket.closed(1009).await.contains("large"));
    world.end().await;
}

/// A client that announces a terabyte is told at the header, and may go on as long as it likes.
#[tokio::test]
async fn n04_a_frame_that_announces_too_much_is_not_awaited() {
    let world = World::new().await;
    for first in [0x81, 0x82, 0x01, 0x89] {
        let mut socket = world.socket(1).await;
        socket.connects().await;
        let mut header = vec![first, 0xff];
        header.extend((1_u64 << 40).to_be_bytes());
        for byte in header {
            socket.raw(&[byte]).await;
        }
        assert!(socket.closed(1009).await.contains("the frame is too large"), "{first:x}");
    }
    // It is told so, too, when it is already sending.
    let mut socket = world.socket(1).await;
    socket.raw(&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]).await;
    socket.raw(&[7; 1 << 14]).await;
    assert!(socket.closed(1009).await.contains("the frame is too large"));
    // And a message in many parts is one.
    let mut socket = world.socket(1).await;
    let part = |code, last| Message::Frame(Frame::message(vec![b' '], OpCode::Data(code), last));
    socket.sends(part(Data::Text, false)).await;
    for _ in 0..2000 {
        socket.sends(part(Data::Continue, false)).await;
    }
    let rest = format!("[1,8,\"{CONNECTIONS}\"]");
    socket.sends(Message::Frame(Frame::message(rest.into_bytes(), OpCode::Data(Data::Continue), true))).await;
    assert_eq!(socket.next().await[1], json!(8));
    socket.leaves().await;
    world.end().await;
}

#[tokio::test]
async fn n04_frames_that_break_the_protocol_end_the_socket() {
    let world = World::new().await;
    // Texts that are none, whole and in parts, then a reserved bit, a kind that is none, and a frame without a mask.
    let broken: [(&[u8], u16); 5] = [
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (&[0x01, 0x81, 0, 0, 0, 0, 0xff, 0x80, 0x80, 0, 0, 0, 0], 1007),
        (&[0xc1, 0x80, 0, 0, 0, 0], 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[0x81, 0x00], 1002),
    ];
    for (bytes, code) in broken {
        let mut socket = world.socket(1).await;
        socket.raw(bytes).await;
        socket.closed(code).await;
    }
    world.end().await;
}

#[tokio::test]
async fn n12_n66_sequence_numbers_come_back_as_they_were() {
    let world = World::new().await;
    let mut socket = world.socket(1).await;
    socket.connects().await;
    for seq in ["0", "4294967295", "18446744073709551616", "1.50"] {
        socket.says(format!("[1,{seq},\"{CONNECTIONS}\"]")).await;
        let text = socket.text().await;
        assert!(text.starts_with(&format!("[1,{seq},0,")), "{text}");
        socket.says(format!("[2,{seq},77]")).await;
        assert_eq!(socket.text().await, format!("[2,{seq},1]"));
    }
    socket.leaves().await;
    world.end().await;
}

#[tokio::test]
async fn n15_n23_other_resources_are_unknown_and_the_socket_stays() {
    let world = World::new().await;
    let mut socket = world.socket(1).await;
    for uri in
        ["https://userpresence.xboxlive.com/users/xuid(1)/devices", "https://social.xboxlive.com/users/xuid(1)/friends", ""]
    {
        assert_eq!(socket.asks(uri).await[2], json!(1), "{uri}");
    }
    let invites = |xuid: u64| format!("https://notify.xboxlive.com/users/xuid({xuid})/deviceId/current/titleId/7");
    assert_eq!(socket.asks(&invites(2)).await[2], json!(1), "N-60: not one's own");
    assert_eq!(socket.subscribes(&invites(1)).await.data, json!({}), "N-60");
    socket.connects().await;
    socket.leaves().await;
    world.end().await;
}

#[tokio::test]
async fn n17_a_socket_has_so_many_subscriptions() {
    let sockets = rta::Options { subscriptions_max: 3, ..Choices::default().sockets };
    let world = World::with(Choices { sockets, ..Choices::default() }).await;
    let mut socket = world.socket(1).await;
    let first = socket.subscribes(CONNECTIONS).await;
    socket.connects().await;
    socket.connects().await;
    assert_eq!(socket.asks(CONNECTIONS).await[2], json!(2));
    assert_eq!(socket.unsubscribes(first.id).await, 0);
    socket.connects().await;
    socket.leaves().await;
    world.end().await;
}

#[tokio::test]
async fn n18_a_socket_ends_with_its_token_or_after_two_hours() {
    let world = World::new().await;
    let mut short = world.dials("/connect").bearer(&token(&world, 1, 600)).open().await;
    let nonce = nonce(&world, 3).await;
    let mut ticketed = world.dials(&format!("/connect?nonce={nonce}")).open().await;
    let mut long = world.socket(2).await;
    short.connects().await;
    // The development clock moves no socket.
    world.pass(24 * 3_600_000);
    short.connects().await;
    world.clock.advance_real(Duration::from_secs(659));
    short.connects().await;
    world.clock.advance_real(Duration::from_secs(1));
    assert!(short.closed(1001).await.contains("token"));
    long.connects().await;
    world.clock.advance_real(Duration::from_mins(109));
    assert!(long.closed(1001).await.contains("connect again"));
    assert!(ticketed.closed(1001).await.contains("connect again"));
    // Its token was found good already, and its true end is still known.
    let again = token(&world, 4, 30);
    world.bearer(&again).get("/handles/nonsense").await.expect(404);
    let mut again = world.dials("/connect").bearer(&again).open().await;
    world.clock.advance_real(Duration::from_secs(90));
    assert!(again.closed(1001).await.contains("token"));
    world.end().await;
}

#[tokio::test]
async fn n18_a_ticket_lives_no_longer_than_its_token() {
    let world = World::new().await;
    let ada = world.bearer(&token(&world, 1, 10));
    let nonce = ada.get("/nonce").await.expect(200).json()["nonce"].as_str().map(str::to_owned).expect("a nonce");
    let mut socket = world.dials(&format!("/connect?nonce={nonce}")).open().await;
    socket.connects().await;
    world.clock.advance_real(Duration::from_secs(70));
    assert!(socket.closed(1001).await.contains("token"));
    world.end().await;
}

#[tokio::test]
async fn n19_pings_are_sent_and_answered() {
    let world = World::new().await;
    let mut socket = world.socket(1).await;
    socket.sends(Message::Ping(b"hello".to_vec().into())).await;
    assert_eq!(socket.message().await, Message::Pong(b"hello".to_vec().into()));
    socket.leaves().await;

    let tick = Duration::from_millis(20);
    let sockets = rta::Options { tick, ping_interval: tick, ..Choices::default().sockets };
    let other = World::with(Choices { sockets, ..Choices::default() }).await;
    let mut socket = other.socket(1).await;
    // An answer shows that its time has begun.
    socket.connects().await;
    other.clock.advance_real(tick);
    assert_eq!(socket.message().await, Message::Ping(Vec::new().into()));
    socket.leaves().await;
    other.end().await;
    world.end().await;
}

#[tokio::test]
async fn n19_a_silent_client_is_given_up() {
    let tick = Duration::from_millis(20);
    let sockets = rta::Options { tick, idle: 3 * tick, ..Choices::default().sockets };
    let world = World::with(Choices { sockets, ..Choices::default() }).await;
    let mut socket = world.socket(1).await;
    // No tick counts for more than a tick, however far the clock jumps.
    let end = loop {
        world.clock.advance_real(tick);
        if let Ok(end) = tokio::time::timeout(tick, socket.stream.next()).await {
            break end;
        }
    };
    // The client sees 1006.
    assert!(matches!(end, None | Some(Err(_))), "no close frame: {end:?}");
    world.end().await;
}

#[tokio::test]
async fn n65_a_nonce_opens_one_socket() {
    let world = World::new().await;
    let nonce = nonce(&world, 1).await;
    let path = format!("/connect?nonce={nonce}");
    let mut socket = world.dials(&path).with("sec-websocket-protocol", PROTOCOL).open().await;
    socket.connects().await;
    let mine = "https://notify.xboxlive.com/users/xuid(1)/deviceId/current/titleId/7";
    assert_eq!(socket.subscribes(mine).await.data, json!({}), "it stands for that principal");
    socket.leaves().await;
    let answer = world.dials(&path).refused(401).await;
    assert_eq!(answer.headers()["www-authenticate"], "XBL3.0");
    let never_given = "A".repeat(43);
    for unknown in ["", "x", "%ff", &never_given] {
        world.dials(&format!("/connect?nonce={unknown}")).refused(401).await;
    }
    world.end().await;
}

#[tokio::test]
async fn n65_a_nonce_expires_after_a_minute() {
    let world = World::new().await;
    let (early, late) = (nonce(&world, 1).await, nonce(&world, 1).await);
    nonce(&world, 1).await;
    assert_ne!(early, late);
    // The development clock moves no nonce.
    world.pass(3_600_000);
    world.clock.advance_real(Duration::from_secs(59));
    world.dials(&format!("/connect?nonce={early}")).open().await.leaves().await;
    assert_eq!(world.store.delete_expired_nonces(world.clock.real()).await.ok(), Some(0));
    world.clock.advance_real(Duration::from_secs(1));
    world.dials(&format!("/connect?nonce={late}")).refused(401).await;
    assert_eq!(world.store.delete_expired_nonces(world.clock.real()).await.ok(), Some(1), "the one that nobody brought");
    world.end().await;
}

#[tokio::test]
async fn n65_a_user_has_so_many_nonces() {
    let world = World::new().await;
    let ada = world.user(1);
    let mut last = String::new();
    for _ in 0..16 {
        last = nonce(&world, 1).await;
    }
    let answer = ada.get("/nonce").await.expect(503);
    assert!(answer.header("retry-after").is_some());
    nonce(&world, 2).await;
    world.dials(&format!("/connect?nonce={last}")).open().await.leaves().await;
    nonce(&world, 1).await;
    ada.get("/nonce").await.expect(503);
    world.clock.advance_real(Duration::from_mins(1));
    nonce(&world, 1).await;
    assert_eq!(world.store.delete_expired_nonces(world.clock.real()).await.ok(), Some(17));
    world.end().await;
}

#[tokio::test]
async fn n65_a_request_that_opens_nothing_uses_no_nonce_up() {
    let world = World::new().await;
    let path = format!("/connect?nonce={}", nonce(&world, 1).await);
    world.nobody().get(&path).await.expect(426);
    world.dials(&path).open().await.leaves().await;
    world.nobody().get(&path).await.expect(426);
    world.nobody().get("/connect?nonce=x").await.expect(401);
    world.end().await;
}

#[tokio::test]
async fn n65_a_credential_decides_and_leaves_the_nonce_alone() {
    let world = World::new().await;
    let nonce = nonce(&world, 1).await;
    let path = format!("/connect?nonce={nonce}");
    world.dials(&path).bearer("nonsense").refused(401).await;
    let mut socket = world.dials(&path).bearer(&token(&world, 2, 600)).open().await;
    let theirs = "https://notify.xboxlive.com/users/xuid(2)/deviceId/current/titleId/7";
    assert_eq!(socket.subscribes(theirs).await.data, json!({}));
    socket.leaves().await;
    world.dials(&path).open().await.leaves().await;
    world.end().await;
}

#[tokio::test]
async fn n65_r61_a_nonce_wants_a_credential_and_no_contract_version() {
    let world = World::new().await;
    world.nobody().get("/nonce").await.expect(401);
    let old = nonce(&world, 1).await;
    world.nobody().get(&format!("/nonce?nonce={old}")).await.expect(401);
    let answer = world.user(1).send(Method::GET, "/nonce", &[("x-xbl-contract-version", "")], None).await.expect(200);
    let Value::Object(body) = answer.json() else { panic!("{answer:?}") };
    assert_eq!(body.keys().collect::<Vec<_>>(), ["nonce"]);
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    world.end().await;
}

#[tokio::test]
async fn n65_the_database_keeps_no_nonce_but_its_digest_and_gives_it_once() {
    let world = World::new().await;
    let nonce = Nonce::parse(&nonce(&world, 1).await).expect("it is shaped like a nonce");
    let other = (Nonce::random().expect("there is randomness").digest(), world.clock.real());
    let ask = (nonce.digest(), world.clock.real());
    // In two statements at once, and twice in one of them.
    let asks = [other, ask, ask];
    let (one, other) = tokio::join!(world.store.take_nonces(&asks), world.store.take_nonces(&asks[1..2]));
    let taken = [one, other].map(|taken| taken.expect("the database answers"));
    assert_eq!((taken[0].len(), taken[1].len(), &taken[0][0]), (3, 1, &None));
    let kept: Vec<String> = taken.into_iter().flatten().flatten().collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].contains(r#""xuid":1"#) && !kept[0].contains(nonce.as_str()), "{kept:?}");
    world.end().await;
}

#[tokio::test]
async fn n65_without_its_database_the_service_asks_for_patience() {
    let world = World::new().await;
    let ada = world.user(1);
    world.store.close().await;
    let answer = ada.get("/nonce").await.expect(503);
    assert!(answer.header("retry-after").is_some());
    let answer = world.dials(&format!("/connect?nonce={}", "A".repeat(43))).refused(503).await;
    assert!(answer.headers().contains_key("retry-after"));
    // What was never a nonce is nothing to ask about.
    world.dials("/connect?nonce=x").refused(401).await;
    world.running.stop().await;
}

/// The socket ends for the service at once, and its network connection when the client has taken nothing for the idle time.
#[tokio::test]
async fn n19_a_client_that_does_not_read_is_cut_off() {
    let (send_timeout, idle) = (Duration::from_millis(50), Duration::from_secs(1));
    let world =
        World::with(Choices { sockets: rta::Options { send_timeout, idle, ..Choices::default().sockets }, ..Choices::default() })
            .await;
    let mut socket = world.socket(1).await;
    let asked = tokio::time::timeout(Duration::from_secs(30), socket.babbles()).await.expect("the connection is cut");
    assert!(asked > 0);
    world.end().await;
}
