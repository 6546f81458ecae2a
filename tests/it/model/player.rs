//! Somebody who plays a part of a history: wishes things at random and notes what became of them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use openmpsd::ambient::Clock;
use openmpsd::directory::{Directory, DirectoryError, WriteRequest};
use openmpsd::domain::access::Pass;
use openmpsd::domain::command::{Preconditions, Tags, Target, Write};
use openmpsd::domain::connection::Lost;
use openmpsd::domain::decide::Outcome;
use openmpsd::domain::handle::Include;
use openmpsd::domain::limits::Limits;
use openmpsd::domain::names::{ConnectionId, ETag, HandleId, Scid, SessionName, SessionReference, Xuid};
use openmpsd::domain::principal::{Principal, Server};
use openmpsd::domain::template::Form;
use openmpsd::json::Json;
use openmpsd::store::StoreError;
use openmpsd::wire::{handle_request as handle, request};
use serde_json::{Value, json};

use super::step;
use crate::chance::Chance;
use crate::harness::{SCID, player};

/// A command and its answer.
pub struct Op {
    pub begun: u64,
    pub ended: u64,
    pub reference: SessionReference,
    pub principal: Arc<Principal>,
    pub asked: Asked,
    /// A text that this write alone puts into the document.
    pub mark: Option<String>,
    pub answer: Answer,
}

/// What was asked for.
#[derive(Debug)]
pub enum Asked {
    Read,
    Write(Box<WriteRequest>),
    /// A search handle for the session.
    List,
    /// That this search handle goes.
    Unlist(HandleId),
    /// That somebody is invited.
    Invite,
}

impl Op {
    /// The write, if it is one.
    pub fn request(&self) -> Option<&WriteRequest> {
        if let Asked::Write(request) = &self.asked { Some(request) } else { None }
    }
}

/// What came back.
#[derive(Debug)]
pub enum Answer {
    Written {
        outcome: Outcome,
        document: Option<(ETag, String)>,
        etag: Option<ETag>,
    },
    Read(Option<(ETag, String)>),
    /// A handle was made.
    Made(HandleId),
    /// A search handle was deleted.
    Unlisted,
    Refused(#[expect(dead_code, reason = "shown when a judge complains")] String),
    /// 503: it may have been done or not.
    Unknown,
}

pub struct Player {
    seed: u64,
    number: u64,
    sessions: u64,
    chance: Chance,
    directory: Arc<Directory>,
    clock: Clock,
    steps: Arc<AtomicU64>,
    principal: Arc<Principal>,
    /// The tag last seen of any session, its search handle, and the activity last made.
    seen: Vec<(u64, ETag)>,
    listed: Vec<(u64, HandleId)>,
    handle: Option<HandleId>,
    ops: Vec<Op>,
}

impl Player {
    pub fn new(
        seed: u64,
        number: u64,
        sessions: u64,
        luck: u64,
        directory: Arc<Directory>,
        clock: Clock,
        steps: Arc<AtomicU64>,
    ) -> Self {
        let scids = vec![Scid::parse(SCID).expect("a GUID")];
        let principal = match number {
            3 => Principal::Server(Server { name: "arena".to_owned(), scids }),
            _ => Principal::User(player(xuid(seed, number))),
        };
        let (principal, chance) = (Arc::new(principal), Chance::new(luck));
        Self {
            seed,
            number,
            sessions,
            chance,
            directory,
            clock,
            steps,
            principal,
            seen: vec![],
            listed: vec![],
            handle: None,
            ops: vec![],
        }
    }

    pub async fn play(mut self, commands: usize) -> Vec<Op> {
        for _ in 0..commands {
            let session = self.chance.below(self.sessions);
            match self.chance.below(100) {
                0..12 => self.read(session).await,
                12..18 => drop(self.clock.advance(Duration::from_millis(self.chance.below(4000)))),
                // A sweep that fails is tried again by the next.
                18..22 => drop(self.directory.sweep().await),
                22..30 => self.bind(session).await,
                30..33 => self.unbind().await,
                33..48 => self.post("search", session).await,
                48..56 => self.unlist(session).await,
                56..61 => self.post("invite", session).await,
                61..63 => self.post("transfer", session).await,
                63..80 if self.number == 0 => {
                    // What breaks here is tried again by whoever searches next.
                    let sid = self.reference(session).sid();
                    drop(self.directory.lose(sid, vec![lost(self.seed)]).await);
                }
                _ => self.write(session).await,
            }
        }
        self.ops
    }

    fn reference(&self, session: u64) -> SessionReference {
        let scid = Scid::parse(SCID).expect("a GUID");
        let name = SessionName::parse(&format!("h{}-{session}", self.seed)).expect("a name");
        let service = self.directory.catalog().service(&scid, &self.principal).expect("everybody may use it");
        SessionReference { scid, template: service.template("Open").expect("it is shipped").name.clone(), name }
    }

    async fn read(&mut self, session: u64) {
        let reference = self.reference(session);
        let begun = step(&self.steps);
        let read = self.directory.read(&reference, &self.principal).await;
        let answer = match read {
            Ok(document) => Answer::Read(document.map(|document| (document.etag, Arc::unwrap_or_clone(document.body)))),
            Err(error) => failed(error),
        };
        self.heard(session, begun, reference, Asked::Read, answer);
    }

    fn heard(&mut self, session: u64, begun: u64, reference: SessionReference, asked: Asked, answer: Answer) {
        let (ended, principal) = (step(&self.steps), Arc::clone(&self.principal));
        self.note(session, Op { begun, ended, reference, principal, asked, mark: None, answer });
    }

    /// Posts a handle that is not an activity; mostly it takes a member to do that.
    async fn post(&mut self, kind: &str, session: u64) {
        if self.chance.permille(300) {
            self.write(session).await;
        }
        let reference = self.reference(session);
        let place = |name: &str| json!({"scid": SCID, "templateName": "Open", "name": name});
        let attributes =
            json!({"tags": [format!("t{}", self.chance.below(3)), "eu"], "numbers": {"level": self.chance.below(4)}});
        let body = json!({
            "type": kind, "sessionRef": place(reference.name.as_str()), "searchAttributes": attributes,
            "invitedXuid": xuid(self.seed, self.chance.below(5)), "originSessionRef": place("origin"),
        });
        let request = handle::read(body.to_string().as_bytes(), 8).expect("the body is sound");
        let begun = step(&self.steps);
        let answer = match self.directory.create_handle(request, &self.principal, Include::default()).await {
            Ok(handle) => Answer::Made(id_of(&handle)),
            Err(error) => failed(error),
        };
        let asked = match kind {
            "search" => Asked::List,
            "invite" => Asked::Invite,
            _ => return,
        };
        if let (Asked::List, Answer::Made(id)) = (&asked, &answer) {
            self.listed.push((session, *id));
        }
        self.heard(session, begun, reference, asked, answer);
    }

    /// Deletes the search handle that was last seen of a session, mostly after posting one: joined first, because it takes a member.
    async fn unlist(&mut self, session: u64) {
        if self.chance.permille(800) {
            let mark = format!("m{}-{}-{}", self.seed, self.number, self.ops.len());
            let me = json!({"properties": {"system": {"active": true}, "custom": {"mark": mark}}});
            let mut body = json!({"members": {"me": me}});
            if self.chance.permille(500) {
                body["constants"] = self.constants(session);
            }
            self.send(session, mark, &body, Target::Session, Preconditions::default()).await;
            self.post("search", session).await;
        } else {
            self.read(session).await;
        }
        let Some((_, id)) = self.listed.iter().rev().find(|(of, _)| *of == session).copied() else { return };
        let (reference, begun) = (self.reference(session), step(&self.steps));
        let answer = match self.directory.delete_handle(id, &self.principal).await {
            Ok(()) => Answer::Unlisted,
            Err(error) => failed(error),
        };
        self.heard(session, begun, reference, Asked::Unlist(id), answer);
    }

    async fn bind(&mut self, session: u64) {
        let reference = json!({"scid": SCID, "templateName": "Open", "name": self.reference(session).name.as_str()});
        let body = json!({"type": "activity", "version": 1, "sessionRef": reference}).to_string();
        let request = handle::read(body.as_bytes(), 8).expect("the body is sound");
        match self.directory.create_handle(request, &self.principal, Include::default()).await {
            Ok(handle) => self.handle = Some(id_of(&handle)),
            Err(error) => drop(failed(error)),
        }
    }

    async fn unbind(&mut self) {
        if let Some(handle) = self.handle.take()
            && let Err(error) = self.directory.delete_handle(handle, &self.principal).await
        {
            drop(failed(error));
        }
    }

    async fn write(&mut self, session: u64) {
        let mark = format!("m{}-{}-{}", self.seed, self.number, self.ops.len());
        let (mut body, target, preconditions) = self.wish(session, &mark);
        if let Some(system) = body.pointer_mut("/members/me/properties/system")
            && self.number == 0
            && system["active"] == true
        {
            system["connection"] = json!(lost(self.seed).id.to_string());
        }
        self.send(session, mark, &body, target, preconditions).await;
    }

    async fn send(&mut self, session: u64, mark: String, body: &Value, target: Target, preconditions: Preconditions) {
        let reference = self.reference(session);
        let service = self.directory.catalog().service(&reference.scid, &self.principal).expect("everybody may use it");
        let body = body.to_string();
        let write = Write {
            delta: request::read_delta(body.as_bytes(), 16).expect("the body is sound"),
            preconditions,
            target,
            form: Form::New,
        };
        let request = WriteRequest {
            reference: reference.clone(),
            template: Arc::clone(service.template("Open").expect("it is shipped")),
            principal: Arc::clone(&self.principal),
            write,
            nocommit: self.chance.permille(60),
            pass: Pass::Nothing,
        };
        let begun = step(&self.steps);
        let answer = match self.directory.write(request.clone()).await {
            Ok(written) => Answer::Written {
                outcome: written.outcome,
                document: written.document.map(|document| (document.etag, Arc::unwrap_or_clone(document.body))),
                etag: written.etag,
            },
            Err(error) => failed(error),
        };
        let mark = body.contains(&mark).then_some(mark);
        let (ended, principal) = (step(&self.steps), Arc::clone(&self.principal));
        self.note(session, Op { begun, ended, reference, principal, asked: Asked::Write(Box::new(request)), mark, answer });
    }

    fn note(&mut self, session: u64, op: Op) {
        let tag = match &op.answer {
            Answer::Read(Some((etag, _))) => Some(*etag),
            Answer::Written { etag, .. } => *etag,
            _ => None,
        };
        if let Some(tag) = tag {
            self.seen.retain(|(of, _)| *of != session);
            self.seen.push((session, tag));
        }
        let text = match &op.answer {
            Answer::Read(Some((_, text))) | Answer::Written { document: Some((_, text)), .. } => text.as_str(),
            _ => "",
        };
        if let Some((_, rest)) = text.split_once(r#""searchHandle":""#) {
            self.listed.push((session, HandleId::parse(&rest[..36]).expect("a GUID")));
        }
        self.ops.push(op);
    }

    /// What to write: a body, what it addresses, and on which condition.
    fn wish(&mut self, session: u64, mark: &str) -> (Value, Target, Preconditions) {
        let mut conditions = Preconditions::default();
        if self.chance.permille(250)
            && let Some((_, tag)) = self.seen.iter().find(|(of, _)| *of == session)
        {
            conditions.if_match = Some(Tags::These(vec![tag.to_string()]));
        }
        let other = xuid(self.seed, self.chance.below(5));
        let server = self.number == 3;
        let own = json!({"custom": {"mark": mark}, "system": {*self.chance.pick(&["active", "active", "ready"]): true}});
        let me = json!({"properties": own});
        let body = match self.chance.below(if server { 4 } else { 11 }) {
            0 => {
                conditions = Preconditions { if_match: None, if_none_match: Some(Tags::Any) };
                let mut body = json!({"constants": self.constants(session), "properties": {"custom": {"mark": mark}}});
                if !server {
                    body["members"] = json!({"me": me});
                }
                body
            }
            1 => json!({"properties": {"custom": {format!("s{}", self.number): mark}}}),
            2 if server => json!({"members": {self.chance.below(4).to_string(): null}}),
            2 | 3 => {
                let reservation = json!({"constants": {"system": {"xuid": other.to_string()}, "custom": {"mark": mark}}});
                json!({"members": {"reserve_0": reservation}})
            }
            4 => {
                let constants = json!({"system": {"xuid": other.to_string()}});
                json!({"members": {"me": me, "reserve_0": {"constants": constants}}})
            }
            5 => json!({"members": {"me": null}}),
            6 => {
                let target = if self.chance.permille(500) { Target::Element } else { Target::Session };
                return (json!({"members": {"me": null}}), target, Preconditions::default());
            }
            7 => {
                let system = match self.chance.below(4) {
                    0 => json!({"keywords": [format!("k{}", self.chance.below(3)), "eu"]}),
                    1 => json!({"keywords": null}),
                    2 => json!({"closed": self.chance.permille(300)}),
                    _ => json!({"turn": [self.chance.below(3)]}),
                };
                json!({"properties": {"system": system, "custom": {"mark": mark}}})
            }
            8 => json!({"members": {"me": {"properties": {"system": {"active": false}}}}}),
            9 => json!({"members": {"me": {"properties": {"system": {"active": true}}}}}),
            _ => json!({"members": {"me": me}}),
        };
        (body, Target::Session, conditions)
    }

    /// The first session of a history is a large one, whose owner leaves it to the oldest.
    fn constants(&mut self, session: u64) -> Value {
        let timeout = |chance: &mut Chance| *chance.pick(&[3000, 8000, 20_000]);
        let chance = &mut self.chance;
        let mut capabilities = if session == 0 { json!({"large": true, "hasOwners": true}) } else { json!({}) };
        capabilities["searchable"] = json!(true);
        let policies = if session == 0 { json!({"migration": "oldest"}) } else { Value::Null };
        json!({"system": {
            "capabilities": capabilities,
            "ownershipPolicies": policies,
            "maxMembersCount": 3,
            "reservedRemovalTimeout": timeout(chance),
            "inactiveRemovalTimeout": timeout(chance),
            "readyRemovalTimeout": timeout(chance),
            "sessionEmptyTimeout": *chance.pick(&[0, 0, 5000]),
        }})
    }
}

fn id_of(handle: &Json) -> HandleId {
    handle.get("id").and_then(|id| id.as_str().and_then(|id| HandleId::parse(&id))).expect("a handle has an id")
}

fn xuid(seed: u64, number: u64) -> u64 {
    seed * 8 + number
}

/// The connection of the first player of a history, which is lost again and again and still known to be alive, so that what is decided
/// depends on nothing but the session.
pub fn lost(seed: u64) -> Lost {
    Lost { id: ConnectionId(uuid::Uuid::from_u128(0xc0_0000_0000 + u128::from(seed))), owner: Xuid(xuid(seed, 0)) }
}

/// How sessions are bounded.
pub fn limits() -> Limits {
    Limits { grace: chrono::TimeDelta::seconds(5), ..Limits::default() }
}

/// Tells what may happen when connections break from what must not.
fn failed(error: DirectoryError) -> Answer {
    match error {
        DirectoryError::Refused { refusal, .. } => Answer::Refused(refusal.text),
        DirectoryError::UnknownHandle => Answer::Refused("unknown handle".to_owned()),
        DirectoryError::Busy
        | DirectoryError::Store(StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::LostRace) => Answer::Unknown,
        other => panic!("{other}"),
    }
}
