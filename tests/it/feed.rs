//! The change feed of a session: what it tells to whom, and from where it goes on (docs/feed.md).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openmpsd::ambient::Ids;
use openmpsd::directory::Directory;
use openmpsd::directory::feed::{Batch, Opened, Then};
use openmpsd::domain::names::{Scid, SessionName, SessionReference, TemplateName};
use openmpsd::domain::principal::Principal;
use openmpsd::http::{FeedRules, Rules};
use openmpsd::store::{Store, StoreOptions};
use openmpsd::wire::feed::read_id;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Actor, Answer, Choices, SCID, World, joining, player, session};
use crate::proxy::Proxy;
use crate::story::{active, creating, leaving, open, reserving, sql};

/// Nobody waits longer than this for anything.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.unwrap_or_else(|_| panic!("nothing came: {what}"))
}

/// A reader of server-sent events.
struct Reader {
    response: Response,
    text: String,
}

#[derive(Debug)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

impl Event {
    #[track_caller]
    fn expect(self, name: &str, number: u64) -> Self {
        assert_eq!((self.name.as_str(), &self.data["changeNumber"]), (name, &json!(number)), "{self:?}");
        let id = format!("{}.{number}", self.data["branch"].as_str().expect("a branch is text"));
        assert_eq!(self.id, Some(id), "{self:?}");
        self
    }

    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_else(|| panic!("no id: {self:?}"))
    }

    fn delta(&self) -> &Value {
        &self.data["delta"]
    }
}

async fn ask(actor: &Actor, path: &str, last: Option<&str>) -> Response {
    let header = last.map(|id| ("Last-Event-ID", id));
    soon("headers", actor.ask(Method::GET, &format!("{path}/changes"), header.as_slice(), None)).await
}

/// An answer that is no stream.
async fn refused(actor: &Actor, path: &str, last: Option<&str>) -> Answer {
    let response = ask(actor, path, last).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert_ne!(status, 200);
    Answer { status, headers, text: soon("the text", response.text()).await.expect("the body is text") }
}

async fn follow(actor: &Actor, path: &str, last: Option<&str>) -> Reader {
    let response = ask(actor, path, last).await;
    assert_eq!(response.status().as_u16(), 200, "{path}");
    let mut reader = Reader { response, text: String::new() };
    assert_eq!(reader.block().await.as_deref(), Some(": open"));
    reader
}

impl Reader {
    /// The next lines up to an empty one; nothing at the end of the stream.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = soon("a chunk", self.response.chunk()).await.expect("the stream is whole")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("events are UTF-8"));
        }
    }

    async fn next(&mut self) -> Event {
        loop {
            let block = self.block().await.expect("there is another event");
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            assert_eq!(block.lines().filter(|line| line.starts_with("data: ")).count(), 1, "{block}");
            return Event {
                id: field("id: "),
                name: field("event: ").expect("an event has a name"),
                data: serde_json::from_str(&field("data: ").expect("an event has data")).expect("data is JSON"),
            };
        }
    }

    async fn ends(&mut self) {
        while let Some(block) = self.block().await {
            assert!(block.starts_with(':'), "{block}");
        }
    }
}

/// Applies a delta to a document as its reader does (W-10): a field is given as a whole, a `null` field is gone.
fn apply(document: &mut Value, delta: &Value) {
    for (name, value) in delta.as_object().expect("a delta is an object") {
        match name.as_str() {
            "members" => each(&mut document[name], value, |entry, change| {
                each(entry, change, |part, change| each(part, change, |bag, change| each(bag, change, put)));
            }),
            "properties" => each(&mut document[name], value, |bag, change| each(bag, change, put)),
            "servers" => each(&mut document[name], value, put),
            _ => each(document, &json!({ name: value }), put),
        }
    }
}

fn put(target: &mut Value, value: &Value) {
    *target = value.clone();
}

/// Goes through the fields of a change: `null` takes a field away, what is new or no object is put, the rest goes on with `then`.
fn each(target: &mut Value, change: &Value, mut then: impl FnMut(&mut Value, &Value)) {
    let (Value::Object(fields), Value::Object(changes)) = (&mut *target, change) else { return put(target, change) };
    for (name, value) in changes {
        match fields.get_mut(name) {
            _ if value.is_null() => drop(fields.remove(name)),
            Some(field) => then(field, value),
            None => drop(fields.insert(name.clone(), value.clone())),
        }
    }
}

/// A PUT that sets a custom property of the session.
fn custom(name: &str, value: &Value) -> Value {
    json!({"properties": {"custom": {name: value}}})
}

/// A private session.
fn private() -> Value {
    creating(&json!({"visibility": "private"}), &json!({}))
}

async fn document(actor: &Actor, path: &str) -> Value {
    actor.get(path).await.expect(200).json()
}

#[tokio::test]
async fn w10_deltas_lead_from_the_snapshot_to_the_document() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let path = session("Card", "foo");
    ada.put(&path, &active()).await.expect(201);
    let response = ask(&ada, &path, None).await;
    let header = |name: &str| response.headers()[name].to_str().expect("headers are ASCII").to_owned();
    let headers = ["content-type", "cache-control", "x-accel-buffering"].map(header);
    assert_eq!(headers, ["text/event-stream", "no-store", "no"]);
    let mut reader = follow(&ada, &path, None).await;
    let first = reader.next().await.expect("snapshot", 1);
    let mut known = first.delta().clone();
    assert_eq!(known, document(&ada, &path).await);

    let writes: [(&Actor, Value); 9] = [
        (&ada, custom("map", &json!({"name": "harbor\n", "size": 9_007_199_254_740_993_u64}))),
        (&bo, joining("ready")),
        (&bo, json!({"members": {"me": {"properties": {"custom": {"team": "red", "rank": 4}}}}})),
        (&ada, json!({"properties": {"system": {"keywords": ["eu"], "closed": true}, "custom": {"map": null}}})),
        (&bo, json!({"members": {"me": {"properties": {"custom": {"team": null}, "system": {"active": true}}}}})),
        (&ada, json!({"properties": {"custom": {"a": [1, {"b": null}]}, "system": {"closed": null, "keywords": null}}})),
        (&ada, reserving(&[3, 4])),
        (&bo, leaving()),
        (&ada, custom("last", &json!("word"))),
    ];
    let mut kinds = Vec::new();
    for (number, (actor, body)) in (2..).zip(&writes) {
        world.pass(10);
        actor.put(&path, body).await.expect(200);
        let event = reader.next().await.expect("change", number);
        assert_eq!((&event.data["cause"], event.data.get("actor")), (&json!("request"), None));
        apply(&mut known, event.delta());
        assert_eq!(known, document(&ada, &path).await, "after {body}");
        kinds.push(event.data["changeTypes"].clone());
    }
    assert_eq!(kinds[0], json!(["customProperty"]));
    assert_eq!(kinds[1], json!(["membersList", "membersStatus"]));
    assert_eq!(kinds[3], json!(["joinability", "customProperty"]));
    drop(response);
    world.end().await;
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was() {
    let world = World::new().await;
    let ada = world.user(1);
    let path = open("foo");
    ada.put(&path, &active()).await.expect(201);
    let mut reader = follow(&ada, &path, None).await;
    let mut known = reader.next().await.expect("snapshot", 1).delta().clone();
    ada.put(&path, &custom("n", &json!(2))).await.expect(200);
    let last = reader.next().await.expect("change", 2);
    apply(&mut known, last.delta());
    drop(reader);
    // More than a page, and in another case.
    for n in 3..=230 {
        ada.put(&path, &custom("n", &json!(n))).await.expect(200);
    }
    let shouted = session("OPEN", "FOO").replace("/sessionTemplates/", "/SESSIONTEMPLATES/");
    let mut reader = follow(&ada, &shouted, Some(last.id())).await;
    for n in 3..=230 {
        apply(&mut known, reader.next().await.expect("change", n).delta());
    }
    assert_eq!(known, document(&ada, &path).await);
    let (branch, _) = last.id().split_once('.').expect("an id has two parts");
    // Those who cannot set headers, and one who has it all already.
    let query = format!("{path}/CHANGES?lastEventId={branch}.229");
    let response = soon("headers", ada.ask(Method::GET, &query, &[], None)).await;
    let mut second = Reader { response, text: String::new() };
    second.next().await.expect("change", 230);
    let mut third = follow(&ada, &path, Some(&format!("{branch}.230"))).await;
    ada.put(&path, &custom("n", &json!("end"))).await.expect(200);
    for reader in [&mut reader, &mut second, &mut third] {
        let event = reader.next().await.expect("change", 231);
        assert_eq!(event.delta()["properties"]["custom"], json!({"n": "end"}));
    }
    drop((reader, second, third));
    world.end().await;
}

#[tokio::test]
async fn a_reader_goes_on_across_lives() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let path = open("foo");
    let mut id = String::new();
    for life in 1..=3 {
        world.pass(1000);
        let body =
            json!({"properties": {"custom": {"life": life}}, "members": {"me": {"properties": {"system": {"active": true}}}}});
        let created = ada.put(&path, &body).await.expect(201).etag();
        if life == 1 {
            id = created.trim_matches('"').to_owned();
        }
        ada.put(&path, &custom("more", &json!(life))).await.expect(200);
        if life < 3 {
            world.pass(1000);
            ada.put(&path, &leaving()).await.expect(204);
        }
    }
    let mut reader = follow(&bo, &path, Some(&id)).await;
    let mut known = json!({});
    for life in 1..=3 {
        if life > 1 {
            let first = reader.next().await.expect("change", 1);
            known = first.delta().clone();
            assert_eq!(known["properties"]["custom"]["life"], life);
        }
        let event = reader.next().await.expect("change", 2);
        assert_eq!(event.delta()["properties"]["custom"], json!({"more": life}));
        if life == 3 {
            apply(&mut known, event.delta());
            break;
        }
        let ended = reader.next().await.expect("deleted", 3);
        assert_eq!((ended.data.get("delta"), &ended.data["cause"]), (None, &json!("request")));
        id = ended.id().to_owned();
    }
    assert_eq!(known, document(&ada, &path).await);

    // The end of a life is a state to go on from as well.
    let mut other = follow(&bo, &path, Some(&id)).await;
    other.next().await.expect("change", 1);
    other.next().await.expect("change", 2);
    ada.put(&path, &leaving()).await.expect(204);
    for reader in [&mut reader, &mut other] {
        id = reader.next().await.expect("deleted", 3).id().to_owned();
        reader.ends().await;
    }
    // Nothing is left to tell: a reader that comes back by itself is to stop.
    for last in [Some(id.as_str()), None, Some("c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11.1")] {
        assert_eq!(refused(&bo, &path, last).await.status, 204, "{last:?}");
    }
    drop((reader, other));
    world.end().await;
}

#[tokio::test]
async fn a_feed_tells_everything_once_though_the_database_fails() {
    let world = World::new().await;
    let ada = world.user(1);
    let (path, mut id) = (open("foo"), None);
    for _ in 1..=3 {
        world.pass(1000);
        let tag = ada.put(&path, &active()).await.expect(201).etag();
        id = id.or_else(|| read_id(tag.trim_matches('"')));
        ada.put(&path, &custom("more", &json!(1))).await.expect(200);
        world.pass(1000);
        ada.put(&path, &leaving()).await.expect(204);
    }
    ada.put(&path, &active()).await.expect(201);
    let proxy = Proxy::start(world.database.url(), 7, 0);
    let second = Duration::from_secs(1);
    let options = StoreOptions { connect: proxy.options(), pool_max: 2, statement_timeout: second, acquire_timeout: second };
    let store = Store::connect(options).await.expect("the database is there");
    let directory = Arc::new(Directory::start(store, world.clock.clone(), Ids::random(), Choices::default().options));
    directory.ready().await.expect("the database is there");
    let reader = Arc::new(Principal::User(player(2)));
    for _ in 0..10 {
        let opened = directory.open_feed(&reference("Open", "foo"), &reader, id).await.expect("the database answers");
        let Opened::Feed(mut feed, Batch { mut then, .. }) = opened else { panic!("it is all in the log") };
        // Of a thousand statements that read, four hundred go wrong.
        proxy.set_permille(4000);
        let mut told = Vec::new();
        while then == Then::Go {
            match directory.follow_feed(&mut feed).await {
                Ok(batch) => {
                    then = batch.then;
                    told.extend(batch.events.into_iter().filter_map(|event| event.id.map(|id| id.change_number)));
                }
                Err(error) => assert!(error.is_temporary(), "{error:?}"),
            }
        }
        proxy.mend();
        assert_eq!(told, [2, 3, 1, 2, 3, 1, 2, 3, 1]);
    }
    assert!(proxy.fault_count() > 10);
    directory.store().close().await;
    drop((directory, proxy));
    world.end().await;
}

#[tokio::test]
async fn what_is_not_known_any_more_cannot_be_resumed() {
    let world = World::new().await;
    let ada = world.user(1);
    let path = open("foo");
    let tag = ada.put(&path, &active()).await.expect(201).etag();
    let id = tag.trim_matches('"').to_owned();
    let (branch, _) = id.split_once('.').expect("an id has two parts");
    world.pass(3 * 86_400_000);
    world.store.ensure_partitions(world.clock.now()).await.expect("partitions are made");
    ada.put(&path, &custom("n", &json!(2))).await.expect(200);
    world.pass(2 * 86_400_000);
    world.store.ensure_partitions(world.clock.now()).await.expect("partitions are made");
    ada.put(&path, &custom("n", &json!(3))).await.expect(200);
    world.store.drop_partitions(world.clock.now()).await.expect("partitions are dropped");
    for last in [&id, "c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11.1"] {
        let gone = refused(&ada, &path, Some(last)).await.expect(410);
        assert!(gone.text.starts_with("Last-Event-ID: "), "{gone:?}");
    }
    follow(&ada, &path, Some(&format!("{branch}.2"))).await.next().await.expect("change", 3);
    follow(&ada, &path, None).await.next().await.expect("snapshot", 3);

    // Of a life whose beginning is forgotten, nobody can tell who could read it: only that it is over.
    ada.put(&path, &leaving()).await.expect(204);
    let mut reader = follow(&ada, &path, Some(&format!("{branch}.2"))).await;
    reader.next().await.expect("deleted", 4);
    reader.ends().await;
    drop(reader);
    world.end().await;
}

#[tokio::test]
async fn ids_that_make_no_sense_are_refused() {
    let world = World::new().await;
    let ada = world.user(1);
    let path = open("foo");
    let tag = ada.put(&path, &active()).await.expect(201).etag();
    let (branch, _) = tag.trim_matches('"').split_once('.').expect("a tag has two parts");
    for last in ["x", "1", branch, &format!("{branch}."), &format!("{branch}.-1"), &format!("{branch}.2"), "x.1"] {
        let refused = refused(&ada, &path, Some(last)).await.expect(400);
        assert!(refused.text.starts_with("Last-Event-ID: "), "{refused:?}");
        let refused = ada.get(&format!("{path}/changes?lasteventid={last}")).await.expect(400);
        assert!(refused.text.starts_with("?lastEventId=: "), "{refused:?}");
    }
    let gone = ada.get(&format!("{path}/changes?lastEventId=c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11.1")).await.expect(410);
    assert!(gone.text.starts_with("?lastEventId=: ") && gone.text.ends_with("without it"), "{gone:?}");
    follow(&ada, &path, Some(&format!("{branch}.0"))).await.next().await.expect("change", 1);
    world.end().await;
}

#[tokio::test]
async fn a_feed_asks_for_what_a_read_asks_for() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let path = open("foo");
    let tag = ada.put(&path, &private()).await.expect(201).etag();
    let id = tag.trim_matches('"');
    assert_eq!(refused(&world.nobody(), &path, None).await.status, 401);
    assert_eq!(refused(&bo, &path, None).await.status, 403);
    assert_eq!(refused(&bo, &path, Some(id)).await.status, 403);
    assert_eq!(refused(&ada, &session("Nowhere", "foo"), None).await.status, 404);
    assert_eq!(refused(&ada, &open("bar"), None).await.status, 204);
    let without = ada.clone().with("X-Xbl-Contract-Version", "");
    assert_eq!(refused(&without, &path, None).await.status, 400);
    ada.put(&format!("{path}/changes"), &json!({})).await.expect(405);
    follow(&world.server(), &path, None).await.next().await.expect("snapshot", 1);
    world.end().await;
}

#[tokio::test]
async fn a10_who_loses_the_right_is_told_nothing_more() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let (closed, restricted) = (open("closed"), open("restricted"));
    ada.put(&closed, &private()).await.expect(201);
    ada.put(&closed, &reserving(&[2])).await.expect(200);
    ada.put(&restricted, &active()).await.expect(201);
    let mut reader = follow(&bo, &closed, None).await;
    let id = reader.next().await.expect("snapshot", 2).id().to_owned();
    let mut stranger = follow(&cy, &restricted, None).await;
    stranger.next().await.expect("snapshot", 1);
    let mut member = follow(&ada, &restricted, None).await;
    member.next().await.expect("snapshot", 1);

    bo.put(&closed, &leaving()).await.expect(200);
    ada.put(&closed, &custom("secret", &json!(1))).await.expect(200);
    ada.put(&restricted, &json!({"properties": {"system": {"joinRestriction": "followed", "readRestriction": "followed"}}}))
        .await
        .expect(200);
    for reader in [&mut reader, &mut stranger] {
        let event = reader.next().await;
        assert_eq!((event.name.as_str(), &event.data, &event.id), ("denied", &json!({}), &None));
        reader.ends().await;
    }
    member.next().await.expect("change", 2);
    assert_eq!(refused(&bo, &closed, Some(&id)).await.status, 403);

    // When the session is over, its end is all that is told to those who had no right any more; others are told everything.
    ada.put(&closed, &leaving()).await.expect(204);
    let mut late = follow(&bo, &closed, Some(&id)).await;
    late.next().await.expect("deleted", 5);
    late.ends().await;
    let mut owner = follow(&ada, &closed, Some(&id)).await;
    owner.next().await.expect("change", 3);
    let secret = owner.next().await.expect("change", 4);
    assert_eq!(secret.delta()["properties"]["custom"], json!({"secret": 1}));
    owner.next().await.expect("deleted", 5);
    owner.ends().await;
    drop((reader, stranger, member, late, owner));
    world.end().await;
}

fn reference(template: &str, name: &str) -> SessionReference {
    SessionReference {
        scid: Scid::parse(SCID).expect("the scid is a GUID"),
        template: TemplateName::parse(template).expect("it names a template"),
        name: SessionName::parse(name).expect("it names a session"),
    }
}

/// Numbers of the events of a stream up to one.
async fn told_up_to(reader: &mut Reader, last: u64) -> Vec<u64> {
    let mut told = Vec::new();
    while told.last() != Some(&last) {
        told.push(reader.next().await.data["changeNumber"].as_u64().expect("a change has a number"));
    }
    told
}

#[tokio::test]
async fn a10_nobody_goes_on_through_what_could_not_be_read_then() {
    let world = World::new().await;
    let (ada, bo, cy) = (world.user(1), world.user(2), world.user(3));
    let (closed, restricted) = (open("closed"), open("restricted"));
    let begun = async |path: &str, body: &Value| {
        let tag = ada.put(path, body).await.expect(201).etag();
        tag.trim_matches('"').split_once('.').expect("a tag has two parts").0.to_owned()
    };
    // Whoever comes in later learns nothing of what was before.
    let branch = begun(&closed, &private()).await;
    ada.put(&closed, &custom("secret", &json!(1))).await.expect(200);
    ada.put(&closed, &reserving(&[2])).await.expect(200);
    ada.put(&closed, &custom("secret", &json!(null))).await.expect(200);
    ada.put(&closed, &reserving(&[3])).await.expect(200);
    let id = |number: u64| format!("{branch}.{number}");
    for number in 0..=2 {
        let gone = refused(&bo, &closed, Some(&id(number))).await.expect(410);
        assert!(gone.text.contains("could not read"), "{gone:?}");
    }
    assert_eq!(told_up_to(&mut follow(&bo, &closed, Some(&id(3))).await, 5).await, [4, 5]);
    assert_eq!(refused(&cy, &closed, Some(&id(4))).await.status, 410);
    for everything in [&ada, &world.server()] {
        assert_eq!(told_up_to(&mut follow(everything, &closed, Some(&id(0))).await, 5).await, [1, 2, 3, 4, 5]);
    }

    // A restriction hides what happened under it after it is gone.
    let restrict = |to: Value| json!({"properties": {"system": {"joinRestriction": to, "readRestriction": to}}});
    let branch = begun(&restricted, &active()).await;
    let id = |number: u64| format!("{branch}.{number}");
    ada.put(&restricted, &custom("plain", &json!(1))).await.expect(200);
    assert_eq!(told_up_to(&mut follow(&cy, &restricted, Some(&id(0))).await, 2).await, [1, 2]);
    ada.put(&restricted, &restrict(json!("followed"))).await.expect(200);
    ada.put(&restricted, &custom("secret", &json!(1))).await.expect(200);
    ada.put(&restricted, &restrict(json!("none"))).await.expect(200);
    ada.put(&restricted, &custom("plain", &json!(2))).await.expect(200);
    for number in 0..=4 {
        assert_eq!(refused(&cy, &restricted, Some(&id(number))).await.status, 410, "{number}");
    }
    assert_eq!(told_up_to(&mut follow(&cy, &restricted, Some(&id(5))).await, 6).await, [6]);
    assert_eq!(told_up_to(&mut follow(&ada, &restricted, Some(&id(0))).await, 6).await, [1, 2, 3, 4, 5, 6]);
    world.end().await;
}

#[tokio::test]
async fn a10_a_feed_that_lost_the_right_and_has_it_again_begins_anew() {
    let world = World::new().await;
    let ada = world.user(1);
    let path = open("foo");
    ada.put(&path, &active()).await.expect(201);
    let (directory, reference) = (&world.running.directory, reference("Open", "foo"));
    let stranger = Arc::new(Principal::User(player(9)));
    let opened = directory.open_feed(&reference, &stranger, None).await.expect("the database answers");
    let Opened::Feed(mut feed, first) = opened else { panic!("the session is there") };
    assert_eq!(first.events[0].name, "snapshot");
    let names = |batch: &Batch| batch.events.iter().map(|event| event.name).collect::<Vec<_>>();

    // What is no matter of rights is told however much there is of it.
    for n in 0..3 {
        ada.put(&path, &custom("n", &json!(n))).await.expect(200);
    }
    world.user(2).put(&path, &joining("active")).await.expect(200);
    let batch = directory.follow_feed(&mut feed).await.expect("the database answers");
    assert_eq!((names(&batch), batch.then), (vec!["change"; 4], Then::Wait));

    for restriction in ["local", "none"] {
        let system = json!({"joinRestriction": restriction, "readRestriction": restriction});
        ada.put(&path, &json!({"properties": {"system": system}})).await.expect(200);
    }
    let batch = directory.follow_feed(&mut feed).await.expect("the database answers");
    assert_eq!((names(&batch), batch.then), (vec!["snapshot"], Then::Wait));
    ada.put(&path, &custom("n", &json!("end"))).await.expect(200);
    let batch = directory.follow_feed(&mut feed).await.expect("the database answers");
    assert_eq!(names(&batch), ["change"]);
    world.end().await;
}

#[tokio::test]
async fn a01_a_feed_ends_with_its_token() {
    let choices = Choices::default();
    let feeds = FeedRules { heartbeat: Duration::from_millis(100), ..choices.rules.feeds.clone() };
    let rules = Rules { feeds, ..choices.rules };
    let world = World::with(Choices { rules, ..choices }).await;
    let ada = world.user(1);
    let path = open("foo");
    ada.put(&path, &active()).await.expect(201);
    let mut reader = follow(&ada, &path, None).await;
    reader.next().await.expect("snapshot", 1);
    for _ in 0..3 {
        assert_eq!(reader.block().await.as_deref(), Some(": still here"));
    }
    world.clock.advance_real(Duration::from_hours(9));
    reader.ends().await;
    assert_eq!(refused(&ada, &path, None).await.status, 401);
    drop(reader);
    world.end().await;
}

#[tokio::test]
async fn timers_are_told_with_their_cause() {
    let world = World::new().await;
    let ada = world.user(1);
    let path = open("foo");
    ada.put(&path, &active()).await.expect(201);
    let mut reader = follow(&ada, &path, None).await;
    let mut known = reader.next().await.expect("snapshot", 1).delta().clone();
    ada.put(&path, &reserving(&[2])).await.expect(200);
    apply(&mut known, reader.next().await.expect("change", 2).delta());
    world.pass(30_000);
    world.running.directory.sweep().await.expect("the database answers");
    let event = reader.next().await.expect("change", 3);
    assert_eq!((&event.data["cause"], &event.data["at"]), (&json!("timer"), &json!("2031-04-05T18:00:30.1230000Z")));
    apply(&mut known, event.delta());
    assert_eq!(known, document(&ada, &path).await);
    drop(reader);
    world.end().await;
}

#[tokio::test]
async fn m95_a_large_session_tells_everybody_the_own_entry_only() {
    let world = World::new().await;
    let (ada, bo, eve) = (world.user(1), world.user(2), world.user(9));
    let path = session("Arena", "hall");
    let id = ada.put(&path, &joining("active")).await.expect(201).etag().trim_matches('"').to_owned();
    let (branch, _) = id.split_once('.').expect("an id has two parts");
    let mut readers = Vec::new();
    for actor in [&ada, &bo, &eve] {
        let mut reader = follow(actor, &path, None).await;
        let known = reader.next().await.expect("snapshot", 1).delta().clone();
        readers.push((actor, reader, known));
    }
    let me = |value: Value| json!({"members": {"me": {"properties": {"custom": value}}}});
    let writes: [(&Actor, Value); 7] = [
        (&bo, joining("active")),
        (&bo, me(json!({"colour": "red", "size": 1}))),
        (&ada, me(json!({"colour": "blue"}))),
        (&bo, me(json!({"colour": null}))),
        (&ada, custom("map", &json!("harbor"))),
        (&bo, leaving()),
        (&bo, joining("active")),
    ];
    for (number, (writer, body)) in (2..).zip(&writes) {
        world.pass(10);
        writer.put(&path, body).await.expect(200);
        for (actor, reader, known) in &mut readers {
            let event = reader.next().await.expect("change", number);
            let text = event.data.to_string();
            apply(known, event.delta());
            assert_eq!(*known, document(actor, &path).await, "{text} after {body}");
        }
    }
    // Late comers are told the same, and nothing of others.
    for (actor, other) in [(&ada, "Player2"), (&bo, "Player1"), (&eve, "Player")] {
        let mut reader = follow(actor, &path, Some(&format!("{branch}.0"))).await;
        let mut known = json!({});
        for number in 1..=8 {
            let event = reader.next().await.expect("change", number);
            assert!(!event.data.to_string().contains(other), "{event:?}");
            if number == 1 { known = event.delta().clone() } else { apply(&mut known, event.delta()) }
        }
        assert_eq!(known, document(actor, &path).await);
    }
    drop(readers);
    ada.put(&path, &leaving()).await.expect(200);
    bo.put(&path, &leaving()).await.expect(204);
    let mut reader = follow(&ada, &path, Some(&id)).await;
    for number in 2..=9 {
        let event = reader.next().await.expect("change", number);
        let members = event.delta().get("members").cloned();
        let expected = match number {
            4 => Some(json!({"me": {"properties": {"custom": {"colour": "blue"}}}})),
            9 => Some(json!({"me": null})),
            _ => None,
        };
        assert_eq!(members, expected, "{event:?}");
    }
    reader.next().await.expect("deleted", 10);
    reader.ends().await;
    drop(reader);
    world.end().await;
}

#[tokio::test]
async fn feeds_are_limited_and_give_their_room_back() {
    let choices = Choices::default();
    let feeds = FeedRules { open_max: 2, heartbeat: Duration::from_millis(100), ..choices.rules.feeds.clone() };
    let rules = Rules { feeds, ..choices.rules };
    let world = World::with(Choices { rules, ..choices }).await;
    let ada = world.user(1);
    let path = open("foo");
    ada.put(&path, &active()).await.expect(201);
    let mut first = follow(&ada, &path, None).await;
    let second = follow(&ada, &path, None).await;
    let crowded = refused(&ada, &path, None).await.expect(503);
    assert_eq!(crowded.header("retry-after"), Some("1"));
    assert_eq!(refused(&ada, &open("bar"), None).await.status, 503, "whether there is a session or not");
    drop(second);
    let third = soon("room", async {
        loop {
            let response = ask(&ada, &path, None).await;
            if response.status().as_u16() == 200 {
                break response;
            }
        }
    });
    let third = third.await;
    // The end of the service is the end of its feeds, and does not wait for them.
    first.next().await.expect("snapshot", 1);
    soon("the end", async { tokio::join!(world.end(), first.ends()) }).await;
    drop(third);
}

#[tokio::test]
async fn m95_the_own_entry_is_known_however_much_later_the_reader_left() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let path = session("Arena", "hall");
    let tag = ada.put(&path, &joining("active")).await.expect(201).etag();
    let (branch, _) = tag.trim_matches('"').split_once('.').expect("a tag has two parts");
    bo.put(&path, &joining("active")).await.expect(200);
    bo.put(&path, &json!({"members": {"me": {"properties": {"custom": {"colour": "red"}}}}})).await.expect(200);
    // More than a page.
    for n in 4..=110 {
        ada.put(&path, &custom("n", &json!(n))).await.expect(200);
    }
    bo.put(&path, &leaving()).await.expect(200);
    let for_bo = world.server().with("X-Xbl-OnBehalfOf-Users", "2");
    for reader in [&bo, &for_bo] {
        let mut reader = follow(reader, &path, Some(&format!("{branch}.2"))).await;
        let event = reader.next().await.expect("change", 3);
        assert_eq!(event.delta()["members"], json!({"me": {"properties": {"custom": {"colour": "red"}}}}));
        told_up_to(&mut reader, 110).await;
        assert_eq!(reader.next().await.expect("change", 111).delta()["members"], json!({"me": null}));
    }
    world.end().await;
}

async fn with_feeds(choose: impl FnOnce(&mut FeedRules)) -> World {
    let mut choices = Choices::default();
    choose(&mut choices.rules.feeds);
    World::with(choices).await
}

#[tokio::test]
async fn nobody_takes_the_feeds_of_others() {
    // A heartbeat finds out that a reader is gone.
    let world =
        with_feeds(|feeds| (feeds.open_max, feeds.per_caller_max, feeds.heartbeat) = (4, 2, Duration::from_millis(50))).await;
    let (ada, bo) = (world.user(1), world.user(2));
    let path = open("foo");
    ada.put(&path, &active()).await.expect(201);
    let mut of_ada = vec![follow(&ada, &path, None).await, follow(&ada, &path, None).await];
    let crowded = refused(&ada, &path, None).await.expect(503);
    assert_eq!(crowded.header("retry-after"), Some("1"));
    assert!(crowded.text.contains("the caller"), "{crowded:?}");
    let others = [follow(&bo, &path, None).await, follow(&world.server(), &path, None).await];
    assert!(refused(&world.server(), &path, None).await.expect(503).text.contains("this instance"));
    of_ada.pop();
    let again = soon("room", async { while ask(&ada, &path, None).await.status().as_u16() != 200 {} });
    again.await;
    drop((of_ada, others));
    world.end().await;
}

#[tokio::test]
async fn a_feed_ends_after_its_lifetime_and_goes_on() {
    let world = with_feeds(|feeds| feeds.lifetime = Duration::from_millis(300)).await;
    let ada = world.user(1);
    let path = open("foo");
    ada.put(&path, &active()).await.expect(201);
    let mut reader = follow(&ada, &path, None).await;
    let id = reader.next().await.expect("snapshot", 1).id().to_owned();
    reader.ends().await;
    ada.put(&path, &custom("n", &json!(2))).await.expect(200);
    follow(&ada, &path, Some(&id)).await.next().await.expect("change", 2);
    drop(reader);
    world.end().await;
}

#[tokio::test]
async fn the_write_of_a_client_that_leaves_at_once_is_done() {
    let world = World::new().await;
    let ada = world.user(1);
    let body = active().to_string();
    for n in 0..20 {
        let length = format!("Content-Length: {}", body.len());
        let path = open(&format!("foo{n}"));
        let mut stream = ada.dial(&format!("PUT {path}"), &[&length, "Content-Type: application/json"]).await;
        stream.write_all(body.as_bytes()).await.expect("the service reads");
        drop(stream);
        soon("the session", async { while ada.get(&path).await.status != 200 {} }).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_feed_without_news_reads_no_log() {
    let world = World::new().await;
    let (ada, log) = (world.user(1), crate::log::Log::listen());
    let path = open("foo");
    ada.put(&path, &active()).await.expect(201);
    let mut reader = follow(&ada, &path, None).await;
    reader.next().await.expect("snapshot", 1);
    log.statements();
    let probes = soon("probes", async {
        let mut seen = Vec::new();
        while seen.iter().filter(|name| *name == "db.session.probe").count() < 5 {
            tokio::task::yield_now().await;
            seen.extend(log.statements());
        }
        seen
    });
    assert!(probes.await.iter().all(|name| name == "db.session.probe"));
    ada.put(&path, &custom("n", &json!(2))).await.expect(200);
    reader.next().await.expect("change", 2);
    let reads = log.statements().into_iter().filter(|name| name == "db.log.read").count();
    assert_eq!(reads, 1);
    assert_eq!(sql(&world, "select count(*) from changes").await.as_deref(), Some("2"));
    drop(reader);
    world.end().await;
}

#[tokio::test]
async fn a43_the_feed_of_a_banned_user_ends() {
    let world = World::new().await;
    let (ada, bo) = (world.user(1), world.user(2));
    let path = open("followed");
    ada.put(&path, &active()).await.expect(201);
    bo.put(&path, &active()).await.expect(200);
    let mut reader = follow(&bo, &path, None).await;
    assert!(reader.block().await.is_some(), "the session as it is");
    world.admin().put("/admin/bans/2", &json!({"reason": "cheats"})).await.expect(201);
    reader.ends().await;
    assert_eq!(refused(&bo, &path, None).await.status, 403);
    world.end().await;
}
