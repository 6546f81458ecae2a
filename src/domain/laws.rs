//! Laws that hold whatever happens: random histories of one session, by several players, a server, and servers that act for
//! players, over templates that differ in patience, demands, roles, owners, initialization and size.
//!
//! `OPENMPSD_LAWS` is the number of histories (10,000 when unset). A failure names the seed that repeats it:
//! `PROPTEST_RNG_SEED=<seed>`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::access::{self, Pass};
use super::command::{Command, MemberKey, Preconditions, Tags, Target, Write};
use super::connection::{Known, Lost};
use super::decide::Outcome;
use super::initialization::Stage as Episode;
use super::names::{ConnectionId, Xuid};
use super::principal::{Principal, ServerFor};
use super::refusal::Kind;
use super::session::{Member, Session};
use super::template::Form;
use super::tests::dice::Dice;
use super::tests::{Answer, CONNECTION, LOBBY, Stage, ada, alive, bo, cy, dee, document, json, partial, server, with};
use super::timers;
use crate::json::Json;
use crate::wire::stored::{self, Renderer};
use crate::wire::{large, request, view};

const TEMPLATES: &[&str] = &[
    r#"{"constants":{"system":{"maxMembersCount":3}}}"#,
    r#"{"constants":{"system":{"maxMembersCount":4,"inactiveRemovalTimeout":20000,"sessionEmptyTimeout":15000},"custom":{"map":1}}}"#,
    r#"{"constants":{"system":{"reservedRemovalTimeout":0,"readyRemovalTimeout":0,"inactiveRemovalTimeout":null,"sessionEmptyTimeout":null}}}"#,
    r#"{"contractVersion":105,"constants":{"system":{"visibility":"visible","timeouts":{"ready":1000,"inactive":2000,"reserved":null,"sessionEmpty":1}}}}"#,
    r#"{"constants":{"system":{"visibility":"private","readyRemovalTimeout":5000,"inactiveRemovalTimeout":5000,"sessionEmptyTimeout":5000}}}"#,
    LOBBY,
    r#"{"constants":{"system":{"inactiveRemovalTimeout":20000,"capabilities":{"hasOwners":true},
        "ownershipPolicies":{"migration":"oldest","allowNonOwnerInviteHandles":true}}},
        "roleTypes":{"class":{"mutableRoleSettings":["max"],"roles":{"healer":{"max":1},"tank":{"max":2}}},
        "rank":{"ownerManaged":true,"roles":{"leader":{"max":1}}}}}"#,
    r#"{"constants":{"system":{"maxMembersCount":3,"sessionEmptyTimeout":9000,"capabilities":{"hasOwners":true},
        "ownershipPolicies":{"nonOwnerModifiableSystemProperties":["turn","closed"]}}}}"#,
    r#"{"constants":{"system":{"inactiveRemovalTimeout":20000,"capabilities":{"connectivity":true,"autoPopulateServerCandidates":true},
        "memberInitialization":{"joinTimeout":5000,"measurementTimeout":5000},
        "peerToPeerRequirements":{"latencyMaximum":100,"bandwidthMinimum":50},
        "peerToHostRequirements":{"latencyMaximum":100,"bandwidthDownMinimum":50,"bandwidthUpMinimum":20}}}}"#,
    r#"{"constants":{"system":{"readyRemovalTimeout":0,"inactiveRemovalTimeout":1000,"sessionEmptyTimeout":5000,
        "memberInitialization":{"externalEvaluation":true,"joinTimeout":1000,"evaluationTimeout":999,"membersNeededToStart":0}}},
        "roleTypes":{"class":{"roles":{"healer":{"max":1},"tank":{}}}}}"#,
    r#"{"constants":{"system":{"memberInitialization":{"membersNeededToStart":1},"sessionEmptyTimeout":5000}}}"#,
    r#"{"constants":{"system":{"maxMembersCount":200,"inactiveRemovalTimeout":5000,"readyRemovalTimeout":1000,
        "capabilities":{"large":true,"hasOwners":true},"ownershipPolicies":{"migration":"oldest"}}},
        "roleTypes":{"class":{"mutableRoleSettings":["max"],"roles":{"healer":{"max":1},"tank":{}}}}}"#,
    r#"{"constants":{"system":{"maxMembersCount":3,"inactiveRemovalTimeout":1000,"capabilities":{"large":true}}}}"#,
];

/// One thing that happens to a session.
#[derive(Clone)]
pub(super) enum Step {
    /// Time passes, in milliseconds.
    Wait(i64),
    /// The socket of a player, by number, is lost.
    Lose(usize),
    /// Somebody, by number, writes; perhaps on the condition that nothing has changed.
    Write {
        /// Which of the players.
        who: usize,
        /// The request.
        body: String,
        /// Whether with `If-Match`.
        synchronized: bool,
    },
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(ms) => write!(f, "wait {ms} ms"),
            Self::Lose(who) => write!(f, "player {who} loses the connection"),
            Self::Write { who, body, synchronized } => {
                write!(f, "player {who} writes{}: {body}", if *synchronized { " with If-Match" } else { "" })
            }
        }
    }
}

/// How many there are who write: four players, a server, and two that act for players.
pub(super) const PLAYERS: u64 = 7;

fn players() -> Vec<Principal> {
    // Bo and Cy share a device, Dee has none and her token no title.
    let beside = with(cy(), |user| user.device_id = Some("device-2".into()));
    let bare = with(dee(), |user| (user.device_id, user.title_id, user.gamertag) = (None, None, None));
    let acting = |users: &[Principal], manages| {
        let server = server().server().expect("a server").clone();
        Principal::ServerFor(ServerFor { server, users: users.iter().flat_map(Principal::users).cloned().collect(), manages })
    };
    let (both, one) = (acting(&[cy(), dee()], true), acting(&[bo()], false));
    vec![ada(), bo(), beside, bare, server(), both, one]
}

/// A template, whether everybody follows everybody, whose sockets are there or were (two bits a player: known, alive), and what
/// happens.
fn history() -> impl Strategy<Value = (usize, bool, u8, Vec<Step>)> {
    let seeds = vec(any::<u64>().no_shrink(), 1..16);
    let parts = (0..TEMPLATES.len(), any::<bool>(), any::<u8>(), prop::bool::weighted(0.85), seeds);
    parts.prop_map(|(template, follow, sockets, opened, seeds)| {
        let mut steps: Vec<Step> = seeds.into_iter().map(|seed| Dice::new(seed, TEMPLATES[template]).step()).collect();
                    if opened {
                // Most histories are of a session that somebody holds open, for others where they are initialized together.
                let me = format!(
                    r#""me":{{"constants":{{"system":{{"initialize":true}}}},"properties":{{"system":{{"active":true,"connection":"{CONNECTION}"}}}}}}"#
                );
                let expected = |n: u64| {
                    let xuid = 2_533_274_800_000_002 + n;
                    format!(r#","reserve_{n}":{{"constants":{{"system":{{"xuid":{xuid},"initialize":true}}}}}}"#)
                };
                let others = if TEMPLATES[template].contains("memberInitialization") { expected(0) + &expected(1) } else { String::new() };
                steps.insert(0, Step::Write { who: 0, body: format!(r#"{{"members":{{{me}{others}}}}}"#), synchronized: false });
            }
(template, follow, sockets, steps)
    })
}

fn command(stage: &Stage, body: &str, synchronized: bool) -> Command {
    let delta = request::read_delta(body.as_bytes(), 32).unwrap_or_else(|refusal| panic!("{refusal}: {body}"));
    // Of those who insist on a state, some insist on one that is gone.
    let tag = |session: &Session| if body.len().is_multiple_of(3) { "old".to_owned() } else { session.etag().to_string() };
    let tag = stage.record.as_ref().filter(|_| synchronized).map(tag);
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

type Law = fn(&Played);

const LAWS: &[Law] = &[
    every_document_is_sound_and_indices_never_return,
    w34_the_same_write_twice_is_once,
    w18_t52_what_a_response_shows_may_be_sent_back,
    m24_m27_settling_is_done_once_and_agrees_whoever_does_it,
    a10_who_has_no_access_gets_no_document,
    a20_m32_what_asks_no_facts_is_decided_the_same_without_any,
    m95_what_is_not_loaded_does_not_matter,
];

/// What the histories must have come to, or the laws say little: each at least once in ten thousand histories.
const REACHED: &[&str] = &[
    "created",
    "updated",
    "unchanged",
    "gone",
    "refused: Invalid",
    "refused: Forbidden",
    "refused: Conflict",
    "refused: Full",
    "refused: Stale",
    "joining",
    "measuring",
    "evaluating",
    "failed",
    "second episode",
    "failure: Timeout",
    "failure: Group",
    "failure: Episode",
    "failure: Latency",
    "hosts proposed",
    "servers proposed",
    "another owner",
    "a role is held",
    "a server keeps something",
    "a large session of three",
    "a loss",
    "time to come back",
];

fn tally(played: &Played, seen: &mut BTreeMap<String, u32>) {
    let mut note = |what: String| *seen.entry(what).or_default() += 1;
    match &played.answer.0 {
        Ok(outcome) => note(format!("{outcome:?}").to_lowercase()),
        Err(refusal) => note(format!("refused: {:?}", refusal.kind)),
    }
    let Some(session) = &played.after.record else { return };
    if let Some(current) = session.initializing {
        note(current.stage.as_str().to_owned());
        if current.episode > 1 {
            note("second episode".to_owned());
        }
    }
    session.members.iter().filter_map(|member| member.failure).for_each(|failure| note(format!("failure: {failure:?}")));
    for (what, happened) in [
        ("hosts proposed", !session.host_candidates.is_empty()),
        ("servers proposed", session.properties.system.contains_key("serverConnectionStringCandidates")),
        ("another owner", session.has_owners() && !session.owners().contains(&0)),
        ("a role is held", session.members.iter().any(|member| !member.roles.is_empty())),
        ("a server keeps something", !session.servers.is_empty()),
        ("time to come back", session.members.iter().any(|member| member.grace_until.is_some())),
        ("a large session of three", session.is_large() && session.members.len() >= 3),
    ] {
        if happened {
            note(what.to_owned());
        }
    }
}

/// Plays random histories and holds every write against every law, on all cores unless a seed is to be repeated.
///
/// The stage itself checks on the way: what is rendered can be read back, the number moves exactly with the document, the delta
/// leads from the old document to the new, and the next timer lies ahead.
#[test]
fn the_laws_hold_in_random_histories() {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the service")]
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = read("OPENMPSD_LAWS").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(10_000);
    if let Some(seed) = read("PROPTEST_RNG_SEED") {
        println!("{:?}", play(seed, cases));
        return;
    }
    let seed = RandomState::new().hash_one(0);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = cases.div_ceil(u32::try_from(cores).unwrap_or(1));
    let mut tallied: BTreeMap<String, u32> = BTreeMap::new();
    std::thread::scope(|scope| {
        let plays: Vec<_> = (0..cores as u64).map(|core| scope.spawn(move || play(seed.wrapping_add(core), share))).collect();
        for play in plays {
            let part = play.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (what, count) in part {
                *tallied.entry(what).or_default() += count;
            }
        }
    });
    println!("{tallied:?}");
    let missed: Vec<_> = REACHED.iter().filter(|what| !tallied.contains_key(**what)).collect();
    assert!(missed.is_empty() || cases < 10_000, "the histories never came to {missed:?}");
}

/// Plays that many histories and counts what they came to.
fn play(seed: u64, cases: u32) -> BTreeMap<String, u32> {
    let config = Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    println!("PROPTEST_RNG_SEED={seed} OPENMPSD_LAWS={cases}");
    let (people, tallied) = (players(), RefCell::new(BTreeMap::new()));
    let outcome = TestRunner::new(config).run(&history(), |(template, follow, sockets, steps)| {
        let mut stage = Stage::of(TEMPLATES[template]);
        stage.everybody_follows = follow;
        let users: Vec<Xuid> = people.iter().take(4).filter_map(Principal::xuid).collect();
        let known = |(number, owner): (usize, &Xuid)| {
            let bits = sockets >> (2 * number) & 3;
            (bits & 1 != 0).then(|| Known { alive: bits & 2 != 0, ..alive(CONNECTION, *owner) })
        };
        stage.connections = users.iter().enumerate().filter_map(known).collect();
        // It sees some of the states between, as one does that lives through several commands of a round.
        let mut renderer = Renderer::default();
        for step in steps {
            match step {
                Step::Wait(ms) => stage.advance(ms),
                Step::Lose(who) => {
                    stage.connections.iter_mut().filter(|known| known.owner == users[who]).for_each(|known| known.alive = false);
                    let lost = Lost { id: ConnectionId::parse(CONNECTION).expect("a GUID"), owner: users[who] };
                    if stage.lose(&[lost]) {
                        is_a_sound_document(stage.session());
                        assert!(!stage.lose(&[lost]), "N-40: a loss is recorded once");
                        *tallied.borrow_mut().entry("a loss".to_owned()).or_default() += 1;
                    }
                }
                Step::Write { who, body, synchronized } => {
                    stage.settle();
                    let command = command(&stage, &body, synchronized);
                    let before = stage.clone();
                    let who = &people[who];
                    let answer = stage.run(who, &command);
                    let played = Played { before: &before, who, command: &command, answer, after: &stage };
                    for law in LAWS {
                        law(&played);
                    }
                    tally(&played, &mut tallied.borrow_mut());
                }
            }
            if let Some(session) = &stage.record {
                assert_eq!(renderer.body(session), stored::render(session).body, "what stays rendered is what has not changed");
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("PROPTEST_RNG_SEED={seed} OPENMPSD_LAWS={cases}: {failure}"));
    tallied.into_inner()
}

/// Of a document's paths, those of system data that are `null` (S-03), and ids of 64 bits that are no text (S-04).
fn offences(at: &str, value: &Json, found: &mut Vec<String>) {
    const IDS: &[&str] = &["xuid", "ownerXuid", "titleId", "activeTitleId"];
    match value {
        Json::Null => found.push(at.to_owned()),
        Json::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| name.to_string() != "custom") {
                let name = name.to_string();
                let at = format!("{at}.{name}");
                let texts = matches!(name.as_str(), "memberXuids" | "initiators");
                let is_text = |value: &Json| matches!(value, Json::String(_));
                if (IDS.contains(&name.as_str()) && !is_text(value))
                    || (texts && !value.as_array().is_some_and(|items| items.iter().all(is_text)))
                {
                    found.push(at.clone());
                }
                offences(&at, value, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| offences(at, item, found)),
        _ => {}
    }
}

fn shown(stage: &Stage) -> String {
    stage.record.as_ref().map_or_else(|| "nothing".to_owned(), |session| document(session).to_string())
}

fn is_a_sound_document(session: &Session) {
    let document = document(session);
    let mut found = Vec::new();
    offences("", &document, &mut found);
    assert_eq!(found, Vec::<String>::new(), "S-03, S-04: {document}");

    assert!(session.member_count() <= session.max_members(), "M-88: {document}");
    assert_eq!(session.role_types.overfull(&session.taken()), None, "M-83: {document}");
    assert!(session.members.is_sorted_by(|one, two| one.index < two.index), "{document}");
    assert!(session.members.iter().all(|member| member.index < session.next_index), "{document}");
    let members = document.get("members").and_then(Json::as_object).expect("members");
    let info = |name: &str| document.get("membersInfo").and_then(|info| info.get(name)).and_then(Json::as_u64).expect("S-30");
    if session.is_large() {
        assert!(members.values().all(|entry| entry.get("reserved").is_none()), "M-97: {document}");
    } else {
        is_a_sound_list(&document, members);
    }
    let counted = |test: fn(&Json) -> bool| members.values().filter(|entry| test(entry)).count() as u64;
    assert_eq!(info("accepted"), counted(|entry| entry.get("reserved").is_none()), "S-30");
    let active = |entry: &Json| entry.get("properties").and_then(|bag| bag.get("system")?.get("active")).is_some();
    assert_eq!(info("active"), counted(active), "S-30");
    assert!(session.read_restriction() <= session.join_restriction(), "S-41: {document}");
    assert!(!session.flag("locked") || session.flag("closed"), "S-43: {document}");
    assert!(session.turn().iter().all(|index| members.contains_key(index.to_string().as_str())), "S-45: {document}");
    is_soundly_connected(session);
    is_soundly_owned(session);
    is_soundly_initialized(session);
}

/// The list that clients walk visits each member once (S-60).
fn is_a_sound_list(document: &Json, members: &crate::json::Object) {
    let info = |name: &str| document.get("membersInfo").and_then(|info| info.get(name)).and_then(Json::as_u64).expect("S-30");
    let (mut at, mut seen) = (info("first"), Vec::new());
    while at != info("next") {
        let entry = members.get(at.to_string().as_str()).expect("S-60: the list leads to members");
        let xuid = entry.get("constants").and_then(|bag| bag.get("system")?.get("xuid")).expect("S-70");
        assert!(!seen.contains(&xuid), "M-05: {document}");
        seen.push(xuid);
        at = entry.get("next").and_then(Json::as_u64).expect("S-60");
    }
    assert_eq!((seen.len(), members.len() as u64), (members.len(), info("count")), "S-60: each member once");
}

/// Time to come back has who is active or ready with a connection, and nobody else (M-31).
fn is_soundly_connected(session: &Session) {
    for member in session.members.iter().filter(|member| member.grace_until.is_some()) {
        assert!(member.state.is_engaged() && member.connection().is_some(), "M-31: {}", document(session));
    }
}

fn is_soundly_owned(session: &Session) {
    let accepted = |member: &Member| member.state.is_accepted();
    let owners = session.owners();
    assert!(owners.iter().all(|index| session.member_at(*index).is_some_and(|member| accepted(member))), "M-91");
    let anybody = session.members.iter().any(|member| accepted(member));
    assert_eq!(!owners.is_empty(), session.has_owners() && anybody, "M-91, M-93: {}", document(session));
}

fn is_soundly_initialized(session: &Session) {
    let document = document(session);
    let current = session.initializing;
    let episodes: Vec<u32> = session.members.iter().filter_map(|member| member.episode).collect();
    if !session.constants.system.contains_key("memberInitialization") {
        assert!(current.is_none() && episodes.is_empty(), "M-51: {document}");
        return;
    }
    match current {
        None => assert!(episodes.is_empty(), "M-51: nobody waits while no episode runs: {document}"),
        Some(current) if current.stage == Episode::Failed => {
            assert!(current.episode == 1 && episodes.is_empty(), "M-58: {document}");
        }
        Some(current) => {
            assert_eq!(current.episode, session.episodes, "M-51: {document}");
            let next = current.episode + 1;
            assert!(episodes.iter().all(|episode| *episode == current.episode || *episode == next), "M-51: {document}");
            let awaited =
                |member: &&std::sync::Arc<Member>| member.episode == Some(current.episode) && !member.state.is_accepted();
            let awaits = session.members.iter().any(|member| awaited(&member));
            assert_eq!(awaits, current.stage == Episode::Joining, "M-55: {document}");
        }
    }
}

fn every_document_is_sound_and_indices_never_return(Played { before, answer, after, .. }: &Played) {
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
}

/// Whether repeating a write may mean something else: it names an index that nobody has had yet, or whoever is in the session by
/// then; it judges an episode (S-48); or it ended the session.
fn means_more_when_repeated(Played { before, command, answer, .. }: &Played) -> bool {
    let next = before.record.as_ref().map_or(0, |session| session.next_index);
    let Command::Write(write) = command else { return false };
    let ahead = write.delta.members.iter().any(|(key, _)| matches!(key, MemberKey::Index(index) if *index >= next));
    let system = write.delta.properties.as_ref().and_then(|properties| properties.get("system"));
    let judges = system.is_some_and(|system| system.get("initializationSucceeded").is_some());
    let all_here = write.delta.members.iter().any(|(key, _)| *key == MemberKey::MeAllInSession);
    ahead || all_here || judges || (answer.0 == Ok(Outcome::Gone) && before.record.is_some())
}

fn w34_the_same_write_twice_is_once(played: &Played) {
    if means_more_when_repeated(played) {
        return;
    }
    let Played { who, command, answer, after, .. } = played;
    let mut twice = Stage::clone(after);
    let again = twice.run(who, command);
    assert!(twice.record == after.record, "first {answer:?}, then {again:?}: {} {}", shown(after), shown(&twice));
    if answer.0.is_ok() && again.0.is_ok() {
        assert!(matches!(again.0, Ok(Outcome::Unchanged | Outcome::Gone)), "{again:?}");
    }
}

fn w18_t52_what_a_response_shows_may_be_sent_back(Played { who, after, .. }: &Played) {
    let (Some(session), Some(user)) = (&after.record, who.user()) else { return };
    let Some(member) = session.member(user.xuid).filter(|member| member.state.is_accepted()) else { return };
    let whole = Stage::clone(after).get().to_string();
    for (minor, form) in [(7, Form::New), (5, Form::Old)] {
        let shown = json(&view::rendered(whole.clone(), minor).expect("T-52"));
        let at = |path: &str| path.split('/').try_fold(&shown, |part, name| part.get(name)).expect("S-02");
        let own = at(&format!("members/{}/properties", member.index));
        let (properties, constants) = (at("properties"), at("constants"));
        let body = format!(r#"{{"constants":{constants},"properties":{properties},"members":{{"me":{{"properties":{own}}}}}}}"#);
        let mut again = Stage::clone(after);
        again.form = form;
        let answer = again.put(who, &body);
        assert!(answer.is_quiet(), "{answer:?} to {body}");
    }
}

/// A sweeper looks exactly when something is due; a reader looks in between as well, and both see the same.
fn m24_m27_settling_is_done_once_and_agrees_whoever_does_it(Played { after, .. }: &Played) {
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
}

fn a10_who_has_no_access_gets_no_document(Played { before, who, answer, .. }: &Played) {
    let Some(session) = &before.record else { return };
    let facts = before.facts();
    let may_read = access::may_read(session, who, &facts);
    let member = who.users().iter().any(|user| session.member(user.xuid).is_some());
    let may_join = who.users().iter().any(|user| access::admit(session, user, &facts, &Pass::Nothing).is_ok());
    assert!(may_read || !member, "A-10: members read");
    assert!(may_read || !may_join, "A-10: a right to join implies one to read");
    match &answer.0 {
        Err(refusal) if refusal.kind == Kind::Stale => assert!(may_read, "W-43: a 412 with the session is for readers"),
        Err(refusal) if refusal.kind != Kind::Forbidden => assert!(may_read, "E-10: {} before 403", refusal.text),
        Err(_) => {}
        Ok(_) => assert!(may_read, "a write that is answered with the session is for readers"),
    }
}

fn a20_m32_what_asks_no_facts_is_decided_the_same_without_any(Played { before, who, command, answer, after }: &Played) {
    let mut bare = Stage::clone(before);
    bare.settle();
    let Some(session) = bare.record.as_ref().filter(|session| !session.is_large()) else { return };
    if access::asks_facts(session, command, who) {
        return;
    }
    (bare.follows, bare.blocks, bare.connections, bare.everybody_follows) = (Vec::new(), Vec::new(), Vec::new(), false);
    let alone = bare.run(who, command);
    assert_eq!((alone.status(), alone.text()), (answer.status(), answer.text()));
    assert!(bare.record == after.record, "{} instead of {}", shown(&bare), shown(after));
}

/// A large session is decided on with a part of its members: the callers, those named, the owners, those that are due, and the one
/// who joined first of the others.
fn m95_what_is_not_loaded_does_not_matter(Played { before, who, command, answer, after }: &Played) {
    let Some(session) = before.record.as_ref().filter(|session| session.is_large()) else { return };
    let Command::Write(write) = command else { return };
    let callers: Vec<Xuid> = who.users().iter().map(|user| user.xuid).collect();
    let mut named: Vec<u32> = session.owners().into_iter().collect();
    named.extend(
        write.delta.members.iter().filter_map(|(key, _)| if let MemberKey::Index(index) = key { Some(*index) } else { None }),
    );
    let system = write.delta.properties.as_ref().and_then(|properties| properties.get("system"));
    let owners = system.and_then(|system| system.get("owners")).and_then(Json::as_array).unwrap_or_default();
    named.extend(owners.iter().filter_map(|index| u32::try_from(index.as_u64()?).ok()));
    let is_named = |member: &Member| callers.contains(&member.xuid) || named.contains(&member.index);
    let rest = session.members.iter().filter(|member| !is_named(member));
    let heir = rest.min_by_key(|member| (member.joined_at, member.index)).map(|member| member.index);
    let mut part = Stage::clone(before);
    part.load(partial(session, |member| is_named(member) || Some(member.index) == heir));
    let partly = part.run(who, command);
    assert_eq!(partly.status(), answer.status(), "{partly:?} instead of {answer:?}");
    let texts = |stage: &Stage| stage.record.as_ref().map(stored::render);
    if session.branch == after.record.as_ref().map_or(session.branch, |after| after.branch) {
        assert_eq!(texts(&part), texts(after), "M-95");
        if let (Some(part), Some(whole)) = (&part.record, &after.record) {
            let viewer = callers.first().copied();
            assert_eq!(large::document(part, viewer), large::document(whole, viewer));
        }
    }
}
