//! Stories about one session, told through the whole pure core: a request's text in, the stored document out.
//!
//! [`Stage`] is a directory of one reference, without a store: it settles, decides and keeps what was decided, as the real one
//! does. Everything it takes on is held against the laws that must always hold: what is rendered can be read back, the change
//! number moves exactly when the document does, and the delta leads from the old document to the new.

mod access;
mod administration;
mod connections;
mod constants;
mod corners;
mod crowds;
pub(crate) mod dice;
mod documents;
mod examples;
mod initialization;
mod listings;
mod members;
mod merging;
mod order;
mod owners;
mod queries;
mod roles;
mod scenarios;
mod servers;
mod tables;
mod timers;
mod writes;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::access::{Facts, Pass};
use super::command::{Command, Delta, Preconditions, Tags, Target, Write};
use super::connection::{self, Known, Lost};
use super::decide::{Context, Decision, Outcome, decide};
use super::limits::Limits;
use super::names::{Branch, ConnectionId, Scid, SessionName, SessionReference, TemplateName, TitleId, Xuid};
use super::principal::{Principal, Server, User};
use super::refusal::{Kind, Refusal};
use super::session::{Member, Record, Session};
use super::template::{Form, Template};
use super::{access as rules_of_access, timers as rules_of_time};
use crate::json::{Json, Object, parse};
use crate::wire::stored::Beside;
use crate::wire::{delta, large, request, stored};

pub(super) const SCID: &str = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7";

/// Everything is chosen by the creator.
pub(super) const OPEN: &str = r#"{"constants":{"system":{},"custom":{}}}"#;
/// Patient with members who do nothing, and without sockets.
pub(super) const CARD: &str = r#"{"constants":{"system":{"maxMembersCount":4,"inactiveRemovalTimeout":7200000,
    "capabilities":{"suppressPresenceActivityCheck":true}},"custom":{}}}"#;
/// As the contract's sample.
pub(super) const LOBBY: &str = r#"{"constants":{"system":{"version":1,"maxMembersCount":16,"visibility":"open",
    "inviteProtocol":"game","capabilities":{"connectivity":true,"connectionRequiredForActiveMembers":true,
    "userAuthorizationStyle":true,"crossPlay":true}},"custom":{}}}"#;

/// Joins, or becomes active, where no connection is needed.
pub(super) const ACTIVE: &str = r#"{"members":{"me":{"properties":{"system":{"active":true}}}}}"#;
/// Joins, or accepts a reservation, and does no more.
pub(super) const HERE: &str = r#"{"members":{"me":{}}}"#;
/// Leaves.
pub(super) const LEAVES: &str = r#"{"members":{"me":null}}"#;
/// A connection nobody knows.
pub(super) const CONNECTION: &str = "3c5f1f0e-91d4-4d1b-8a86-0a4f2e6b7c01";

/// What is known of a socket that is there.
pub(super) fn alive(id: &str, owner: Xuid) -> Known {
    Known { id: ConnectionId::parse(id).unwrap(), owner, alive: true, elsewhere: 0 }
}

pub(super) fn json(text: &str) -> Json {
    parse(text.as_bytes(), 64).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn player(number: u64, gamertag: &str) -> Principal {
    Principal::User(User {
        xuid: Xuid(2_533_274_800_000_000 + number),
        gamertag: Some(gamertag.to_owned()),
        title_id: Some(TitleId(1_739_200_451)),
        device_id: Some(format!("device-{number}")),
        device_type: None,
        multiplayer: true,
    })
}

pub(super) fn ada() -> Principal {
    player(1, "AdaLumen")
}

pub(super) fn bo() -> Principal {
    player(2, "BoTide")
}

pub(super) fn cy() -> Principal {
    player(3, "CyVale")
}

pub(super) fn dee() -> Principal {
    player(4, "DeeWren")
}

pub(super) fn server() -> Principal {
    Principal::Server(Server { name: "dedicated".to_owned(), scids: vec![Scid::parse(SCID).unwrap()] })
}

pub(super) fn other_server() -> Principal {
    Principal::Server(Server { name: "elsewhere".to_owned(), scids: Vec::new() })
}

/// The same player with other claims.
pub(super) fn with(principal: Principal, change: impl FnOnce(&mut User)) -> Principal {
    let Principal::User(mut user) = principal else { panic!("only users have such claims") };
    change(&mut user);
    Principal::User(user)
}

/// A request that reserves for a player.
pub(super) fn reserves(who: &Principal) -> String {
    reserves_all(&[who])
}

/// A request that reserves for several players.
pub(super) fn reserves_all(who: &[&Principal]) -> String {
    let entry = |(n, who): (usize, &&Principal)| {
        format!(r#""reserve_{n}":{{"constants":{{"system":{{"xuid":"{}"}}}}}}"#, who.xuid().unwrap())
    };
    format!(r#"{{"members":{{{}}}}}"#, who.iter().enumerate().map(entry).collect::<Vec<_>>().join(","))
}

/// A request that writes `properties.system`.
pub(super) fn system(fields: &str) -> String {
    format!(r#"{{"properties":{{"system":{fields}}}}}"#)
}

/// A request that writes the caller's own `properties.system`.
pub(super) fn own(fields: &str) -> String {
    format!(r#"{{"members":{{"me":{{"properties":{{"system":{fields}}}}}}}}}"#)
}

/// A request that creates with these constants and joins as an active member.
pub(super) fn creating(constants: &str) -> String {
    format!(r#"{{"constants":{{"system":{constants}}},"members":{{"me":{{"properties":{{"system":{{"active":true}}}}}}}}}}"#)
}

/// What a write was answered; equal to a number when that is its status.
#[derive(Clone)]
pub(super) struct Answer(pub Result<Outcome, Refusal>);

impl Answer {
    pub fn status(&self) -> u16 {
        match &self.0 {
            Ok(Outcome::Created) => 201,
            Ok(Outcome::Updated | Outcome::Unchanged) => 200,
            Ok(Outcome::Gone) => 204,
            Err(refusal) => match refusal.kind {
                Kind::Invalid | Kind::Full => 400,
                Kind::Forbidden => 403,
                Kind::Missing => 404,
                Kind::Conflict => 409,
                Kind::Precondition | Kind::Stale => 412,
            },
        }
    }

    /// The text of a refusal; empty when there is none.
    pub fn text(&self) -> &str {
        self.0.as_ref().err().map_or("", |refusal| &refusal.text)
    }

    /// Whether nothing happened.
    pub fn is_quiet(&self) -> bool {
        self.0 == Ok(Outcome::Unchanged)
    }
}

impl PartialEq<u16> for Answer {
    fn eq(&self, status: &u16) -> bool {
        self.status() == *status
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status(), self.text())
    }
}

/// One session reference, the time, and what is known about who follows whom.
#[derive(Clone)]
pub(super) struct Stage {
    pub record: Record,
    pub now: DateTime<Utc>,
    pub template: Rc<Template>,
    pub reference: SessionReference,
    pub limits: Limits,
    /// What the handle adds that everybody comes through.
    pub pass: Pass,
    /// Follower and followed.
    pub follows: Vec<(Xuid, Xuid)>,
    pub everybody_follows: bool,
    pub connections: Vec<Known>,
    /// Blocker and blocked.
    pub blocks: Vec<(Xuid, Xuid)>,
    /// The names that requests use.
    pub form: Form,
    branches: u128,
    /// The document of `record`, as it was when it was taken on.
    document: Rc<Json>,
}

impl Stage {
    /// An empty stage for sessions of a template.
    pub fn of(template: &str) -> Self {
        let lobby = TemplateName::parse("Lobby").unwrap();
        Self::on(Template::read(lobby, &json(template)).expect("the template is valid").0)
    }

    /// An empty stage for sessions of a template that has been read.
    pub fn on(template: Template) -> Self {
        Self {
            record: None,
            now: "2031-04-05T18:00:00.123Z".parse().unwrap(),
            reference: SessionReference {
                scid: Scid::parse(SCID).unwrap(),
                template: template.name.clone(),
                name: SessionName::parse("0d9e6c1e-5a44-4f7b-9a3c-6f0f6d1c2b11").unwrap(),
            },
            template: Rc::new(template),
            limits: Limits::default(),
            pass: Pass::Nothing,
            follows: Vec::new(),
            everybody_follows: false,
            connections: Vec::new(),
            blocks: Vec::new(),
            form: Form::New,
            branches: 0,
            document: Rc::new(Json::Null),
        }
    }

    /// A stage on which Ada has made a session with these constants and is active in it.
    pub fn with(constants: &str) -> Self {
        let mut stage = Self::of(OPEN);
        assert_eq!(stage.put(&ada(), &creating(constants)), 201);
        stage
    }

    /// A stage of template `CARD`: Ada is active, nobody goes away by doing nothing.
    pub fn card() -> Self {
        let mut stage = Self::of(CARD);
        assert_eq!(stage.put(&ada(), ACTIVE), 201);
        stage
    }

    pub fn put(&mut self, who: &Principal, body: &str) -> Answer {
        self.put_if(who, Preconditions::default(), body)
    }

    pub fn put_if(&mut self, who: &Principal, preconditions: Preconditions, body: &str) -> Answer {
        match request::read_delta(body.as_bytes(), 32) {
            Ok(delta) => self.write(who, delta, preconditions, Target::Session),
            Err(refusal) => Answer(Err(refusal)),
        }
    }

    pub fn write(&mut self, who: &Principal, delta: Delta, preconditions: Preconditions, target: Target) -> Answer {
        self.run(who, &Command::Write(Box::new(Write { delta, preconditions, target, form: self.form })))
    }

    /// Settles, decides, and takes on what was decided.
    pub fn run(&mut self, who: &Principal, command: &Command) -> Answer {
        self.settle();
        Answer(self.decide(who, command).map(|decision| {
            let outcome = decision.outcome;
            self.take(decision);
            outcome
        }))
    }

    pub fn decide(&mut self, who: &Principal, command: &Command) -> Result<Decision, Refusal> {
        self.branches += 1;
        let facts = self.facts();
        let context = Context {
            now: self.now,
            principal: who,
            reference: &self.reference,
            template: &self.template,
            facts: &facts,
            pass: &self.pass,
            limits: &self.limits,
            branch: Branch(Uuid::from_u128(self.branches)),
        };
        decide(&self.record, command, &context)
    }

    pub fn facts(&self) -> Facts {
        Facts {
            follows: self.follows.clone(),
            blocks: self.blocks.clone(),
            everybody_follows: self.everybody_follows,
            former: Vec::new(),
            connections: self.connections.clone(),
        }
    }

    pub fn may_read(&mut self, who: &Principal) -> bool {
        self.settle();
        rules_of_access::may_read(self.session(), who, &self.facts())
    }

    pub fn settle(&mut self) {
        let decision = self.decide(&server(), &Command::Settle).expect("settling is never refused");
        self.take(decision);
        if let Some(next) = self.record.as_ref().and_then(rules_of_time::next) {
            assert!(next > self.now, "the next timer of a settled session lies ahead");
        }
    }

    /// Takes on a decision, and checks what must hold whatever it is.
    fn take(&mut self, decision: Decision) {
        let before = std::mem::replace(&mut self.record, decision.after);
        match (&before, &self.record) {
            (_, None) => assert_eq!(decision.outcome, Outcome::Gone),
            (None, Some(after)) => {
                assert_eq!((decision.outcome, after.change_number), (Outcome::Created, 1), "S-22");
                self.document = Rc::new(can_be_read_back(after));
            }
            (Some(before), Some(after)) if before == after => assert_eq!(decision.outcome, Outcome::Unchanged),
            (Some(before), Some(after)) => {
                let new = can_be_read_back(after);
                let old = std::mem::replace(&mut self.document, Rc::new(new.clone()));
                let same = without(&old, "changeNumber") == without(&new, "changeNumber");
                let expected = if same { Outcome::Unchanged } else { Outcome::Updated };
                assert_eq!(decision.outcome, expected, "W-34: {old} {new}");
                assert_eq!(after.change_number, before.change_number + u64::from(!same), "S-22");
                let delta = json(&delta::between(before, after));
                assert_eq!(patched(&old, &delta), new, "the delta {delta}");
            }
        }
    }

    /// Takes note of lost connections, as the directory does; says whether anybody is concerned.
    pub fn lose(&mut self, lost: &[Lost]) -> bool {
        self.settle();
        let Some(mut after) = connection::lose(&self.record, lost, &self.limits, self.now) else { return false };
        after.change_number += 1;
        can_be_read_back(&after);
        self.load(after);
        true
    }

    /// Takes on a session as it would be loaded.
    pub fn load(&mut self, session: Session) {
        self.document = Rc::new(document(&session));
        self.record = Some(session);
    }

    pub fn advance(&mut self, ms: i64) {
        self.now += TimeDelta::milliseconds(ms);
    }

    pub fn session(&self) -> &Session {
        self.record.as_ref().expect("there is a session")
    }

    pub fn is_gone(&mut self) -> bool {
        self.settle();
        self.record.is_none()
    }

    /// The document, as a read finds it (M-24).
    pub fn get(&mut self) -> Json {
        self.settle();
        document(self.session())
    }

    /// A part of the document by its path, as text; empty when there is none.
    pub fn at(&mut self, path: &str) -> String {
        let document = self.get();
        let part = path.split('.').try_fold(&document, |part, name| part.get(name));
        part.map(Json::to_string).unwrap_or_default()
    }

    pub fn etag(&self) -> String {
        self.session().etag().to_string()
    }
}

/// The document as it is stored, with the members of a large session under their indices.
pub(super) fn document(session: &Session) -> Json {
    json(&delta::whole(session))
}

/// A large session with only those members loaded whom a test picks; the others are the crowd.
pub(super) fn partial(session: &Session, loaded: impl Fn(&Member) -> bool) -> Session {
    let texts = stored::render(session);
    let mut read = stored::read(&session.reference, &texts.body, &texts.private).expect("it can be read");
    // Former members are kept beside the texts (M-87).
    read.former.clone_from(&session.former);
    let (with, without): (Vec<_>, Vec<_>) = session.members.iter().partition(|member| loaded(member));
    let next_due = without.iter().filter_map(|member| rules_of_time::due_at(session, member)).min();
    large::with_members(read, with.iter().map(|member| Member::clone(member)).collect(), next_due).expect("they are counted")
}

fn without(document: &Json, name: &str) -> Json {
    let mut fields = document.as_object().expect("a document is an object").clone();
    fields.shift_remove(name);
    fields.into()
}

/// Renders a session, reads it back, and returns its document.
fn can_be_read_back(session: &Session) -> Json {
    let texts = stored::render(session);
    let mut read = stored::read(&session.reference, &texts.body, &texts.private).expect("what is rendered can be read");
    if session.is_large() {
        let member = |member: &Arc<Member>| {
            let beside = Beside { since: member.since, grace_until: member.grace_until, device_id: member.device_id.clone() };
            large::read_member_text(&large::member_text(member), beside).expect("an entry can be read")
        };
        let next_due = session.crowd.as_ref().and_then(|crowd| crowd.next_due);
        read = large::with_members(read, session.members.iter().map(member).collect(), next_due).expect("they are counted");
    }
    assert_eq!(stored::render(&read), texts);
    read.former.clone_from(&session.former);
    assert!(read == *session, "{read:?} instead of {session:?}");
    json(&delta::whole(session))
}

/// A document after a delta (W-10): fields are replaced whole, `null` takes one away, only the structural levels merge.
fn patched(document: &Json, delta: &Json) -> Json {
    let mut after = document.as_object().expect("a document is an object").clone();
    for (name, change) in delta.as_object().expect("a delta is an object") {
        match name.to_string().as_str() {
            "properties" => {
                let bag = patched_bag(&after["properties"], change);
                after.insert(name.clone(), bag);
            }
            "servers" => {
                let Json::Object(servers) = &mut after["servers"] else { panic!("servers are an object") };
                for (name, change) in change.as_object().expect("servers are an object") {
                    match change {
                        Json::Null => drop(servers.shift_remove(name)),
                        change => drop(servers.insert(name.clone(), change.clone())),
                    }
                }
            }
            "members" => {
                let Json::Object(members) = &mut after["members"] else { panic!("members are an object") };
                for (index, change) in change.as_object().expect("members are an object") {
                    match (members.get(index), change) {
                        (_, Json::Null) => drop(members.shift_remove(index)),
                        (Some(entry), change) => {
                            let entry = patched_member(entry, change);
                            members.insert(index.clone(), entry);
                        }
                        (None, change) => drop(members.insert(index.clone(), change.clone())),
                    }
                }
            }
            _ if *change == Json::Null => drop(after.shift_remove(name)),
            _ => drop(after.insert(name.clone(), change.clone())),
        }
    }
    after.into()
}

fn patched_member(entry: &Json, change: &Json) -> Json {
    let mut after = entry.as_object().expect("an entry is an object").clone();
    for (name, change) in change.as_object().expect("an entry is an object") {
        match (name.to_string().as_str(), change) {
            (_, Json::Null) => drop(after.shift_remove(name)),
            ("constants" | "properties", change) => {
                let bag = patched_bag(&after[name], change);
                after.insert(name.clone(), bag);
            }
            (_, change) => drop(after.insert(name.clone(), change.clone())),
        }
    }
    after.into()
}

fn patched_bag(bag: &Json, change: &Json) -> Json {
    let mut after = bag.as_object().expect("a bag is an object").clone();
    for (name, change) in change.as_object().expect("a bag is an object") {
        let merged = match (&after[name], change) {
            (Json::Object(fields), Json::Object(change)) => {
                let mut fields = fields.clone();
                for (name, change) in change {
                    match change {
                        Json::Null => drop(fields.shift_remove(name)),
                        change => drop(fields.insert(name.clone(), change.clone())),
                    }
                }
                Json::Object(fields)
            }
            (_, change) => change.clone(),
        };
        after.insert(name.clone(), merged);
    }
    after.into()
}

pub(super) fn if_match(tags: &[&str]) -> Preconditions {
    Preconditions { if_match: Some(Tags::These(tags.iter().map(|tag| (*tag).to_owned()).collect())), if_none_match: None }
}

pub(super) fn if_match_any() -> Preconditions {
    Preconditions { if_match: Some(Tags::Any), if_none_match: None }
}

pub(super) fn if_none_match_any() -> Preconditions {
    Preconditions { if_match: None, if_none_match: Some(Tags::Any) }
}

/// The object of a JSON text.
pub(super) fn object(text: &str) -> Object {
    json(text).as_object().expect("an object").clone()
}
