//! Laws that hold whatever happens: random histories of one session, by several players and a server, over templates that differ
//! in patience and demands.
//!
//! `OPENMPSD_LAWS` is the number of histories per law (256 when unset). A failure names the seed that repeats it:
//! `PROPTEST_RNG_SEED=<seed>`.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::access;
use super::command::{Command, MemberKey, Preconditions, Tags, Target, Write};
use super::decide::Outcome;
use super::principal::Principal;
use super::refusal::Kind;
use super::session::Session;
use super::tests::{Answer, CONNECTION, LOBBY, Stage, ada, bo, cy, dee, document, own, server, with};
use super::timers;
use crate::json::Json;
use crate::wire::request;

const TEMPLATES: &[&str] = &[
    r#"{"constants":{"system":{"maxMembersCount":3}}}"#,
    r#"{"constants":{"system":{"maxMembersCount":4,"inactiveRemovalTimeout":20000,"sessionEmptyTimeout":15000},"custom":{"map":1}}}"#,
    r#"{"constants":{"system":{"reservedRemovalTimeout":0,"readyRemovalTimeout":0,"inactiveRemovalTimeout":null,"sessionEmptyTimeout":null}}}"#,
    r#"{"contractVersion":105,"constants":{"system":{"visibility":"visible","timeouts":{"ready":1000,"inactive":2000,"reserved":null,"sessionEmpty":1}}}}"#,
    r#"{"constants":{"system":{"visibility":"private","readyRemovalTimeout":5000,"inactiveRemovalTimeout":5000,"sessionEmptyTimeout":5000}}}"#,
    LOBBY,
];

/// One thing that happens to a session.
#[derive(Clone)]
enum Step {
    /// Time passes, in milliseconds.
    Wait(i64),
    /// Somebody, by number, writes; perhaps on the condition that nothing has changed.
    Write { who: usize, body: String, synchronized: bool },
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(ms) => write!(f, "wait {ms} ms"),
            Self::Write { who, body, synchronized } => {
                write!(f, "player {who} writes{}: {body}", if *synchronized { " with If-Match" } else { "" })
            }
        }
    }
}

fn players() -> Vec<Principal> {
    // Bo and Cy share a device, Dee has none and her token no title.
    let beside = with(cy(), |user| user.device_id = Some("device-2".into()));
    let bare = with(dee(), |user| (user.device_id, user.title_id, user.gamertag) = (None, None, None));
    vec![ada(), bo(), beside, bare, server()]
}

/// Makes up one step from one random number; cheaper by far than a strategy for every field.
struct Dice(u64);

impl Dice {
    /// The next number (`SplitMix64`).
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn percent(&mut self, share: u64) -> bool {
        self.roll() % 100 < share
    }

    fn of<'v>(&mut self, values: &[&'v str]) -> &'v str {
        let count = values.len() as u64;
        values[usize::try_from(self.roll() % count).expect("an index")]
    }

    /// An object with some of these fields: a share in percent, a name, and the values it may have.
    fn object(&mut self, fields: &[(u64, &str, &[&str])]) -> String {
        let mut chosen = Vec::new();
        for (share, name, values) in fields {
            if self.percent(*share) {
                chosen.push(format!(r#""{name}":{}"#, self.of(values)));
            }
        }
        format!("{{{}}}", chosen.join(","))
    }

    fn custom(&mut self) -> String {
        const VALUES: &[&str] = &["1", "1.0", "null", r#"{"x":null}"#, r#""\ud800""#, "[1]"];
        match self.roll() % 8 {
            0 => "null".to_owned(),
            1 => r#""text""#.to_owned(),
            _ => self.object(&[(40, "a", VALUES), (40, "b", VALUES), (40, "c", VALUES)]),
        }
    }

    fn bag(&mut self, system: &str) -> String {
        let custom = self.custom();
        self.object(&[(70, "system", &[system]), (40, "custom", &[&custom])])
    }

    fn session_properties(&mut self) -> String {
        let restrictions: &[&str] = &[r#""none""#, r#""local""#, r#""followed""#, "null"];
        let system = self.object(&[
            (20, "joinRestriction", restrictions),
            (15, "readRestriction", restrictions),
            (15, "closed", &["true", "false", "null"]),
            (8, "locked", &["true", "false"]),
            (15, "keywords", &[r#"["eu"]"#, "[]", r#"["EU","eu","na"]"#]),
            (15, "turn", &["[]", "[0]", "[1,0]", "[2]", "null"]),
            (15, "host", &[r#""f56cad2ba680f530a25f98eb28c573f6""#, r#""nobody""#, "null"]),
            (15, "description", &[r#"{"text":"t","locale":null}"#, "{}", "null"]),
            (15, "matchmaking", &[r#"{"targetSessionConstants":{"a":null,"custom":{"b":null}}}"#, "null"]),
        ]);
        self.bag(&system)
    }

    fn member_properties(&mut self) -> String {
        let connection = format!(r#""{CONNECTION}""#);
        let system = self.object(&[
            (70, "active", &["true", "true", "true", "false", "null"]),
            (15, "ready", &["true", "false"]),
            (60, "connection", &[&connection, &connection, &connection, "null"]),
            (8, "secureDeviceAddress", &[r#""AAAAAAAA00112233445566778899aabbccddeeff""#, r#""""#, r#""BB""#]),
            (
                8,
                "measurements",
                &[r#"{"F56CAD2BA680F530A25F98EB28C573F6":{"latency":1}}"#, r#"{"x":{"custom":{"n":null}}}"#, "null"],
            ),
            (8, "initializationGroup", &["[0]", "[1]", "[3]", "[]"]),
            (8, "groups", &[r#"["red"]"#, "[]"]),
            (8, "subscription", &[r#"{"id":"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01","changeTypes":[]}"#, "null"]),
            (8, "secondarySubscriptions", &[r#"{"s":{"changeTypes":["host"]}}"#, r#"{"s":null,"t":{}}"#, "null"]),
        ]);
        self.bag(&system)
    }

    /// The constants of the caller's own entry, or of a reservation for somebody.
    fn constants(&mut self, xuid: Option<u64>) -> String {
        let named = xuid.map_or_else(|| r#""index":9"#.to_owned(), |xuid| format!(r#""xuid":{xuid}"#));
        let system = format!("{{{named}{}}}", self.of(&["", "", r#","team":"red""#, r#","initialize":true"#]));
        self.object(&[(100, "system", &[&system]), (20, "custom", &[r#"{"k":1}"#, r#"{"l":2}"#, "null"])])
    }

    fn entry(&mut self) -> String {
        let (constants, properties) = (self.constants(None), self.member_properties());
        self.object(&[(25, "constants", &[&constants]), (60, "properties", &[&properties])])
    }

    /// What somebody writes of members; a server has no `me`, but removes.
    fn members(&mut self, is_user: bool) -> String {
        let mut fields = Vec::new();
        if is_user && self.percent(80) {
            let me = if self.percent(12) { "null".to_owned() } else { self.entry() };
            fields.push(format!(r#""me":{me}"#));
        }
        if self.percent(if is_user { 4 } else { 50 }) {
            let entry = if self.percent(60) { "null".to_owned() } else { self.entry() };
            fields.push(format!(r#""{}":{entry}"#, self.roll() % 4));
        }
        let reserved = if self.percent(30) { 1 + self.roll() % 2 } else { 0 };
        for n in 0..reserved {
            let xuid = 2_533_274_800_000_001 + self.roll() % 4;
            fields.push(format!(r#""reserve_{n}":{{"constants":{}}}"#, self.constants(Some(xuid))));
        }
        format!("{{{}}}", fields.join(","))
    }

    fn step(&mut self) -> Step {
        const WAITS: &[i64] = &[1, 999, 1000, 5000, 20_000, 30_000, 200_000, 8_000_000];
        if self.percent(20) {
            return Step::Wait(WAITS[usize::try_from(self.roll() % 8).expect("an index")]);
        }
        let who = if self.percent(8) { 4 } else { usize::try_from(self.roll() % 4).expect("an index") };
        let (members, properties) = (self.members(who < 4), self.session_properties());
        let constants: &[&str] = &[
            "{}",
            r#"{"system":{"version":1}}"#,
            r#"{"system":{"inviteProtocol":"game"}}"#,
            r#"{"system":{"maxMembersCount":2}}"#,
            r#"{"custom":{"map":1}}"#,
            r#"{"custom":null}"#,
        ];
        let body = self.object(&[(90, "members", &[&members]), (30, "properties", &[&properties]), (10, "constants", constants)]);
        Step::Write { who, body, synchronized: self.percent(10) }
    }
}

/// A template, whether everybody follows everybody, and what happens.
fn history() -> impl Strategy<Value = (usize, bool, Vec<Step>)> {
    let step = any::<u64>().no_shrink().prop_map(|seed| Dice(seed).step());
    (0..TEMPLATES.len(), any::<bool>(), prop::bool::weighted(0.8), vec(step, 1..14)).prop_map(
        |(template, follow, opened, mut steps)| {
            if opened {
                // Most histories are of a session that somebody holds open.
                let connected = format!(r#"{{"active":true,"connection":"{CONNECTION}"}}"#);
                steps.insert(0, Step::Write { who: 0, body: own(&connected), synchronized: false });
            }
            (template, follow, steps)
        },
    )
}

fn command(stage: &Stage, body: &str, synchronized: bool) -> Command {
    let delta = request::read_delta(body.as_bytes(), 32).unwrap_or_else(|refusal| panic!("{refusal}: {body}"));
    let tag = stage.record.as_ref().filter(|_| synchronized).map(|session| session.etag().to_string());
    let preconditions = Preconditions { if_match: tag.map(|tag| Tags::These(vec![tag])), if_none_match: None };
    Command::Write(Box::new(Write { delta, preconditions, target: Target::Session, form: stage.form }))
}

/// A write and what it led to.
struct Played<'a> {
    /// The stage before, settled.
    before: &'a Stage,
    who: &'a Principal,
    command: &'a Command,
    answer: Answer,
    after: &'a Stage,
}

/// Plays random histories and holds every write against a law.
fn for_all_histories(law: impl Fn(Played)) {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the service")]
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = read("OPENMPSD_LAWS").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(256);
    let seed = read("PROPTEST_RNG_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let config = Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let players = players();
    let outcome = TestRunner::new(config).run(&history(), |(template, follow, steps)| {
        let mut stage = Stage::of(TEMPLATES[template]);
        stage.everybody_follows = follow;
        for step in steps {
            match step {
                Step::Wait(ms) => stage.advance(ms),
                Step::Write { who, body, synchronized } => {
                    stage.settle();
                    let command = command(&stage, &body, synchronized);
                    let before = stage.clone();
                    let who = &players[who];
                    let answer = stage.run(who, &command);
                    law(Played { before: &before, who, command: &command, answer, after: &stage });
                }
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("PROPTEST_RNG_SEED={seed} OPENMPSD_LAWS={cases}: {failure}"));
}

/// Of a document's paths, those of system data that are `null`.
fn nulls(at: &str, value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Null => found.push(at.to_owned()),
        Json::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| name.to_string() != "custom") {
                nulls(&format!("{at}.{name}"), value, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| nulls(at, item, found)),
        _ => {}
    }
}

fn shown(stage: &Stage) -> String {
    stage.record.as_ref().map_or_else(|| "nothing".to_owned(), |session| document(session).to_string())
}

fn is_a_sound_document(session: &Session) {
    let document = document(session);
    let mut found = Vec::new();
    nulls("", &document, &mut found);
    assert_eq!(found, Vec::<String>::new(), "S-03: {document}");

    assert!(session.members.len() <= session.max_members(), "M-88: {document}");
    assert!(session.members.is_sorted_by(|one, two| one.index < two.index), "{document}");
    assert!(session.members.iter().all(|member| member.index < session.next_index), "{document}");
    let members = document.get("members").and_then(Json::as_object).expect("members");
    let info = |name: &str| document.get("membersInfo").and_then(|info| info.get(name)).and_then(Json::as_u64).expect("S-30");
    let (mut at, mut seen) = (info("first"), Vec::new());
    while at != info("next") {
        let entry = members.get(at.to_string().as_str()).expect("S-60: the list leads to members");
        let xuid = entry.get("constants").and_then(|bag| bag.get("system")?.get("xuid")).expect("S-70");
        assert!(matches!(xuid, Json::String(_)) && !seen.contains(&xuid), "S-04, M-05: {document}");
        seen.push(xuid);
        at = entry.get("next").and_then(Json::as_u64).expect("S-60");
    }
    assert_eq!((seen.len(), members.len() as u64), (members.len(), info("count")), "S-60: each member once");
    let counted = |test: fn(&Json) -> bool| members.values().filter(|entry| test(entry)).count() as u64;
    assert_eq!(info("accepted"), counted(|entry| entry.get("reserved").is_none()), "S-30");
    let active = |entry: &Json| entry.get("properties").and_then(|bag| bag.get("system")?.get("active")).is_some();
    assert_eq!(info("active"), counted(active), "S-30");
    assert!(session.read_restriction() <= session.join_restriction(), "S-41: {document}");
    assert!(!session.flag("locked") || session.flag("closed"), "S-43: {document}");
    assert!(session.turn().iter().all(|index| members.contains_key(index.to_string().as_str())), "S-45: {document}");
}

/// The stage itself checks on the way: what is rendered can be read back, the number moves exactly with the document, the delta
/// leads from the old document to the new, and the next timer lies ahead.
#[test]
fn every_document_is_sound_and_indices_never_return() {
    for_all_histories(|Played { before, answer, after, .. }| {
        if answer.0.is_err() {
            assert!(after.record == before.record, "E-06, W-15: {}", shown(after));
        }
        let Some(session) = &after.record else { return };
        is_a_sound_document(session);
        let Some(before) = before.record.as_ref().filter(|before| before.branch == session.branch) else { return };
        assert!(session.next_index >= before.next_index, "M-40");
        for member in &session.members {
            let same = before.members.iter().any(|other| (other.index, other.xuid) == (member.index, member.xuid));
            assert!(same || member.index >= before.next_index, "M-40: index {} returned", member.index);
        }
    });
}

/// Whether a write names an index that nobody has had yet. If it also adds members, its repetition means other members.
fn looks_ahead(stage: &Stage, command: &Command) -> bool {
    let next = stage.record.as_ref().map_or(0, |session| session.next_index);
    let Command::Write(write) = command else { return false };
    write.delta.members.iter().any(|(key, _)| matches!(key, MemberKey::Index(index) if *index >= next))
}

#[test]
fn w34_the_same_write_twice_is_once() {
    for_all_histories(|Played { before, who, command, answer, after }| {
        if looks_ahead(before, command) {
            return;
        }
        let mut twice = after.clone();
        let again = twice.run(who, command);
        assert!(twice.record == after.record, "first {answer:?}, then {again:?}: {} {}", shown(after), shown(&twice));
        if answer.0.is_ok() && again.0.is_ok() {
            assert!(matches!(again.0, Ok(Outcome::Unchanged | Outcome::Gone)), "{again:?}");
        }
    });
}

#[test]
fn w18_what_a_response_shows_may_be_sent_back() {
    for_all_histories(|Played { who, after, .. }| {
        let (Some(session), Some(user)) = (&after.record, who.user()) else { return };
        let Some(member) = session.member(user.xuid).filter(|member| member.state.is_accepted()) else { return };
        let own = format!("members.{}.properties", member.index);
        let mut again = after.clone();
        let (properties, own, constants) = (again.at("properties"), again.at(&own), again.at("constants"));
        let body = format!(r#"{{"constants":{constants},"properties":{properties},"members":{{"me":{{"properties":{own}}}}}}}"#);
        let answer = again.put(who, &body);
        assert!(answer.is_quiet(), "{answer:?} to {body}");
    });
}

/// A sweeper looks exactly when something is due; a reader looks in between as well, and both see the same.
#[test]
fn m24_m27_settling_is_done_once_and_agrees_whoever_does_it() {
    for_all_histories(|Played { after, .. }| {
        let mut record = after.record.clone();
        let mut now = after.now;
        for _ in 0..4 {
            let Some(next) = record.as_ref().and_then(timers::next) else { return };
            let between = now + (next - now) / 2;
            assert!(next > now && timers::settle(&record, now).is_none(), "M-25: settling twice at one instant is settling once");
            assert!(between == next || timers::settle(&record, between).is_none(), "nothing is due before its time");
            record = timers::settle(&record, next).expect("a due timer does something");
            now = next;
            if let Some(session) = &record {
                is_a_sound_document(session);
            }
        }
    });
}

#[test]
fn a10_who_has_no_access_gets_no_document() {
    for_all_histories(|Played { before, who, answer, .. }| {
        let Some(session) = &before.record else { return };
        let facts = before.facts();
        let may_read = access::may_read(session, who, &facts);
        let member = who.xuid().is_some_and(|xuid| session.member(xuid).is_some());
        let may_join = who.user().is_some_and(|user| access::admit(session, user, &facts).is_ok());
        assert!(may_read || !member, "A-10: members read");
        assert!(may_read || !may_join, "A-10: a right to join implies one to read");
        match answer.0 {
            Err(refusal) if refusal.kind == Kind::Stale => assert!(may_read, "W-43: a 412 with the session is for readers"),
            Err(refusal) if refusal.kind != Kind::Forbidden => assert!(may_read, "E-10: {} before 403", refusal.text),
            Err(_) => {}
            Ok(_) => assert!(may_read, "a write that is answered with the session is for readers"),
        }
    });
}
