//! The actors of a scenario, and the words that stand for what belongs to them.

use std::collections::HashMap;

use super::super::{SCID, TitleId, User, Xuid};
use crate::domain::connection::Known;
use crate::domain::member;
use crate::domain::names::{ConnectionId, Scid};
use crate::domain::principal::{Principal, Server, ServerFor};
use crate::domain::session::{Bag, Member};

/// Everybody a script has named so far.
///
/// In a script and its transcript `<ada>` stands for Ada's xuid, `<ada's address>` for her secure device address, `<ada's token>`
/// for the device token that follows from it, and `<ada's connection>` for her connection.
#[derive(Default)]
pub(super) struct Cast {
    /// Names in the order of their first appearance.
    names: Vec<String>,
    /// What a value on the wire stands for.
    words: HashMap<String, String>,
}

/// The xuids of players, and of the many numbered viewers of a broadcast.
const PLAYERS: u64 = 2_533_274_800_000_000;
const VIEWERS: u64 = 2_533_274_900_000_000;
/// How every connection begins.
const CONNECTIONS: &str = "3c5f1f0e-91d4-4d1b-8a86-";

fn viewer_number(name: &str) -> Option<u64> {
    name.strip_prefix("viewer-")?.parse().ok()
}

fn address(number: u64) -> String {
    format!("AAAAAAAA{number:032x}")
}

fn connection(number: u64) -> String {
    format!("{CONNECTIONS}{number:012x}")
}

fn token(number: u64) -> String {
    let mut device: Member = member::reserve(0, Xuid(number), Bag::default(), chrono::DateTime::UNIX_EPOCH);
    device.properties.system.insert("secureDeviceAddress".into(), address(number).as_str().into());
    device.device_token().expect("it has an address")
}

impl Cast {
    /// The number of somebody, who may be new.
    fn number(&mut self, name: &str) -> u64 {
        if let Some(number) = viewer_number(name) {
            return number + VIEWERS - PLAYERS;
        }
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return at as u64 + 1;
        }
        self.names.push(name.to_owned());
        let number = self.names.len() as u64;
        self.words.insert((PLAYERS + number).to_string(), format!("<{name}>"));
        self.words.insert(address(number), format!("<{name}'s address>"));
        self.words.insert(token(number), format!("<{name}'s token>"));
        self.words.insert(connection(number), format!("<{name}'s connection>"));
        number
    }

    pub fn xuid(&mut self, name: &str) -> Xuid {
        Xuid(PLAYERS + self.number(name))
    }

    pub fn connection(&mut self, name: &str) -> String {
        connection(self.number(name))
    }

    /// What the directory knows of a user's connection: its socket is there.
    pub fn socket(user: Xuid) -> Known {
        let id = ConnectionId::parse(&connection(user.0 - PLAYERS)).expect("it is a GUID");
        Known { id, owner: user, alive: true, elsewhere: 0 }
    }

    /// A player of that name, on a device of its own.
    pub fn user(&mut self, name: &str) -> User {
        let mut gamertag = name.to_owned();
        gamertag[..1].make_ascii_uppercase();
        User {
            xuid: self.xuid(name),
            gamertag: Some(gamertag),
            title_id: Some(TitleId(1_739_200_451)),
            device_id: Some(format!("{name}-device")),
            device_type: None,
            multiplayer: true,
        }
    }

    pub fn server() -> Server {
        Server { name: "dedicated".to_owned(), scids: vec![Scid::parse(SCID).expect("it is one")] }
    }

    /// A server, which acts for users if some are named.
    pub fn server_for(&mut self, names: &[&str]) -> Principal {
        match names {
            [] => Principal::Server(Self::server()),
            names => {
                let users = names.iter().map(|name| self.user(name)).collect();
                Principal::ServerFor(ServerFor { server: Self::server(), users, manages: true })
            }
        }
    }

    /// How somebody is called in a transcript.
    pub fn name_of(&self, xuid: Xuid) -> String {
        let xuid = xuid.to_string();
        self.word(&xuid).trim_matches(['<', '>']).to_owned()
    }

    /// What a value stands for; viewers are too many to be listed.
    fn word(&self, value: &str) -> String {
        let viewers = VIEWERS..VIEWERS + 1_000_000;
        let xuid = value.parse().ok().filter(|number| viewers.contains(number));
        let number = value.strip_prefix(CONNECTIONS).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let connected = number.map(|number| PLAYERS + number).filter(|number| viewers.contains(number));
        match (self.words.get(value), xuid, connected) {
            (Some(word), ..) => word.clone(),
            (_, Some(number), _) => format!("<viewer-{}>", number - VIEWERS),
            (_, _, Some(number)) => format!("<viewer-{}'s connection>", number - VIEWERS),
            _ => value.to_owned(),
        }
    }

    /// Puts values in the place of words.
    pub fn spoken(&mut self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            let (word, after) = after.split_once('>').ok_or("< without >")?;
            out.push_str(before);
            let (name, of) = word.split_once("'s ").unwrap_or((word, "xuid"));
            let number = self.number(name);
            out.push_str(&match of {
                "xuid" => (PLAYERS + number).to_string(),
                "address" => address(number),
                "token" => token(number),
                "connection" => connection(number),
                other => return Err(format!("{name} has an address, a token and a connection, but no {other}")),
            });
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Puts words in the place of values.
    pub fn written(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut run = String::new();
        for c in text.chars().chain(['\n']) {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '/' | '=') {
                run.push(c);
                continue;
            }
            if !run.is_empty() {
                out.push_str(&self.word(&run));
                run.clear();
            }
            out.push(c);
        }
        out.pop();
        out
    }
}
