//! Whatever arrives, the service has an answer: requests that are nearly sound, sent to a service with sessions and handles in it, are
//! never answered 5xx. `OPENMPSD_FUZZ_REQUESTS` is their number (1,500 when unset), `OPENMPSD_FUZZ_SEED` repeats them.

use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::Method;
use serde_json::json;

use crate::chance::{Chance, setting};
use crate::handles::pointing;
use crate::harness::{SCID, World};
use crate::search::listed;

/// Method, path and a body that is sound.
fn requests() -> Vec<(Method, String, String)> {
    let open = format!("/serviceconfigs/{SCID}/sessionTemplates/Open/sessions/a");
    let search = json!({"type": "search", "scid": SCID, "templateName": "Open", "filter": "tags/any(d:tolower(d) eq 'x') and \
        numbers/level ge 1 or strings/map ne 'y' and session/memberXuids/any(m:m gt '1')", "orderBy": "numbers/level desc",
        "sessionMembers": {"people": {"moniker": "people", "monikerXuid": "1"}}, "sessionOwners": ["1", 2], "continuation": ""});
    let mut extended = search.clone();
    extended["grammar"] = json!("extended");
    extended["filter"] =
        json!("not (startswith(strings/map, 'h') or language in ('en', 'de')) and contains(session/templateName, 'p')");
    let mut listing = pointing("a");
    listing["type"] = json!("search");
    listing["searchAttributes"] =
        json!({"tags": ["x", "Y"], "strings": {"map": "Harbor"}, "numbers": {"level": 1.5}, "locale": "en-US"});
    let mut invite = pointing("a");
    invite["type"] = json!("invite");
    invite["invitedXuid"] = json!("2");
    invite["inviteAttributes"] = json!({"titleId": "7", "context": "a%3Db"});
    let mut transfer = pointing("a");
    transfer["type"] = json!("transfer");
    transfer["originSessionRef"] = pointing("a")["sessionRef"].clone();
    let people = json!({"type": "activity", "scid": SCID, "owners": {"people": {"moniker": "people"}}});
    let write = json!({"properties": {"system": {"keywords": ["x"], "scheduledTime": "2031-04-05T19:00:00Z"}, "custom": {"a": [1, null]}},
        "members": {"me": {"properties": {"system": {"active": true}, "custom": {"b": "\u{e9}"}}}}});
    let include = "?include=relatedInfo,customProperties,roleInfo&take=5";
    let post = |path: &str, body: &serde_json::Value| (Method::POST, path.to_owned(), body.to_string());
    vec![
        post(&format!("/handles/query{include}"), &search),
        post(&format!("/handles/query{include}"), &extended),
        post(&format!("/handles/query{include}"), &people),
        post("/handles", &listing),
        post("/handles", &invite),
        post("/handles", &transfer),
        post("/handles", &pointing("a")),
        post(&format!("/serviceconfigs/{SCID}/batch?keyword=x&take=3"), &json!({"xuids": ["1", 2]})),
        (Method::PUT, open, write.to_string()),
        (Method::GET, format!("/serviceconfigs/{SCID}/sessions?keyword=x&xuid=1&inactive=true"), String::new()),
        (Method::GET, "/users/me/invites?take=3".to_owned(), String::new()),
    ]
}

/// Values that take the place of others.
const VALUES: [&str; 16] = [
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "1e308",
    "18446744073709551616",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "\"x\"",
    "\"2031-04-05T18:00:00Z\"",
    "\"9999-12-31T23:59:59.999999Z\"",
    "\"a' or 1=1 --\"",
];

/// Changes some places of a text.
fn mutated(text: &str, chance: &mut Chance) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..chance.below(4) {
        let at = usize::try_from(chance.below(bytes.len() as u64 + 1)).expect("small");
        match chance.below(4) {
            0 => drop(bytes.splice(at..at, chance.pick(&["'", ")", "(", "\\", "/", "%00", "\"", " or ", "9", ","]).bytes())),
            1 => drop(bytes.drain(at..(at + 3).min(bytes.len()))),
            _ => {
                let Some(colon) = bytes[at..].iter().position(|byte| *byte == b':') else { continue };
                let from = at + colon + 1;
                let end = bytes[from..]
                    .iter()
                    .position(|byte| matches!(byte, b',' | b'}' | b']'))
                    .map_or(bytes.len(), |end| from + end);
                bytes.splice(from..end, chance.pick(&VALUES).bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn e01_nothing_that_arrives_is_answered_5xx() {
    let world = World::new().await;
    let ada = world.user(1);
    listed(&ada, "a", json!({}), json!({"tags": ["x"], "numbers": {"level": 3}, "strings": {"map": "harbor"}})).await;
    world.follows(1, 2).await;
    let count = setting("OPENMPSD_FUZZ_REQUESTS", 1500);
    let seed = setting("OPENMPSD_FUZZ_SEED", 1);
    let requests = requests();
    let sent = stream::iter(seed..seed + count).map(|seed| {
        let mut chance = Chance::new(seed);
        let (method, path, body) = chance.pick(&requests).clone();
        let body = if body.is_empty() { None } else { Some(mutated(&body, &mut chance)) };
        // Of a path only the parameters are changed: a client refuses to send anything as a path.
        let path = match path.split_once('?') {
            Some((path, query)) => format!("{path}?{}", mutated(query, &mut chance).replace(['#', ' ', '"', '\\'], "%20")),
            None => path,
        };
        let ada = ada.clone();
        async move {
            let answer = ada.send(method, &path, &[], body.clone()).await;
            assert!(answer.status < 500, "OPENMPSD_FUZZ_SEED={seed} OPENMPSD_FUZZ_REQUESTS=1: {path} {body:?} {answer:?}");
            u64::from(answer.status < 300)
        }
    });
    let sound: u64 = sent.buffer_unordered(8).collect::<Vec<_>>().await.into_iter().sum();
    assert!(count < 100 || sound * 10 > count, "hardly anything was sound: {sound} of {count}");
    world.end().await;
}
