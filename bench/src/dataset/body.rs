//! The bodies of the requests that make a session of the data set: what a game would keep in it, different in each.

use serde_json::{Map, Value, json};

use super::{Draw, SCID, TEMPLATE, draw, name};

const MAPS: [&str; 10] =
    ["Canyon", "Harbour", "Foundry", "Glacier", "Orchard", "Citadel", "Reactor", "Boardwalk", "Quarry", "Observatory"];
const MODES: [&str; 6] = ["team-deathmatch", "capture-the-flag", "king-of-the-hill", "free-for-all", "escort", "survival"];
const REGIONS: [&str; 5] = ["europe-west", "europe-north", "us-east", "us-west", "asia-southeast"];
const WEATHER: [&str; 4] = ["clear", "rain", "fog", "sandstorm"];
const DIFFICULTIES: [&str; 3] = ["recruit", "veteran", "nightmare"];
const WEAPONS: [&str; 8] = ["carbine", "longbow", "scattergun", "sabre", "railgun", "crossbow", "launcher", "sidearm"];
const PERKS: [&str; 8] =
    ["quick-hands", "sure-footed", "scavenger", "iron-lungs", "silent-step", "eagle-eye", "second-wind", "medic"];
const COLOURS: [&str; 6] = ["crimson", "cobalt", "emerald", "amber", "violet", "ivory"];

/// The body of the PUT with which its owner creates session `n`: active, with seats kept for others, keywords and custom properties.
#[must_use]
pub fn creation(n: u32, reserved: &[u64], keywords: &[String]) -> String {
    let mut members = Map::new();
    members.insert("me".to_owned(), player(n, 0));
    for (number, xuid) in (0u32..).zip(reserved) {
        // Whoever keeps a seat may say what its user is and nothing of what it has (W-09).
        let constants = json!({"system": {"xuid": xuid.to_string()}, "custom": about(n, number + 1)});
        members.insert(format!("reserve_{number}"), json!({"constants": constants}));
    }
    json!({
        "properties": {"system": {"keywords": keywords}, "custom": game(n)},
        "members": members,
    })
    .to_string()
}

/// The body of the PUT with which the member who is to be the `k`-th one of session `n` joins it; its owner is the 0th.
#[must_use]
pub fn joining(n: u32, k: u32) -> String {
    json!({"members": {"me": player(n, k)}}).to_string()
}

/// The body of the POST with which its owner shows session `n` as its activity.
#[must_use]
pub fn activity(n: u32) -> String {
    json!({"version": 1, "type": "activity", "sessionRef": session_ref(n)}).to_string()
}

/// The body of the POST with which its owner lets everybody find session `n`: one of 5 tags, one of 10 maps, a level below 100, and in
/// one of 1,000 sessions the tag `rare`.
#[must_use]
pub fn listing(n: u32) -> String {
    let one = |at, pool| draw(u64::from(n), Draw::Attribute, at, pool);
    let mut tags = vec![format!("tag{}", one(0, 5))];
    if one(3, 1000) == 0 {
        tags.push("rare".to_owned());
    }
    let attributes = json!({
        "tags": tags,
        "strings": {"map": format!("map{}", one(1, 10))},
        "numbers": {"level": one(2, 100)},
    });
    json!({"version": 1, "type": "search", "sessionRef": session_ref(n), "searchAttributes": attributes}).to_string()
}

fn session_ref(n: u32) -> Value {
    json!({"scid": SCID, "templateName": TEMPLATE, "name": name(n)})
}

/// The custom properties of session `n`: what is played, where and by which rules.
fn game(n: u32) -> Value {
    let one = |at, pool| draw(u64::from(n), Draw::Custom, at, pool);
    let word = |at, words: &[&'static str]| choose(words, one(at, u32::MAX));
    let team = |at| json!({"name": word(at, &COLOURS), "score": one(at + 1, 50), "flags": one(at + 2, 4)});
    json!({
        "build": format!("4.{}.{}", one(0, 20), one(1, 4000)),
        "map": {"name": word(2, &MAPS), "weather": word(3, &WEATHER), "hour": one(4, 24), "seed": one(5, 1_000_000)},
        "mode": word(6, &MODES),
        "region": word(7, &REGIONS),
        "server": {"tickRate": 30 * (1 + one(27, 4)), "version": format!("{}.{}", one(28, 9), one(29, 500)), "zone": one(30, 12)},
        "rotation": [word(8, &MAPS), word(9, &MAPS), word(10, &MAPS)],
        "round": {"number": one(11, 12) + 1, "secondsLeft": one(12, 900), "overtime": one(13, 5) == 0},
        "rules": {
            "bots": {"count": one(14, 8), "difficulty": word(15, &DIFFICULTIES)},
            "friendlyFire": one(16, 2) == 0,
            "minimumRating": 800 + one(17, 1200),
            "respawnSeconds": 3 + one(18, 12),
            "scoreLimit": 25 * (1 + one(19, 8)),
            "timeLimitSeconds": 300 * (1 + one(20, 4)),
        },
        "teams": [team(21), team(24)],
    })
}

/// The entry of the `k`-th member of session `n`, who plays.
fn player(n: u32, k: u32) -> Value {
    json!({"properties": {"system": {"active": true}, "custom": about(n, k)}})
}

/// What a game knows of the `k`-th member of session `n`.
fn about(n: u32, k: u32) -> Value {
    let one = |at, pool| draw(u64::from(n) << 8 | u64::from(k), Draw::Player, at, pool);
    let word = |at, words: &[&'static str]| choose(words, one(at, u32::MAX));
    json!({
        "emblem": {"colour": word(0, &COLOURS), "shape": one(1, 64)},
        "challenges": [one(13, 900), one(14, 900), one(15, 900)],
        "loadout": {"primary": word(2, &WEAPONS), "secondary": word(3, &WEAPONS), "perks": [word(4, &PERKS), word(5, &PERKS)]},
        "season": {"number": 7, "points": one(16, 30_000), "tier": one(17, 50)},
        "stats": {
            "assists": one(6, 40),
            "deaths": one(7, 60),
            "kills": one(8, 80),
            "level": 1 + one(9, 99),
            "rating": 800 + one(10, 1600),
            "secondsPlayed": one(11, 2_000_000),
        },
        "team": one(12, 2),
    })
}

fn choose(words: &[&'static str], drawn: u32) -> &'static str {
    words[drawn as usize % words.len()]
}
