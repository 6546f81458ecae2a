//! A session as titles have them: constants and properties of its own, members with connections, subscriptions and properties, and
//! one reservation. With four members its document has between 3 and 4 KB.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::directory::tests::Round;
use crate::domain::access::{Facts, Pass};
use crate::domain::command::{Command, Preconditions, Target, Write};
use crate::domain::connection::Known;
use crate::domain::decide::{Context, Decision, decide};
use crate::domain::limits::Limits;
use crate::domain::names::{Branch, ConnectionId, Scid, SessionName, SessionReference, TemplateName, TitleId, Xuid};
use crate::domain::principal::{Principal, User};
use crate::domain::session::Record;
use crate::domain::template::{Form, Template};
use crate::json;
use crate::wire::{request, stored};

/// How deep the JSON of a request may go.
pub(super) const DEPTH: usize = 32;

/// What title developers configure. Connections are required, as the contract's samples have it.
const TEMPLATE: &str = r#"{"constants":{"system":{"version":1,"maxMembersCount":100,"visibility":"open","inviteProtocol":"game",
    "reservedRemovalTimeout":30000,"inactiveRemovalTimeout":7200000,"readyRemovalTimeout":180000,"sessionEmptyTimeout":0,
    "capabilities":{"connectivity":true,"connectionRequiredForActiveMembers":true,"userAuthorizationStyle":true,"crossPlay":true}},
    "custom":{"mode":"conquest","ruleset":{"rounds":5,"roundTime":600,"friendlyFire":false,"respawn":[5,10,15]},"build":"2031.4.1127"}},
    "roleTypes":{"class":{"mutableRoleSettings":["max","target"],"roles":{"healer":{"target":1},"tank":{"target":1},"scout":{"target":2}}}}}"#;

/// What makes it.
const CREATION: &str = r#"{"constants":{"custom":{"seed":8731549920,"region":"northeurope"}},"properties":{
    "system":{"joinRestriction":"followed","readRestriction":"followed","keywords":["conquest","ranked","level-31"],"turn":[0],
    "description":{"text":"Five rounds in the harbor, newcomers welcome","locale":"en-GB"}},
    "custom":{"map":"harbor","round":1,"weather":{"rain":0.25,"wind":[3.5,-1.25],"fog":false},
    "objectives":[{"id":"gate","state":"open","progress":0.0},{"id":"crane","state":"taken","progress":1.0,"by":"red"},
    {"id":"lighthouse","state":"contested","progress":0.625,"by":"blue"}],"score":{"red":12,"blue":9}}},"members":{"me":MEMBER}}"#;

/// What a member says of itself as it joins.
const MEMBER: &str = r#"{"constants":{"system":{"initialize":true},"custom":{"platform":"console","skill":1487}},"properties":{
    "system":{"active":true,"connection":"CONNECTION","secureDeviceAddress":"ArJ0Rk9qAAEAAQABf6Yx1z2dHkqSxjC8p0JZrQ==",
    "subscription":{"id":"6a1d9c3e-0f4b-4e27-8f6d-1b2c3d4e5f01","changeTypes":["everything"]}},
    "custom":{"ready":false,"loadout":{"tier":2,"items":["rope","lantern","flare"]},"ping":34}},"roles":{"class":"scout"}}"#;

/// Writes custom properties, as a title does while the game goes on.
pub(super) const UPDATE: &str = r#"{"properties":{"custom":{"round":2,"score":{"red":15,"blue":11},
    "objectives":[{"id":"gate","state":"taken","progress":1.0,"by":"blue"},{"id":"lighthouse","state":"open","progress":0.0}]}}}"#;

/// Leaves.
pub(super) const LEAVES: &str = r#"{"members":{"me":null}}"#;

/// The instant at which the last member was reserved.
pub(super) fn evening() -> DateTime<Utc> {
    "2031-04-05T18:00:00.123Z".parse().expect("an instant")
}

/// When the reservation ends.
pub(super) fn later() -> DateTime<Utc> {
    evening() + TimeDelta::seconds(30)
}

/// A player, by number from 1 on.
pub(super) fn player(number: usize) -> Principal {
    Principal::User(User {
        xuid: xuid(number),
        gamertag: Some(format!("Player{number:03}")),
        title_id: Some(TitleId(1_739_200_451)),
        device_id: Some(format!("F4000000000{number:03}")),
        device_type: None,
        multiplayer: true,
    })
}

pub(super) fn xuid(number: usize) -> Xuid {
    Xuid(2_533_274_800_000_000 + number as u64)
}

pub(super) fn connection(number: usize) -> ConnectionId {
    ConnectionId(Uuid::from_u128(0x3c5f_1f0e_91d4_4d1b_8a86_0000_0000_0000 + number as u128))
}

/// What a player sends to join.
pub(super) fn joins(number: usize) -> String {
    format!(r#"{{"members":{{"me":{}}}}}"#, member(number))
}

/// What the first player sends to create it.
pub(super) fn creates() -> String {
    CREATION.replace("MEMBER", &member(1))
}

fn member(number: usize) -> String {
    MEMBER.replace("CONNECTION", &connection(number).to_string())
}

/// A write of a session.
pub(super) fn write(body: &str) -> Command {
    let delta = request::read_delta(body.as_bytes(), DEPTH).expect("the request is well-formed");
    Command::Write(Box::new(Write { delta, preconditions: Preconditions::default(), target: Target::Session, form: Form::New }))
}

/// A session and what is known about it.
pub(crate) struct Typical {
    pub record: Record,
    pub reference: SessionReference,
    pub facts: Facts,
    template: Arc<Template>,
    limits: Limits,
}

impl Typical {
    /// One with so many members, at least two: all have joined and are active but for the last one, who is reserved.
    pub fn of(members: usize) -> Self {
        let name = TemplateName::parse("Conquest").expect("a name");
        let document = json::parse(TEMPLATE.as_bytes(), DEPTH).expect("the template is JSON");
        let known = |number| Known { id: connection(number), owner: xuid(number), alive: true, elsewhere: 0 };
        let mut typical = Self {
            record: None,
            reference: SessionReference {
                scid: Scid::parse("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7").expect("an id"),
                template: name.clone(),
                name: SessionName::parse("0d9e6c1e-5a44-4f7b-9a3c-6f0f6d1c2b11").expect("a name"),
            },
            template: Arc::new(Template::read(name, &document).expect("the template is valid").0),
            // The first one follows everybody.
            facts: Facts {
                follows: (2..=members + 1).map(|number| (xuid(1), xuid(number))).collect(),
                connections: (1..=members + 1).map(known).collect(),
                ..Facts::default()
            },
            limits: Limits::default(),
        };
        typical.takes(1, &creates());
        for number in 2..members {
            typical.takes(number, &joins(number));
        }
        let reserved = format!(r#"{{"members":{{"reserve_0":{{"constants":{{"system":{{"xuid":"{}"}}}}}}}}}}"#, xuid(members));
        typical.takes(1, &reserved);
        typical
    }

    /// The same without the session, which is yet to be made.
    pub fn yet_to_be_made() -> Self {
        Self { record: None, ..Self::of(2) }
    }

    fn takes(&mut self, number: usize, body: &str) {
        self.record = self.decide(&write(body), &player(number)).after;
    }

    /// Decides a command that is not refused.
    pub fn decide(&self, command: &Command, principal: &Principal) -> Decision {
        let context = Context {
            now: evening(),
            principal,
            reference: &self.reference,
            template: &self.template,
            facts: &self.facts,
            pass: &Pass::Nothing,
            limits: &self.limits,
            branch: Branch(Uuid::from_u128(0x7b1f_0a3e_2d7c_4c19_8a55_b1a4_c3d2_e5f6)),
        };
        decide(&self.record, command, &context).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// What is stored of it.
    pub fn texts(&self) -> stored::Stored {
        stored::render(self.record.as_ref().expect("there is a session"))
    }

    /// The way of a write from what the store gives to what it is given.
    pub fn round(&self, command: Command, principal: Principal) -> Round {
        let session = self.record.as_ref().expect("there is a session");
        Round::of(session, self.facts.clone(), Arc::clone(&self.template), command, principal, evening())
    }
}

#[test]
fn a_typical_document_has_between_3_and_4_kilobytes() {
    let typical = Typical::of(4);
    let size = typical.texts().body.len();
    assert!((3000..=4096).contains(&size), "{size}");
}
