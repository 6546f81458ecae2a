//! Searches against what they mean: SQL finds what the filter keeps when it looks at one session after another, in the same order,
//! page by page.
//!
//! `OPENMPSD_SEARCHES` is the number of filters (2,000 when unset), `OPENMPSD_SEARCH_SEED` the first of their numbers; a failure names
//! the one that repeats it.

use std::cmp::Ordering;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use indexmap::IndexMap;

use super::*;
use crate::domain::filter::{Filter, Grammar, List, Order, OrderBy, Scalar, Subject as _, Value, laws, parse};
use crate::domain::listing::Listing;
use crate::domain::member;
use crate::domain::names::{Branch, HandleId, SessionName, SessionReference, TemplateName, TitleId, Xuid};
use crate::domain::roles::RoleTypes;
use crate::domain::search::{KeyValue, Listed, SearchKey};
use crate::domain::session::{Bag, Session};
use crate::domain::tests::dice::Dice;
use crate::json::{Json, Object};
use crate::store::columns::text_key;
use crate::store::{Beside, SearchAsk, Searched, projection};
use crate::wire::stored::{self, Stored};

const SESSIONS: u64 = 5000;
const SCIDS: [Uuid; 2] = [SCID, Uuid::from_u128(0x5f0c_1a52_7c1e_4b52_9d0e_0000_7a11_b0a8)];
const TEMPLATES: [&str; 2] = ["Browse", "x"];

fn object(text: &str) -> Object {
    match crate::json::parse(text.as_bytes(), 8) {
        Ok(Json::Object(fields)) => fields,
        other => panic!("{text}: {other:?}"),
    }
}

fn pick<T: Clone>(dice: &mut Dice, items: &[T]) -> T {
    items[usize::try_from(dice.roll() % items.len() as u64).unwrap()].clone()
}

fn some_texts(dice: &mut Dice) -> Json {
    (0..dice.roll() % 4).map(|_| Json::from(pick(dice, laws::TEXTS).to_lowercase())).collect()
}

/// The listed session of this number: few different values, so that many are equal.
fn listed(number: u64) -> Session {
    let mut dice = Dice::new(number, "listed");
    let dice = &mut dice;
    let name = |dice: &mut Dice| crate::json::Text::new(pick(dice, laws::NAMES));
    let strings: Object = (0..dice.roll() % 5).map(|_| (name(dice), pick(dice, laws::TEXTS).into())).collect();
    let number_of = |dice: &mut Dice| crate::json::parse(format!("{:e}", pick(dice, laws::NUMBERS)).as_bytes(), 1).unwrap();
    let numbers: Object = (0..dice.roll() % 5).map(|_| (name(dice), number_of(dice))).collect();
    let mut attributes = Object::new();
    attributes.insert("strings".into(), strings.into());
    attributes.insert("numbers".into(), numbers.into());
    attributes.insert("tags".into(), some_texts(dice));
    attributes.insert("achievementIds".into(), some_texts(dice));
    if dice.percent(60) {
        attributes.insert("locale".into(), pick(dice, &["en-US", "x", "É-b", "e"]).into());
    }
    let visibility = if dice.percent(5) { "private" } else { pick(dice, &["open", "visible"]) };
    let mut constants = object(r#"{"capabilities":{"hasOwners":true}}"#);
    constants.insert("visibility".into(), visibility.into());
    constants.insert("maxMembersCount".into(), pick(dice, &[1_u64, 4, 12]).into());
    let mut properties = object("{}");
    if dice.percent(40) {
        let at = pick(dice, &["2026-03-01T12:00:00.0000000Z", "2026-03-01T12:00:00.0010000Z", "0001-01-01T00:00:00.0000000Z"]);
        properties.insert("scheduledTime".into(), at.into());
    }
    properties.insert("keywords".into(), some_texts(dice));
    properties.insert("owners".into(), if dice.percent(50) { Json::from_iter([0_u64]) } else { Json::Array(Vec::new()) });
    let role = pick(dice, &["level", "map", "and"]).to_owned();
    let types =
        format!(r#"{{"{role}":{{"roles":{{"level":{{"max":{},"target":1}},"map":{{"max":2}}}}}}}}"#, pick(dice, &[1, 2, 9]));
    let (role_types, _) = RoleTypes::read(&object(&types).into(), true);
    let scid = pick(dice, &SCIDS);
    let members = (0..u32::try_from(dice.roll() % 5).unwrap())
        .map(|index| {
            let mut member = member::reserve(index, Xuid(u64::from(index) * 5 + dice.roll() % 3), Bag::default(), start());
            if dice.percent(50) {
                member.roles.insert(role.clone(), pick(dice, &["level", "map"]).to_owned());
            }
            Arc::new(member)
        })
        .collect();
    Session {
        reference: SessionReference {
            scid: scid.into(),
            template: TemplateName::parse(pick(dice, &TEMPLATES)).unwrap(),
            name: SessionName::parse(&format!("S{number}")).unwrap(),
        },
        branch: Branch(Uuid::from_u128(number.into())),
        change_number: 1,
        start_time: start(),
        constants: Arc::new(Bag { system: constants, custom: Json::object() }),
        properties: Bag { system: properties, custom: Json::object() },
        members,
        crowd: None,
        next_index: 5,
        listing: Some(Arc::new(Listing {
            id: HandleId(Uuid::from_u128(u128::from(number) << 64)),
            posted_at: DateTime::from_timestamp_micros(1_772_366_400_000_000 + pick(dice, &[0, 1, 1_000, 1_500_000])).unwrap(),
            owner: Xuid(1),
            title_id: if dice.percent(70) { Some(TitleId(pick(dice, &[0, 1, 12, u32::MAX]))) } else { None },
            attributes,
        })),
        role_types,
        servers: IndexMap::new(),
        initializing: None,
        host_candidates: Vec::new(),
        episodes: 0,
        empty_since: None,
        former: Vec::new(),
    }
}

/// What saves a new session with all that follows from it.
fn saving(session: &Session) -> SessionSave {
    let Stored { body, private } = stored::render(session);
    let row = projection::session_row(session, body.into(), private);
    let difference = projection::difference(&None, &Some(session.clone()));
    let timer = difference.timer;
    let mut save = create(row, difference.members.put);
    save.keywords = difference.keywords;
    save.timer = timer;
    save.search = difference.search;
    save
}

/// A search and where it looks.
#[derive(Debug)]
struct Case {
    filter: Option<Filter>,
    order: Order,
    beside: Beside,
    scopes: Vec<(Uuid, String)>,
    take: i64,
}

fn case(number: u64) -> Case {
    let mut dice = Dice::new(number, "search");
    let dice = &mut dice;
    let grammar = if dice.percent(50) { Grammar::Mpsd } else { Grammar::Extended };
    let by = if dice.percent(40) { OrderBy::Posted } else { OrderBy::Scalar(laws::scalar(dice)) };
    let users = |dice: &mut Dice| (0..dice.roll() % 3).map(|_| dice.roll() % 25).collect::<Vec<u64>>();
    let all = SCIDS.iter().flat_map(|scid| TEMPLATES.map(|template| (*scid, template.to_lowercase())));
    let all: Vec<_> = all.collect();
    Case {
        filter: if dice.percent(95) { Some(laws::numbered(number, grammar)) } else { None },
        order: Order { by, descending: dice.percent(50) },
        beside: Beside {
            members: if dice.percent(8) { Some(users(dice)) } else { None },
            owners: if dice.percent(8) { Some(users(dice)) } else { None },
            unblocked: if dice.percent(8) { vec![7] } else { Vec::new() },
            callers: Vec::new(),
        },
        scopes: if dice.percent(30) { all } else { vec![pick(dice, &all)] },
        take: pick(dice, &[1, 7, 100, 6000]),
    }
}

/// What a session is ordered by.
fn key(session: &Session, subject: &Listed, order: &Order) -> SearchKey {
    let value = match &order.by {
        OrderBy::Posted | OrderBy::Scalar(Scalar::PostedTime) => KeyValue::None,
        OrderBy::Scalar(scalar) => match subject.scalar(scalar) {
            None => KeyValue::None,
            Some(Value::Text(text)) => KeyValue::Text(text_key(&text).to_owned()),
            Some(Value::Number(number)) => KeyValue::Number(number),
            Some(Value::Instant(at)) => KeyValue::Number(crate::domain::listing::micros(at)),
        },
    };
    SearchKey { value, posted_at: session.listing.as_ref().unwrap().posted_at, sid: session.reference.sid() }
}

fn compare(one: &SearchKey, other: &SearchKey, descending: bool) -> Ordering {
    let values = match (&one.value, &other.value) {
        (KeyValue::None, KeyValue::None) => Ordering::Equal,
        (KeyValue::None, _) => return Ordering::Greater,
        (_, KeyValue::None) => return Ordering::Less,
        (KeyValue::Number(one), KeyValue::Number(other)) => one.partial_cmp(other).unwrap(),
        (KeyValue::Text(one), KeyValue::Text(other)) => one.cmp(other),
        _ => panic!("a number and a text"),
    };
    let order = values.then(one.posted_at.cmp(&other.posted_at)).then(one.sid.cmp(&other.sid));
    if descending { order.reverse() } else { order }
}

fn expected(sessions: &[(&Session, Listed)], case: &Case) -> Vec<SearchKey> {
    let keeps = |(session, subject): &&(&Session, Listed)| {
        let place = (session.reference.scid.id(), session.reference.template.key());
        let among = |users: &Option<Vec<u64>>, list| {
            let people = subject.list(list);
            users.as_ref().is_none_or(|users| people.iter().any(|xuid| users.contains(&xuid.parse().unwrap())))
        };
        let blocked = !case.beside.unblocked.is_empty() && subject.list(List::OwnerXuids).iter().any(|xuid| *xuid == "1");
        case.scopes.contains(&place)
            && session.visibility() != crate::domain::session::Visibility::Private
            && case.filter.as_ref().is_none_or(|filter| filter.matches(subject))
            && among(&case.beside.members, List::MemberXuids)
            && among(&case.beside.owners, List::OwnerXuids)
            && !blocked
    };
    let mut keys: Vec<SearchKey> =
        sessions.iter().filter(keeps).map(|(session, subject)| key(session, subject, &case.order)).collect();
    keys.sort_by(|one, other| compare(one, other, case.order.descending));
    keys
}

async fn check(store: &Store, sessions: &[(&Session, Listed<'_>)], number: u64) -> usize {
    let case = case(number);
    let all = expected(sessions, &case);
    let mut after: Option<SearchKey> = None;
    // Few pages tell whether they follow on each other.
    for page in 0..3 {
        let ask = SearchAsk {
            scopes: &case.scopes,
            filter: case.filter.as_ref(),
            beside: &case.beside,
            order: &case.order,
            after: after.as_ref(),
            take: case.take,
            with_body: false,
            most: 1 << 40,
        };
        let found = match store.search(ask).await {
            Ok(Searched::Found { rows, .. }) => rows.into_iter().map(|row| row.key).collect::<Vec<_>>(),
            other => panic!("OPENMPSD_SEARCH_SEED={number}: {other:?}\n{case:#?}"),
        };
        let take = usize::try_from(case.take).unwrap();
        let wanted: Vec<SearchKey> = all.iter().skip(page * take).take(take).cloned().collect();
        let text = case.filter.as_ref().map(ToString::to_string);
        assert!(
            found == wanted,
            "OPENMPSD_SEARCH_SEED={number}, page {page}: {text:?}\n{case:#?}\n{found:#?}\nis not\n{wanted:#?}"
        );
        if found.len() < take {
            break;
        }
        after = found.last().cloned();
    }
    all.len()
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the service")]
fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h82_h83_h84_sql_finds_what_the_filter_keeps() {
    let database = Database::new().await;
    let sessions: Vec<Session> = (0..SESSIONS).map(listed).collect();
    let saves: Vec<SessionSave> = sessions.iter().map(saving).collect();
    for outcome in database.store.save_sessions(&saves).await {
        outcome.unwrap();
    }
    database.store.put_block(1, 7).await.unwrap();
    let first = from_environment("OPENMPSD_SEARCH_SEED", 1);
    let count = from_environment("OPENMPSD_SEARCHES", 2000);
    let subjects: Vec<_> = sessions.iter().map(|session| (session, Listed::of(session, &[]).unwrap())).collect();
    let checks = stream::iter(first..first + count).map(|number| check(&database.store, &subjects, number));
    let found: Vec<usize> = checks.buffer_unordered(4).collect().await;
    let some = found.iter().filter(|found| (1..1000).contains(*found)).count() as u64;
    assert!(count < 100 || some * 4 > count, "too few of the filters keep some sessions and not all: {some} of {count}");
}

/// With sequential scans priced out, a plan that still has one had no other way.
#[tokio::test]
async fn every_search_takes_its_indexes() {
    let database = Database::new().await;
    let saves: Vec<SessionSave> = (0..500).map(|number| saving(&listed(number))).collect();
    for outcome in database.store.save_sessions(&saves).await {
        outcome.unwrap();
    }
    let all = "tags/any(t: t eq 'x') and strings/map ne 'x' and numbers/level ge 1 and language eq 'en' and
        session/memberXuids/any(m: m eq '1') and session/ownerXuids/any(m: m ne '2') and session/keywords/any(k: k gt 'e') and
        session/membersCount lt 9 and session/scheduledTime gt '2020-01-01T00:00:00Z' and session/templateName eq 'x'";
    let people = Beside { members: Some(vec![1, 2]), owners: Some(vec![3]), unblocked: vec![4], callers: vec![1] };
    for (filter, order, beside, walked, lists) in [
        (all, "numbers/level desc", &Beside::default(), "search_values_number", 0),
        (all, "strings/map", &people, "search_values_text", 0),
        (all, "Timestamp", &people, "search_", 0),
        ("tags/any(t: t eq 'x')", "Timestamp desc", &Beside::default(), "search_terms_posted", 1),
        ("tags/any(t: t ne 'x') and numbers/level ge 3", "numbers/level", &Beside::default(), "search_values_number", 0),
        (
            "language eq 'en' or session/postedTime ge '2020-01-01T00:00:00Z' and numbers/level eq 3",
            "",
            &people,
            "handles_posted",
            2,
        ),
    ] {
        let filter = parse(filter, Grammar::Mpsd).unwrap();
        let ask = SearchAsk {
            scopes: &[(SCID, "browse".to_owned()), (SCID, "x".to_owned())],
            filter: filter.as_ref(),
            beside,
            order: &Order::parse(Some(order)),
            after: None,
            take: 101,
            with_body: true,
            most: 40_000,
        };
        let plans = database.store.explain(ask).await;
        assert!(plans[1].contains(walked), "{order} does not walk {walked}:\n{}", plans[1]);
        // What has one value is read once and kept as a hash, unless there are many tests.
        assert_eq!(plans[1].matches("hashed SubPlan").count(), lists, "{}", plans[1]);
        for plan in plans {
            let whole = ["Seq Scan", "Hash Join", "Merge Join"].into_iter().find(|way| plan.contains(way));
            assert!(plan.contains("Index") && whole.is_none(), "{filter:?} may read a whole table:\n{plan}");
            // A bitmap of the rows of one session is as good as anything.
            let lines: Vec<&str> = plan.lines().collect();
            for bitmap in lines.windows(2).filter(|lines| lines[0].contains("Bitmap Index Scan")) {
                assert!(bitmap[1].contains("(sid = "), "{filter:?} may read a whole index:\n{plan}");
            }
        }
    }
}

/// However many service configs and templates are searched, a walk takes few statements.
#[tokio::test]
async fn h71_many_places_are_walked_in_few_statements() {
    let database = Database::new().await;
    let mut saves = Vec::new();
    let mut scopes = Vec::new();
    for place in 0..12 {
        let template = TemplateName::parse(&format!("T{place}")).unwrap();
        scopes.push((SCID, template.key()));
        for number in 0..40 {
            let mut session = listed(place * 40 + number);
            session.reference.scid = SCID.into();
            session.reference.template = template.clone();
            Arc::make_mut(&mut session.constants).system.insert("visibility".into(), "open".into());
            saves.push(saving(&session));
        }
    }
    for outcome in database.store.save_sessions(&saves).await {
        outcome.unwrap();
    }
    let filter =
        parse("tags/any(t: t ne 'x') and session/membersCount ge 100 and strings/map ne 'nowhere'", Grammar::Mpsd).unwrap();
    let not = Filter::not(parse("session/membersCount ge 0", Grammar::Mpsd).unwrap().unwrap());
    for filter in [filter, Some(not)] {
        let ask = SearchAsk {
            scopes: &scopes,
            filter: filter.as_ref(),
            beside: &Beside::default(),
            order: &Order::parse(Some("Timestamp")),
            after: None,
            take: 100,
            with_body: false,
            most: 40_000,
        };
        let walked = database.store.walk_statements(ask).await;
        assert!(walked <= 12, "{walked} statements for 480 sessions in 12 places");
    }
}
