//! What instances tell each other of a commit: enough for whoever follows the session already to tap without asking the database.
//!
//! A message is the sender's id and as many hints as fit, and a seal, in base64; the largest message of PostgreSQL's NOTIFY is 8,000
//! bytes. The seal is there because every role of the database may notify: what does not bear it is not from an instance.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::directory::{Announcement, Told};
use crate::domain::change::Kinds;
use crate::domain::names::{Branch, HandleId, MemberIndex, Xuid};

/// The most bytes of a message before they are encoded.
const MESSAGE_MAX: usize = 5900;

/// How many bytes of the HMAC are sent.
const SEAL_BYTES: usize = 16;

/// What messages are sealed with; the same for all instances of a database.
#[derive(Debug, Clone)]
pub struct SealKey(hmac::Key);

impl SealKey {
    /// From the bytes that the database keeps.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The message that says these bytes.
    fn seal(&self, mut bytes: Vec<u8>) -> String {
        let seal = hmac::sign(&self.0, &bytes);
        bytes.extend(&seal.as_ref()[..SEAL_BYTES]);
        BASE64_STANDARD_NO_PAD.encode(&bytes)
    }

    /// What a message says, if it bears the seal.
    fn open(&self, message: &str) -> Option<Vec<u8>> {
        let mut bytes = BASE64_STANDARD_NO_PAD.decode(message).ok()?;
        let seal = bytes.split_off(bytes.len().checked_sub(SEAL_BYTES)?);
        let right = hmac::sign(&self.0, &bytes);
        verify_slices_are_equal(&seal, &right.as_ref()[..SEAL_BYTES]).ok().map(|()| bytes)
    }
}

/// That something was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A session has changed.
    Changed(Changed),
    /// An invite was made.
    Invited {
        /// For whom.
        xuid: Xuid,
        /// Which.
        handle: HandleId,
    },
}

/// Changes of a session that follow upon each other in one life of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The session.
    pub sid: Uuid,
    /// Which life of it.
    pub branch: Branch,
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// When the last was decided.
    pub at: DateTime<Utc>,
    /// What happened in any of them.
    pub kinds: Kinds,
    /// The member who is not tapped for any of them (N-39).
    pub exempt: Option<MemberIndex>,
    /// Whether more has changed than this tells: subscriptions, members that left, the end of the life.
    pub look: bool,
}

impl Changed {
    /// What others have to know of an announcement: of its last life; whatever came before that is left to the log.
    #[must_use]
    pub fn of(news: &Announcement) -> Option<Self> {
        let last = news.changes.last()?;
        let life = news.changes.iter().filter(|change| change.branch == last.branch);
        let first = life.clone().map(|change| change.change_number).min()?;
        let kinds = life.clone().fold(Kinds::default(), |kinds, change| Kinds(kinds.0 | change.kinds.0));
        let exempt = last.exempt.filter(|_| life.clone().all(|change| change.exempt == last.exempt));
        let look = news.moved || news.changes.iter().any(|change| change.deleted || !change.departed.is_empty());
        Some(Self { sid: news.sid, branch: last.branch, first, last: last.change_number, at: last.at, kinds, exempt, look })
    }

    /// Takes in what follows right upon it; `false` when it does not.
    pub fn extend(&mut self, next: &Self) -> bool {
        if (self.sid, self.branch) != (next.sid, next.branch) || next.first != self.last + 1 {
            return false;
        }
        self.last = next.last;
        self.at = next.at;
        self.kinds.0 |= next.kinds.0;
        self.exempt = self.exempt.filter(|_| self.exempt == next.exempt);
        self.look |= next.look;
        true
    }

    /// As one change.
    #[must_use]
    pub fn told(&self) -> Told {
        Told {
            branch: self.branch,
            change_number: self.last,
            at: self.at,
            kinds: self.kinds,
            exempt: self.exempt,
            deleted: false,
            departed: Vec::new(),
        }
    }
}

/// Packs hints into messages.
#[must_use]
pub fn pack(key: &SealKey, sender: Uuid, hints: &[Hint]) -> Vec<String> {
    let mut messages = Vec::new();
    let mut bytes = sender.as_bytes().to_vec();
    for hint in hints {
        let start = bytes.len();
        put(hint, &mut bytes);
        if bytes.len() > MESSAGE_MAX {
            let last = bytes.split_off(start);
            messages.push(key.seal(bytes));
            bytes = sender.as_bytes().to_vec();
            bytes.extend(last);
        }
    }
    if bytes.len() > sender.as_bytes().len() {
        messages.push(key.seal(bytes));
    }
    messages
}

/// Unpacks a message: its sender and its hints. `None` when it is not one of ours.
#[must_use]
pub fn unpack(key: &SealKey, message: &str) -> Option<(Uuid, Vec<Hint>)> {
    let bytes = key.open(message)?;
    let mut bytes = bytes.as_slice();
    let sender = Uuid::from_bytes(take(&mut bytes)?);
    let mut hints = Vec::new();
    while !bytes.is_empty() {
        hints.push(get(&mut bytes)?);
    }
    Some((sender, hints))
}

const CHANGED: u8 = 1;
const INVITED: u8 = 2;
/// Stands for nobody.
const NOBODY: u32 = u32::MAX;

fn put(hint: &Hint, out: &mut Vec<u8>) {
    match hint {
        Hint::Changed(changed) => {
            out.push(CHANGED);
            out.extend(changed.sid.as_bytes());
            out.extend(changed.branch.0.as_bytes());
            out.extend(changed.first.to_be_bytes());
            out.extend(changed.last.to_be_bytes());
            out.extend(changed.at.timestamp_micros().to_be_bytes());
            out.extend(changed.kinds.0.to_be_bytes());
            out.extend(changed.exempt.unwrap_or(NOBODY).to_be_bytes());
            out.push(u8::from(changed.look));
        }
        Hint::Invited { xuid, handle } => {
            out.push(INVITED);
            out.extend(xuid.0.to_be_bytes());
            out.extend(handle.0.as_bytes());
        }
    }
}

fn get(bytes: &mut &[u8]) -> Option<Hint> {
    Some(match take::<1>(bytes)?[0] {
        CHANGED => Hint::Changed(Changed {
            sid: Uuid::from_bytes(take(bytes)?),
            branch: Branch(Uuid::from_bytes(take(bytes)?)),
            first: u64::from_be_bytes(take(bytes)?),
            last: u64::from_be_bytes(take(bytes)?),
            at: DateTime::from_timestamp_micros(i64::from_be_bytes(take(bytes)?))?,
            kinds: Kinds(u32::from_be_bytes(take(bytes)?)),
            exempt: Some(u32::from_be_bytes(take(bytes)?)).filter(|index| *index != NOBODY),
            look: take::<1>(bytes)?[0] != 0,
        }),
        INVITED => {
            Hint::Invited { xuid: Xuid(u64::from_be_bytes(take(bytes)?)), handle: HandleId(Uuid::from_bytes(take(bytes)?)) }
        }
        _ => return None,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_at_checked(N)?;
    *bytes = tail;
    head.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Uuid = Uuid::from_u128(7);

    fn key() -> SealKey {
        SealKey::new(b"of this database")
    }

    fn changed(sid: u128, first: u64, last: u64) -> Changed {
        Changed {
            sid: Uuid::from_u128(sid),
            branch: Branch(Uuid::from_u128(sid + 1)),
            first,
            last,
            at: "2031-04-05T18:00:00.123Z".parse().unwrap(),
            kinds: Kinds(6),
            exempt: Some(3),
            look: false,
        }
    }

    #[test]
    fn what_is_packed_can_be_unpacked_whatever_its_number() {
        let invited = |n: u128| Hint::Invited { xuid: Xuid(u64::MAX), handle: HandleId(Uuid::from_u128(n)) };
        let anybody = Hint::Changed(Changed { exempt: None, look: true, ..changed(9, 1, u64::MAX) });
        for count in [0, 1, 2, 80, 500] {
            let mut hints: Vec<Hint> = (0..count).map(|n| Hint::Changed(changed(n, 1, 2))).collect();
            hints.extend([anybody.clone(), invited(5)]);
            let messages = pack(&key(), SENDER, &hints);
            assert!(messages.iter().all(|message| message.len() < 8000), "PostgreSQL takes no more");
            let unpacked: Vec<Hint> = messages
                .iter()
                .flat_map(|message| {
                    let (sender, hints) = unpack(&key(), message).expect("it is ours");
                    assert_eq!(sender, SENDER);
                    hints
                })
                .collect();
            assert_eq!(unpacked, hints);
        }
        assert_eq!(pack(&key(), SENDER, &[]), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        let sound = pack(&key(), SENDER, &[Hint::Changed(changed(1, 2, 3))]).remove(0);
        let forged = pack(&SealKey::new(b"of another"), SENDER, &[Hint::Changed(changed(1, 2, 3))]).remove(0);
        for message in ["", "hello", "AAAA", &sound[..sound.len() - 4], &format!("{sound}{sound}"), &forged] {
            assert_eq!(unpack(&key(), message), None, "{message}");
        }
    }

    #[test]
    fn n55_changes_that_follow_upon_each_other_are_one_hint() {
        let mut one = changed(1, 2, 3);
        assert!(!one.extend(&changed(1, 5, 5)), "one is missing");
        assert!(!one.extend(&changed(2, 4, 4)), "another session");
        assert!(one.extend(&Changed { kinds: Kinds(1), ..changed(1, 4, 6) }));
        assert_eq!((one.first, one.last, one.kinds, one.exempt), (2, 6, Kinds(7), Some(3)));
        assert!(one.extend(&Changed { exempt: None, look: true, ..changed(1, 7, 7) }));
        assert_eq!((one.exempt, one.look), (None, true), "N-39: somebody else did something too");
    }
}
