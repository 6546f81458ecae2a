//! Tickets for sockets that are opened without a credential (N-65): what is handed out, and what is kept of it.

use std::fmt;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::names::{TitleId, Xuid};
use crate::domain::principal::User;

/// How many random bytes a nonce has.
const NONCE_BYTES: usize = 32;

/// A secret that stands for a credential, once. Only its digest is ever kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// A new one that nobody can guess; `None` when the system has no randomness to give.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut bytes = [0; NONCE_BYTES];
        rand::fill(&mut bytes).ok()?;
        Some(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What a client brings; `None` for a text that was never one of ours, which nobody needs to be asked about.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; NONCE_BYTES];
        let is_ours = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(NONCE_BYTES);
        is_ours.then(|| Self(text.to_owned()))
    }

    /// The text for the client: letters, digits, `-` and `_`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is kept and found by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// For whom a nonce stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The player.
    pub user: User,
    /// When the token it was given for is not accepted any more.
    pub until: DateTime<Utc>,
}

/// A ticket as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    xuid: u64,
    gamertag: Option<String>,
    title_id: Option<u32>,
    device_id: Option<String>,
    device_type: Option<String>,
    multiplayer: bool,
    /// Microseconds since 1970.
    until: i64,
}

impl Ticket {
    /// The ticket as JSON.
    #[must_use]
    pub fn render(&self) -> String {
        let User { xuid, gamertag, title_id, device_id, device_type, multiplayer } = self.user.clone();
        let kept = Kept {
            xuid: xuid.0,
            gamertag,
            title_id: title_id.map(|title_id| title_id.0),
            device_id,
            device_type,
            multiplayer,
            until: self.until.timestamp_micros(),
        };
        serde_json::to_string(&kept).expect("texts and numbers have a JSON form")
    }

    /// Reads what [`Ticket::render`] wrote; `None` for anything else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let kept: Kept = serde_json::from_str(text).ok()?;
        let user = User {
            xuid: Xuid(kept.xuid),
            gamertag: kept.gamertag,
            title_id: kept.title_id.map(TitleId),
            device_id: kept.device_id,
            device_type: kept.device_type,
            multiplayer: kept.multiplayer,
        };
        Some(Self { user, until: DateTime::from_timestamp_micros(kept.until)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n65_a_ticket_says_again_what_it_said() {
        let user = User {
            xuid: Xuid(u64::MAX),
            gamertag: Some("Ada \"x\"".into()),
            title_id: Some(TitleId(7)),
            device_id: None,
            device_type: Some("Win32".into()),
            multiplayer: false,
        };
        let ticket = Ticket { user, until: "2031-04-05T18:00:00.123456Z".parse().unwrap() };
        assert_eq!(Ticket::read(&ticket.render()), Some(ticket));
        assert_eq!(Ticket::read(r#"{"xuid":"1"}"#), None);
    }

    #[test]
    fn n65_nonces_differ_and_fit_into_a_url() {
        let (one, two) = (Nonce::random().unwrap(), Nonce::random().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 43);
        assert!(one.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{}", one.as_str());
        assert_eq!(Nonce::parse(one.as_str()).unwrap().digest(), one.digest());
        assert_eq!(format!("{one:?}"), "Nonce");
    }

    #[test]
    fn n65_what_was_never_a_nonce_is_none() {
        let good = "A".repeat(43);
        assert!(Nonce::parse(&good).is_some());
        for bad in ["", "x", &good[1..], &format!("{good}A"), &format!("{good}="), &good.replacen('A', "+", 1), &"é".repeat(43)]
        {
            assert!(Nonce::parse(bad).is_none(), "{bad}");
        }
        // The last letter has two bits too many: only zeros are ours.
        assert!(Nonce::parse(&format!("{}B", &good[1..])).is_none());
    }
}
