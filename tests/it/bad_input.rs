//! Requests that no well-meaning client sends: each gets its status and a text, and nothing is half-applied.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{Actor, Answer, Choices, SCID, World, answer_of, joining, session};

/// The body limit of the default installation.
const LIMIT: usize = 256 << 10;

/// A PUT of custom data, as text that no JSON library of ours has touched.
async fn put_custom(actor: &Actor, path: &str, custom: &str) -> Answer {
    let body = format!(r#"{{"properties":{{"custom":{custom}}}}}"#);
    actor.send(Method::PUT, path, &[], Some(body)).await
}

/// A JSON value nested so deep.
fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn s95_a_body_over_the_limit_is_413_announced_or_not() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "large");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let padded = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2)).into_bytes();
    for (bytes, status) in [(LIMIT, 200), (LIMIT + 1, 413), (4 * LIMIT, 413)] {
        let length = format!("Content-Length: {bytes}");
        let answer =
            ada.raw(&format!("PUT {card}"), &[&length, "Content-Type: application/json"], &padded(bytes)).await.expect(status);
        assert!(status == 200 || answer.text.contains(&LIMIT.to_string()), "{answer:?}");

        let mut chunked = Vec::new();
        for chunk in padded(bytes).chunks(10_000) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let answer = ada.raw(&format!("PUT {card}"), &["Transfer-Encoding: chunked"], &chunked).await.expect(status);
        assert!(status == 200 || answer.text.contains(&LIMIT.to_string()), "{answer:?}");
    }
    // Refused by what is announced, before anything is sent.
    let mut stream = ada.dial(&format!("PUT {card}"), &["Content-Length: 99999999999"]).await;
    assert_eq!(answer_of(&mut stream).await.status, 413);
    for path in ["/handles", "/handles/query"] {
        ada.post(path, &json!({"x": "x".repeat(LIMIT)})).await.expect(413);
    }
    assert_eq!(ada.get(&card).await.expect(200).etag(), created.etag());
    world.end().await;
}

#[tokio::test]
async fn s95_the_limits_are_the_installations() {
    let mut choices = Choices::default();
    choices.rules.body_bytes = 1000;
    choices.rules.json_depth = 8;
    choices.options.limits.session_custom_bytes = 100;
    choices.options.limits.member_custom_bytes = 50;
    let world = World::with(choices).await;
    let ada = world.user(1);
    let card = session("Card", "limits");
    ada.put(&card, &joining("active")).await.expect(201);
    put_custom(&ada, &card, &format!("\"{}\"", "x".repeat(1000))).await.expect(413);
    put_custom(&ada, &card, &nested(6)).await.expect(200);
    put_custom(&ada, &card, &nested(7)).await.expect(400);
    put_custom(&ada, &card, &format!("\"{}\"", "x".repeat(98))).await.expect(200);
    let refused = put_custom(&ada, &card, &format!("\"{}\"", "x".repeat(99))).await.expect(400);
    assert!(refused.text.starts_with("properties.custom: "), "{refused:?}");
    let member = |n: usize| json!({"members": {"me": {"properties": {"custom": "x".repeat(n)}}}});
    ada.put(&card, &member(48)).await.expect(200);
    ada.put(&card, &member(49)).await.expect(400);
    world.end().await;
}

#[tokio::test]
async fn s95_documents_have_limits_too() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "document");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let text = |n: usize| format!("\"{}\"", "x".repeat(n));
    put_custom(&ada, &card, &text((64 << 10) - 1)).await.expect(400);
    // Little by little is no way around it.
    put_custom(&ada, &card, &format!("{{\"a\":{}}}", text(40_000))).await.expect(200);
    put_custom(&ada, &card, &format!("{{\"b\":{}}}", text(40_000))).await.expect(400);
    let member = |n: usize| json!({"members": {"me": {"properties": {"custom": {"x": "x".repeat(n)}}}}});
    ada.put(&card, &member(17_000)).await.expect(400);
    let keywords = |n: usize, length: usize| {
        let words: Vec<String> = (0..n).map(|n| format!("{n:0length$}")).collect();
        json!({"properties": {"system": {"keywords": words}}})
    };
    ada.put(&card, &keywords(16, 64)).await.expect(200);
    ada.put(&card, &keywords(17, 2)).await.expect(400);
    ada.put(&card, &keywords(1, 65)).await.expect(400);
    assert_eq!(ada.get(&card).await.expect(200).json()["changeNumber"], 3);
    assert_ne!(ada.get(&card).await.etag(), created.etag());
    world.end().await;
}

#[tokio::test]
async fn s95_deep_nesting_is_400() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "deep");
    ada.put(&card, &joining("active")).await.expect(201);
    put_custom(&ada, &card, &nested(30)).await.expect(200);
    let stored = ada.get(&card).await.expect(200);
    for depth in [31, 32, 33, 1000, 100_000] {
        let refused = put_custom(&ada, &card, &nested(depth)).await.expect(400);
        assert!(refused.text.starts_with("body: "), "{refused:?}");
    }
    let unclosed = "[".repeat(200_000);
    for path in ["/handles", "/handles/query"] {
        ada.send(Method::POST, path, &[], Some(unclosed.clone())).await.expect(400);
    }
    ada.send(Method::PUT, &card, &[], Some("{\"a\":".repeat(50_000))).await.expect(400);
    assert_eq!(ada.get(&card).await.expect(200).text, stored.text);
    world.end().await;
}

#[tokio::test]
async fn w03_invalid_utf8_is_400() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "utf8");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let invalid: [&[u8]; 8] =
        [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xf8\x88\x80\x80\x80"];
    for bytes in invalid {
        let mut body = br#"{"properties":{"custom":{"a":""#.to_vec();
        body.extend_from_slice(bytes);
        body.extend_from_slice(br#""}}}"#);
        let length = format!("Content-Length: {}", body.len());
        let refused = ada.raw(&format!("PUT {card}"), &[&length], &body).await.expect(400);
        assert!(refused.text.starts_with("body: "), "{refused:?}");
    }
    for wide in ["\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), b"\x00{}".to_vec()] {
        let length = format!("Content-Length: {}", wide.len());
        ada.raw(&format!("PUT {card}"), &[&length], &wide).await.expect(400);
    }
    assert_eq!(ada.get(&card).await.expect(200).etag(), created.etag());
    world.end().await;
}

#[tokio::test]
async fn s96_what_postgresql_and_unicode_refuse_is_data() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let card = session("Card", "escapes");
    let mut body = joining("active");
    body["properties"] = json!({"system": {"keywords": ["odd"]}});
    ada.put(&card, &body).await.expect(201);
    let custom = r#"{"nul":"a\u0000b","lone":"\ud800","tail":"\udc00x","two":"\udc00\ud800","\u0000":{"\ud801":[1]},"pair":"\ud83d\ude00"}"#;
    let written = put_custom(&ada, &card, custom).await.expect(200);
    for piece in [r#""a\u0000b""#, r#""\ud800""#, r#""\udc00x""#, r#""\udc00\ud800""#, r#""\u0000":{"\ud801":[1]}"#] {
        assert!(written.text.contains(piece), "{piece}: {written:?}");
    }
    assert_eq!(put_custom(&ada, &card, custom).await.expect(200).etag(), written.etag(), "W-34");
    let mine = format!(r#"{{"members":{{"me":{{"properties":{{"custom":{custom}}}}}}}}}"#);
    ada.send(Method::PUT, &card, &[], Some(mine)).await.expect(200);
    let read = bo.get(&card).await.expect(200);
    assert_eq!(read.text.matches(r#""a\u0000b""#).count(), 2);

    let activity = json!({"type": "activity", "sessionRef": {"scid": SCID, "templateName": "Card", "name": "escapes"}});
    ada.post("/handles", &activity).await.expect(201);
    let query = json!({"type": "activity", "owners": {"xuids": ["1"]}});
    let found = bo.post("/handles/query?include=customProperties", &query).await.expect(200);
    assert!(found.text.contains(r#""nul":"a\u0000b""#), "{found:?}");
    for filter in ["keyword=odd", "xuid=1"] {
        let found = bo.get(&format!("/serviceconfigs/{SCID}/sessions?{filter}")).await.expect(200);
        assert_eq!(found.json()["results"].as_array().map(Vec::len), Some(1), "{filter}");
    }
    // In what the service itself understands they are not.
    let odd = |value: &str| format!(r#"{{"properties":{{"system":{{"keywords":["{value}"]}}}}}}"#);
    for value in [r"\u0000", r"a\u0000b", r"\ud800"] {
        ada.send(Method::PUT, &card, &[], Some(odd(value))).await.expect(400);
    }
    world.end().await;
}

#[tokio::test]
async fn s96_odd_parameters_break_no_query() {
    let world = World::new().await;
    let ada = world.user(1);
    let mut body = joining("active");
    body["properties"] = json!({"system": {"keywords": ["a"]}});
    ada.put(&session("Card", "q"), &body).await.expect(201);
    for value in ["%00", "a%00", "%ff", "%ED%A0%80", "%27%3B--", "%25", "%", "%zz", "a'b", "%F0%9F%98%80"] {
        let answer = ada.get(&format!("/serviceconfigs/{SCID}/sessions?keyword={value}")).await;
        assert!(matches!(answer.status, 200 | 400), "{value}: {answer:?}");
        for parameter in ["xuid", "take", "visibility", "version"] {
            let answer = ada.get(&format!("/serviceconfigs/{SCID}/sessions?keyword=a&{parameter}={value}")).await;
            assert_eq!(answer.status, 400, "{parameter}={value}: {answer:?}");
        }
        ada.send(Method::POST, &format!("/handles/query?include={value}&xuid=1"), &[], Some(r#"{"type":"activity"}"#.to_owned()))
            .await
            .expect(200);
    }
    world.end().await;
}

#[tokio::test]
async fn s09_wrong_types_are_400_wherever_they_are() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Open", "types");
    ada.put(&card, &joining("active")).await.expect(201);
    let before = ada.get(&card).await.expect(200);
    let wrong = |right: &str| -> Vec<Value> {
        let all = [
            ("bool", json!(true)),
            ("int", json!(1)),
            ("float", json!(1.5)),
            ("negative", json!(-1)),
            ("string", json!("text")),
            ("array", json!([{}])),
            ("object", json!({"x": 1})),
        ];
        all.into_iter().filter(|(kind, _)| *kind != right).map(|(_, value)| value).collect()
    };
    let fields = [
        ("/properties", "-"),
        ("/properties/system", "-"),
        ("/properties/system/closed", "bool"),
        ("/properties/system/joinRestriction", "-"),
        ("/properties/system/keywords", "-"),
        ("/properties/system/turn", "-"),
        ("/properties/system/host", "string"),
        ("/properties/system/description", "-"),
        ("/properties/system/scheduledTime", "-"),
        ("/members", "-"),
        ("/members/me", "object"),
        ("/members/me/constants", "-"),
        ("/members/me/constants/system", "-"),
        ("/members/me/properties/system", "-"),
        ("/members/me/properties/system/active", "bool"),
        ("/members/me/properties/system/ready", "bool"),
        ("/members/me/properties/system/connection", "-"),
        ("/members/me/properties/system/subscription", "-"),
        ("/members/reserve_0", "object"),
        ("/members/reserve_0/constants/system/xuid", "int"),
    ];
    for (at, right) in fields {
        for value in wrong(right) {
            let mut body = value.clone();
            for key in at.rsplit('/').filter(|key| !key.is_empty()) {
                body = json!({key: body});
            }
            let answer = ada.put(&card, &body).await;
            assert_eq!(answer.status, 400, "{body}: {answer:?}");
            let named = at.trim_start_matches('/').replace('/', ".");
            assert!(answer.text.starts_with(&named), "{body}: {answer:?}");
        }
    }
    let constants = ["maxMembersCount", "visibility", "version", "readyRemovalTimeout", "capabilities"];
    for name in constants {
        for value in [json!("text"), json!(-1), json!(1.5), json!([1.5]), json!({"x": 1}), json!(1e300)] {
            let mut body = joining("active");
            body["constants"] = json!({"system": {name: value}});
            let answer = ada.put(&session("Open", "never"), &body).await;
            assert_eq!(answer.status, 400, "{name}: {value}: {answer:?}");
            assert!(answer.text.starts_with(&format!("constants.system.{name}")), "{answer:?}");
        }
    }
    ada.get(&session("Open", "never")).await.expect(204);
    assert_eq!(ada.get(&card).await.expect(200).text, before.text);
    world.end().await;
}

#[tokio::test]
async fn e10_malformed_http_does_no_harm() {
    let world = World::new().await;
    let ada = world.user(1);
    let card = session("Card", "http");
    let created = ada.put(&card, &joining("active")).await.expect(201);
    let huge = format!("X-Padding: {}", "x".repeat(1 << 20));
    let odd: [(&str, &[&str], &[u8]); 6] = [
        ("PUT", &[&huge], b""),
        ("PUT", &["Content-Length: -1"], b"{}"),
        ("PUT", &["Content-Length: 2", "Content-Length: 3"], b"{}x"),
        ("PUT", &["Transfer-Encoding: chunked"], b"zz\r\n{}\r\n0\r\n\r\n"),
        ("PUT", &["Content-Length: 2", "Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n"),
        ("NONSENSE", &[], b""),
    ];
    for (method, headers, body) in odd {
        let mut stream = ada.dial(&format!("{method} {card}"), headers).await;
        let _ = stream.write_all(body).await;
        let answer = answer_of(&mut stream).await;
        assert!(
            matches!(answer.status, 200 | 400 | 405 | 413 | 431),
            "{method} {:?}: {answer:?}",
            headers.first().map(|h| &h[..20.min(h.len())])
        );
    }
    // Half a body, and then nothing: the write does not happen.
    let half = ada.dial(&format!("PUT {card}"), &["Content-Length: 100"]).await;
    let mut half = half;
    half.write_all(br#"{"properties":{"custom":{"half":1}}}"#).await.expect("the service listens");
    drop(half);
    let read = ada.get(&card).await.expect(200);
    assert_eq!((read.etag(), &read.text), (created.etag(), &created.text));
    world.end().await;
}
