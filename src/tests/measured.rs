//! What is measured: the functions that requests spend their time in, each on a typical session of four members, and where members
//! matter on one of a hundred.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use super::heap::{Asked, count};
use super::typical::{DEPTH, LEAVES, Typical, UPDATE, connection, creates, evening, joins, later, player, write, xuid};
use crate::auth::{KeySet, Rules, SigningKey, Terms, Verifier};
use crate::domain::access;
use crate::domain::change;
use crate::domain::filter::{Grammar, parse};
use crate::domain::session::{Record, Session};
use crate::domain::timers;
use crate::http::route::Route;
use crate::notify::{Parcel, Tap};
use crate::rta::{Machine, Terms as SocketTerms};
use crate::store::projection;
use crate::wire::hindsight::{Since, Turn, could_read};
use crate::wire::stored::Stored;
use crate::wire::{delta, request, stored, view};

/// Sessions are measured with so many members.
const SIZES: [usize; 2] = [4, 100];

const FILTER: &str = "session/roles/class/scout/needs ge 1 and strings/map eq 'harbor' and (numbers/level gt 30 or \
    tags/any(d:d eq 'ranked')) and not session/keywords/any(d:d in ('closed', 'full'))";

const PATH: &str = "/serviceconfigs/5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7/sessionTemplates/Conquest/sessions/\
    0d9e6c1e-5a44-4f7b-9a3c-6f0f6d1c2b11";

/// One thing that is measured.
pub(super) struct Case {
    /// What is done.
    pub name: &'static str,
    /// How many members the session has that it is done to.
    pub members: usize,
    /// Does it once, and tells what it asked for.
    pub measure: Box<dyn Fn() -> Asked>,
}

fn case<T>(name: &'static str, members: usize, work: impl Fn() -> T + 'static) -> Case {
    Case { name, members, measure: Box::new(move || count(&work)) }
}

/// The same for what uses something up, which is made anew each time and not counted.
fn case_with<I, T>(name: &'static str, members: usize, input: impl Fn() -> I + 'static, work: impl Fn(I) -> T + 'static) -> Case {
    let measure = move || {
        let input = input();
        count(|| work(input))
    };
    Case { name, members, measure: Box::new(measure) }
}

fn of(record: &Record) -> &Session {
    record.as_ref().expect("there is a session")
}

/// Everything that is measured, in the order of a request's way.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = at_the_door();
    for find in [reading, timing, deciding, telling] {
        for members in SIZES {
            cases.extend(find(members));
        }
    }
    cases.extend(beside_sessions());
    // What belongs together stands together, smaller sessions first.
    let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    cases.sort_by_key(|case| (names.iter().position(|name| *name == case.name), case.members));
    cases
}

/// What requests begin with, before there is a session.
fn at_the_door() -> Vec<Case> {
    let body = creates();
    let (nothing, creation) = (Typical::yet_to_be_made(), write(&body));
    vec![
        case("find a route", 0, || Route::find(PATH).expect("it is a route")),
        known_token(),
        case("read the body of a creation", 0, move || request::read_delta(body.as_bytes(), DEPTH).expect("it is well-formed")),
        case("read the body of an update", 0, || request::read_delta(UPDATE.as_bytes(), DEPTH).expect("it is well-formed")),
        case("decide a creation", 0, move || nothing.decide(&creation, &player(1))),
    ]
}

/// A token that was verified a moment ago.
fn known_token() -> Case {
    let folder = std::env::temp_dir().join(format!("openmpsd-guard-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let key = SigningKey::open(&folder).expect("a key can be made");
    let _ = std::fs::remove_dir_all(&folder);
    let rules = Rules { issuer: "openmpsd".into(), audience: "openmpsd".into(), leeway: TimeDelta::seconds(60) };
    let terms = Terms {
        issuer: rules.issuer.clone(),
        audience: rules.audience.clone(),
        issued_at: evening(),
        lifetime: Duration::from_hours(8),
    };
    let header = format!("XBL3.0 x=*;{}", key.issue(&player(1), &terms));
    let verifier = Verifier::new(KeySet::generated(&key), rules, 1 << 20);
    verifier.verify(Some(&header), evening()).expect("the token is good");
    case("verify a known token", 0, move || verifier.verify(Some(&header), evening()).expect("the token is good"))
}

/// From texts to a session and back, and who may read it.
fn reading(members: usize) -> Vec<Case> {
    let typical = Rc::new(Typical::of(members));
    let texts = Rc::new(typical.texts());
    let (for_reading, for_view) = (Rc::clone(&texts), Rc::clone(&texts));
    let (reader, for_rendering, for_access) = (Rc::clone(&typical), Rc::clone(&typical), typical);
    let read = move || {
        let Stored { body, private } = &*for_reading;
        stored::read(&reader.reference, body, private).expect("what is rendered can be read")
    };
    // A member, one whom a member follows, and a stranger.
    let readers = [1, members + 1, members + 2].map(player);
    let judge = move || {
        let may_read = |reader| access::may_read(of(&for_access.record), reader, &for_access.facts);
        readers.each_ref().map(may_read)
    };
    assert_eq!(judge(), [true, true, false]);
    vec![
        case("judge three readers", members, judge),
        case("read what is stored", members, read),
        case("render what is stored", members, move || for_rendering.texts()),
        case_with(
            "render for contract version 105",
            members,
            move || for_view.body.clone(),
            |body| view::rendered(body, 5).expect("it is a document"),
        ),
    ]
}

fn timing(members: usize) -> Vec<Case> {
    let quiet = Rc::new(Typical::of(members));
    let due = Rc::clone(&quiet);
    assert!(timers::settle(&quiet.record, evening()).is_none());
    assert!(timers::settle(&quiet.record, later()).is_some());
    vec![
        case("settle when nothing is due", members, move || timers::settle(&quiet.record, evening())),
        case("settle when a reservation ends", members, move || timers::settle(&due.record, later())),
    ]
}

/// Decisions alone, and a whole round of one: from what the store gives to what it is given.
fn deciding(members: usize) -> Vec<Case> {
    let typical = Rc::new(Typical::of(members));
    // Who joins is among the members that are counted: no session holds more than a hundred.
    let fewer = Rc::new(Typical::of(members - 1));
    let decide = |name, typical: &Rc<Typical>, body: &str, number| {
        let (typical, command, principal) = (Rc::clone(typical), write(body), player(number));
        case(name, members, move || typical.decide(&command, &principal))
    };
    let round = |name, typical: &Rc<Typical>, body: &str, number| {
        let round = typical.round(write(body), player(number));
        case(name, members, move || round.go())
    };
    vec![
        decide("decide an update", &typical, UPDATE, 1),
        decide("decide a join", &fewer, &joins(members), members),
        decide("decide a leave", &typical, LEAVES, 2),
        round("whole round of an update", &typical, UPDATE, 1),
        round("whole round of a join", &fewer, &joins(members), members),
        round("whole round of a leave", &typical, LEAVES, 2),
    ]
}

/// What an update leaves behind: for the log, for taps, for the rows beside the document.
fn telling(members: usize) -> Vec<Case> {
    let typical = Typical::of(members);
    let after = typical.decide(&write(UPDATE), &player(1)).after;
    let states = Rc::new((typical.record, after));
    let (for_change, for_rows) = (Rc::clone(&states), Rc::clone(&states));
    vec![
        case("find what a change means for taps", members, move || change::between(&for_change.0, &for_change.1)),
        case("render a difference for the log", members, move || delta::between(of(&states.0), of(&states.1))),
        case("find the rows that change", members, move || projection::difference(&for_rows.0, &for_rows.1)),
    ]
}

fn beside_sessions() -> Vec<Case> {
    let filter = parse(FILTER, Grammar::Extended).expect("it is a filter").expect("it is not empty");
    let etag = of(&Typical::of(4).record).etag();
    vec![
        hindsight(),
        case("format an entity tag", 0, move || etag.to_string()),
        case("parse a filter", 0, || parse(FILTER, Grammar::Extended)),
        case("print a filter", 0, move || filter.to_string()),
        case_with(
            "answer a frame of a socket",
            0,
            || Machine::new(xuid(1), terms(), evening()),
            |mut machine| machine.on_text(SUBSCRIBES, evening()),
        ),
        case_with("tell a tap on a socket", 0, connected, |(mut machine, parcel)| machine.on_parcel(&parcel)),
    ]
}

/// Whether a member could read every state that it has not been told of yet, by four changes.
fn hindsight() -> Case {
    let typical = Typical::of(4);
    let change = |body: &str, number| {
        let after = typical.decide(&write(body), &player(number)).after;
        delta::between(of(&typical.record), of(&after))
    };
    let changes =
        [change(UPDATE, 1), change(&joins(5), 5), change(r#"{"properties":{"system":{"closed":true}}}"#, 1), change(LEAVES, 3)];
    let (body, reader) = (typical.texts().body, player(1));
    case("judge in hindsight", 4, move || {
        let turns: Vec<Turn> =
            changes.iter().zip(2..).map(|(delta, number)| Turn::of(number, Some(delta), None, &reader)).collect();
        could_read(&body, &reader, Since { number: 1, judged: true }, &turns)
    })
}

/// Asks for the socket's connection id.
const SUBSCRIBES: &str = r#"[1,1,"https://sessiondirectory.xboxlive.com/connections/"]"#;

fn terms() -> SocketTerms {
    SocketTerms {
        tick: TimeDelta::seconds(5),
        ping_interval: TimeDelta::seconds(10),
        idle: TimeDelta::seconds(20),
        ends_at: evening() + TimeDelta::hours(2),
        token_until: evening() + TimeDelta::hours(8),
        subscriptions_max: 1000,
    }
}

/// A socket with a subscription, and what waits for it.
fn connected() -> (Machine, Parcel) {
    let mut machine = Machine::new(xuid(1), terms(), evening());
    machine.on_text(SUBSCRIBES, evening());
    machine.on_opened::<()>(Ok(connection(1)));
    let etag = of(&Typical::of(4).record).etag();
    let tap = Tap {
        at: evening(),
        subscription: "6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01".into(),
        resource: Arc::from("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7~conquest~0d9e6c1e-5a44-4f7b-9a3c-6f0f6d1c2b11"),
        sid: uuid::Uuid::nil(),
        branch: etag.branch,
        change_number: etag.change_number,
    };
    (machine, Parcel { taps: vec![tap], ..Parcel::default() })
}
