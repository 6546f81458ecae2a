//! Players with a socket, who are told what happens in the sessions that they subscribe to.

use serde_json::{Value, json};

use crate::harness::{Actor, World};
use crate::rta_client::{CONNECTIONS, Socket};
use crate::story::open;

/// How long whoever is inactive stays in the sessions of these stories, in milliseconds.
pub const STAYS: u64 = 7_200_000;

/// A player with a socket and the connection id of it.
pub struct Player {
    pub xuid: u64,
    pub actor: Actor,
    pub socket: Socket,
    pub connection: String,
    /// The socket's subscription to the connection.
    pub subscribed: u64,
}

/// What a tap says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    pub resource: String,
    pub subscription: String,
    pub branch: String,
    pub number: u64,
}

impl World {
    /// A player whose socket is on this instance.
    pub async fn player(&self, xuid: u64) -> Player {
        let mut socket = self.socket(xuid).await;
        let answer = socket.subscribes(CONNECTIONS).await;
        let connection = answer.data["ConnectionId"].as_str().expect("the id is a text").to_owned();
        Player { xuid, actor: self.user(xuid), socket, connection, subscribed: answer.id }
    }

    /// Evaluates what is due, and says for how many sessions.
    pub async fn sweeps(&self) -> usize {
        self.running.directory.sweep().await.expect("the database answers")
    }
}

impl Player {
    /// The id that the player gives its subscriptions: as clients do, in upper case.
    pub fn subscription(&self) -> String {
        subscription(self.xuid)
    }

    /// What the member says of itself: that it is active on this connection and subscribes to these types of changes.
    pub fn listens(&self, types: &[&str]) -> Value {
        let subscription = json!({"id": self.subscription(), "changeTypes": types});
        json!({"active": true, "connection": self.connection, "subscription": subscription})
    }

    /// Joins a session, or makes it, subscribed to these types of changes. Returns the document.
    pub async fn joins(&self, path: &str, types: &[&str]) -> Value {
        self.writes(path, &me(&self.listens(types))).await
    }

    /// Writes, and insists that it works. Returns the document.
    pub async fn writes(&self, path: &str, body: &Value) -> Value {
        let answer = self.actor.put(path, body).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        answer.json()
    }

    /// The session as the player reads it.
    pub async fn reads(&self, path: &str) -> Value {
        self.actor.get(path).await.expect(200).json()
    }

    /// The taps of the next event.
    pub async fn event(&mut self) -> Vec<Tap> {
        let event = self.socket.next().await;
        assert_eq!((&event[0], &event[1]), (&json!(3), &json!(self.subscribed)), "{event}");
        assert_eq!(event[2]["ncid"], json!(self.connection), "N-51: {event}");
        taps(&event)
    }

    /// The next event, which is one tap.
    pub async fn tap(&mut self) -> Tap {
        let mut taps = self.event().await;
        assert_eq!(taps.len(), 1, "{taps:?}");
        taps.remove(0)
    }

    /// The number of the next event, which is one tap.
    pub async fn number(&mut self) -> u64 {
        self.tap().await.number
    }

    /// All taps until one of a session has this number or a later one (N-55), in the order they came.
    pub async fn taps_until(&mut self, resource: &str, number: u64) -> Vec<Tap> {
        let mut heard = Vec::new();
        loop {
            heard.extend(self.event().await);
            if heard.iter().any(|tap| tap.resource == resource && tap.number >= number) {
                return heard;
            }
        }
    }
}

/// The taps of an event.
pub fn taps(event: &Value) -> Vec<Tap> {
    let read = |tap: &Value| {
        let text = |name: &str| tap[name].as_str().unwrap_or_else(|| panic!("{name} of {tap}")).to_owned();
        let number = tap["changeNumber"].as_u64().expect("the number is a number");
        Tap { resource: text("resource"), subscription: text("subscription"), branch: text("branch"), number }
    };
    event[2]["shoulderTaps"].as_array().unwrap_or_else(|| panic!("no taps: {event}")).iter().map(read).collect()
}

/// The id of a user's subscriptions.
pub fn subscription(xuid: u64) -> String {
    format!("6A1D9C3E-0F4B-4E27-8F6D-{xuid:012X}")
}

/// A PUT with what the caller says of itself.
pub fn me(system: &Value) -> Value {
    json!({"members": {"me": {"properties": {"system": system}}}})
}

/// The same that makes the session, in which whoever is inactive stays.
pub fn making(system: &Value, constants: &Value) -> Value {
    let mut body = me(system);
    body["constants"] = json!({"system": {"inactiveRemovalTimeout": STAYS}});
    for (name, value) in constants.as_object().expect("constants are an object") {
        body["constants"]["system"][name] = value.clone();
    }
    body
}

/// A PUT of a custom property, of which `everything` and `customProperty` hear.
pub fn note(number: u64) -> Value {
    json!({"properties": {"custom": {"note": number}}})
}

/// The number of the last change that a document tells of.
pub fn number(document: &Value) -> u64 {
    document["changeNumber"].as_u64().unwrap_or_else(|| panic!("no changeNumber: {document}"))
}

/// A bell: a session whose taps reach every guest at a known time. What came before the bell was told before it rang.
pub struct Bell {
    path: String,
    ringer: Actor,
    rung: u64,
}

impl Bell {
    /// Hangs it up.
    pub async fn new(world: &World) -> Self {
        let bell = Self { path: open("Bell"), ringer: world.server(), rung: 0 };
        let body = json!({"constants": {"system": {"inactiveRemovalTimeout": STAYS, "sessionEmptyTimeout": STAYS}}});
        bell.ringer.put(&bell.path, &body).await.expect(201);
        bell
    }

    /// From now on the player hears it.
    pub async fn invites(&self, player: &Player) {
        player.joins(&self.path, &["customProperty"]).await;
    }

    /// Rings, and returns what each guest was told before it rang.
    pub async fn rings(&mut self, guests: &mut [&mut Player]) -> Vec<Vec<Tap>> {
        self.rung += 1;
        let rung = number(&self.ringer.put(&self.path, &note(self.rung)).await.expect(200).json());
        let mut told = Vec::new();
        for guest in guests {
            let resource = resource("Open", "Bell");
            let mut heard = guest.taps_until(&resource, rung).await;
            heard.retain(|tap| tap.resource != resource);
            told.push(heard);
        }
        told
    }
}

/// What taps call a session of the sample service config.
pub fn resource(template: &str, name: &str) -> String {
    format!("{}~{template}~{name}", crate::harness::SCID)
}
