//! Whatever bytes arrive, decoders answer: with a value, or with a refusal that says why. They never panic.
//!
//! Inputs are bodies as clients send them with a few bytes or values changed, and now and then bytes without any sense.
//! `OPENMPSD_FUZZ` is their number (20,000 when unset); a failure names the seed that repeats it alone, with
//! `OPENMPSD_FUZZ_SEED=<seed> OPENMPSD_FUZZ=1`.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::catch_unwind;

use super::handle_request::{self, HandleQuery};
use super::{query, request, search, social};
use crate::domain::filter::Grammar;
use crate::domain::filter::laws;
use crate::domain::names::Scid;
use crate::domain::tests::dice::Dice;

const SCID: &str = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7";

/// Bodies that are sound, one for every kind of request and field.
const BODIES: &[&str] = &[
    r#"{"type":"activity","version":1,"sessionRef":{"scid":"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7","templateName":"Lobby","name":"foo"}}"#,
    r#"{"type":"invite","sessionRef":{"scid":"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7","templateName":"Lobby","name":"a"},"invitedXuid":"12","inviteAttributes":{"titleId":7,"context":"a%3Db","contextString":"///x","senderString":""}}"#,
    r#"{"type":"transfer","sessionRef":{"scid":"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7","templateName":"Lobby"},"originSessionRef":{"scid":"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7","templateName":"Lobby","name":"b"}}"#,
    r#"{"type":"search","version":1,"sessionRef":{"scid":"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7","templateName":"Browse","name":"c"},"searchAttributes":{"tags":["A","b"],"strings":{"map":"Harbor"},"numbers":{"level":12.5e3},"achievementIds":["7"],"locale":"en-US"}}"#,
    r#"{"type":"search","scid":"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7","templateName":"Browse","filter":"tags/any(d:tolower(d) eq 'x') and numbers/level ge 10","orderBy":"numbers/level desc","grammar":"extended","sessionMembers":{"people":{"moniker":"people","monikerXuid":"1"}},"sessionOwners":["1",2],"communicatePermissionRequired":true,"continuation":"WyIwIiwiYSIsIjEiLCIxIl0"}"#,
    r#"{"type":"activity","scid":"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7","owners":{"xuids":["1",2]}}"#,
    r#"{"type":"activity","owners":{"people":{"moniker":"favorites","monikerXuid":3}}}"#,
    r#"{"xuids":["1",2,"18446744073709551615"]}"#,
    r#"{"constants":{"system":{"maxMembersCount":4,"visibility":"open"},"custom":{}},"properties":{"system":{"keywords":["eu"]},"custom":{"a":null}},"members":{"me":{"properties":{"system":{"active":true}}},"reserve_0":{"constants":{"system":{"xuid":"2"}}},"3":null},"servers":{"x":{"constants":{"custom":{}}}},"roleTypes":{"c":{"roles":{"h":{"max":1}}}}}"#,
    "{\"xuid\":\"1\",\"follows\":\"2\",\"favorite\":true}\n{\"xuid\":3,\"blocks\":\"4\"}\n",
    r#"{"follows":[{"xuid":"2","favorite":true},"3"],"followers":["4"],"blocks":["5"],"blockedBy":["6"]}"#,
    "keyword=a&xuid=1&take=5&version=2&private=true&visibility=open&reservations=false&include=relatedInfo,x",
];

/// Values that take the place of others.
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-0",
    "1e999",
    "-1",
    "1.5",
    "18446744073709551616",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "{\"a\":{}}",
    "\"é\"",
    "\"x\\\"y\"",
    "\"5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7\"",
    "9007199254740993",
    "\"2031-04-05T18:00:00Z\"",
];

/// Bytes that are put in.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xe2\x80\xa8",
    b"\\u",
    b"e",
    b"%",
    b"&",
    b"=",
    b"\n",
    b"'",
    b"(",
    b" or ",
    b"/any(",
    b"00",
    b"\xf0\x9f\x8e\xae",
    b"+",
    b"~",
];

fn index(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.roll() % count.max(1) as u64).expect("an index")
}

/// The input of these dice.
fn input(dice: &mut Dice) -> Vec<u8> {
    if dice.percent(4) {
        return (0..dice.roll() % 64).map(|_| dice.roll().to_le_bytes()[0]).collect();
    }
    let mut text = BODIES[index(dice, BODIES.len())].to_owned();
    if text.contains("\"filter\"") && dice.percent(70) {
        let grammar = if dice.percent(50) { Grammar::Mpsd } else { Grammar::Extended };
        let filter = crate::json::Json::from(laws::numbered(dice.roll(), grammar).to_string()).to_string();
        text = text.replace(r#""tags/any(d:tolower(d) eq 'x') and numbers/level ge 10""#, &filter);
    }
    let mut bytes = text.into_bytes();
    for _ in 0..dice.roll() % 5 {
        mutate(dice, &mut bytes);
    }
    bytes
}

fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let at = index(dice, bytes.len() + 1);
    match dice.roll() % 6 {
        0 => drop(bytes.splice(at..at, PIECES[index(dice, PIECES.len())].iter().copied())),
        1 => bytes.truncate(at),
        2 if at < bytes.len() => bytes[at] = dice.roll().to_le_bytes()[0],
        3 => {
            let end = (at + index(dice, 12)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        4 => {
            let end = (at + index(dice, 12)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            // A value in place of the next one.
            let Some(colon) = bytes[at..].iter().position(|byte| *byte == b':') else { return };
            let from = at + colon + 1;
            let end =
                bytes[from..].iter().position(|byte| matches!(byte, b',' | b'}' | b']')).map_or(bytes.len(), |end| from + end);
            bytes.splice(from..end, VALUES[index(dice, VALUES.len())].bytes());
        }
    }
}

/// Gives an input to every decoder, and says how many took it.
fn decode(bytes: &[u8]) -> u64 {
    let scid = Scid::parse(SCID).expect("a GUID");
    let text = String::from_utf8_lossy(bytes);
    let found = handle_request::read_query(bytes, &text, 32);
    if let Ok(HandleQuery::Search(query)) = &found {
        let _ = search::read_continuation(query);
        if let Some(filter) = &query.filter {
            assert!(!filter.to_string().is_empty());
        }
    }
    let _ = handle_request::read_include(&text);
    let took = [
        found.is_ok(),
        handle_request::read(bytes, 32).is_ok(),
        query::read_batch(scid, None, &text, 7, bytes, 32).is_ok(),
        query::read(scid, None, &text, 7).is_ok(),
        request::read_delta(bytes, 32).is_ok(),
        request::read_properties(bytes, 32).is_ok(),
        read_edges(bytes),
        social::read_neighbours(crate::domain::names::Xuid(1), bytes).is_ok(),
    ];
    took.into_iter().map(u64::from).sum()
}

/// Reads edges in two pieces and in one: it must come to the same.
fn read_edges(bytes: &[u8]) -> bool {
    let read = |pieces: &[&[u8]]| {
        let mut reader = social::EdgeReader::new(8);
        pieces.iter().try_for_each(|piece| reader.feed(piece))?;
        reader.finish()
    };
    let (one, other) = bytes.split_at(bytes.len() / 2);
    let whole = read(&[bytes]);
    assert_eq!(read(&[one, other]), whole);
    whole.is_ok()
}

#[test]
fn h85_e11_decoders_survive_anything() {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the service")]
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let count = read("OPENMPSD_FUZZ").unwrap_or(20_000);
    let first = read("OPENMPSD_FUZZ_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let mut taken = 0;
    for number in 0..count {
        let seed = first.wrapping_add(number);
        let bytes = input(&mut Dice::new(seed, ""));
        let took = catch_unwind(|| decode(&bytes));
        assert!(took.is_ok(), "OPENMPSD_FUZZ_SEED={seed} OPENMPSD_FUZZ=1 is {:?}", String::from_utf8_lossy(&bytes));
        taken += took.unwrap_or_default();
    }
    println!("OPENMPSD_FUZZ_SEED={first} OPENMPSD_FUZZ={count}: taken {taken} times");
    assert!(count < 1000 || taken > count / 10, "hardly anything is sound: {taken} of {count}");
}
