//! What the service has acknowledged to one user, and whether it is still there.
//!
//! A user writes growing numbers into places nobody else writes: its own seat in a session, and a property with its own name. A
//! write whose answer never came may have happened or not, also after later ones; its number is as good as the last one acknowledged.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

/// Sessions that were left are remembered for the comparison at the end, this many.
const LEFT_MAX: usize = 8;

/// A place of one user in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// `members/me`, its custom property `seq`; nothing when the user is no member.
    Seat,
    /// The session's custom property that is called like the user.
    Property,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Entry {
    /// Whether any write was acknowledged, and what the last of them wrote.
    is_known: bool,
    value: Option<u64>,
    /// What writes without an answer may have written.
    possible: Vec<Option<u64>>,
}

/// The acknowledged states of one user.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<(String, Slot), Entry>,
    left: VecDeque<String>,
}

impl Ledger {
    /// Takes an acknowledged write.
    pub fn acknowledged(&mut self, session: &str, slot: Slot, value: Option<u64>) {
        let entry = self.entry(session, slot);
        (entry.is_known, entry.value) = (true, value);
        if slot == Slot::Seat {
            self.left.retain(|left| left != session);
            if value.is_none() {
                // The session may end now, and the property with it.
                self.entries.remove(&(session.to_owned(), Slot::Property));
                self.left.push_back(session.to_owned());
                if self.left.len() > LEFT_MAX
                    && let Some(oldest) = self.left.pop_front()
                {
                    self.entries.remove(&(oldest, Slot::Seat));
                }
            }
        }
    }

    /// Takes a write that may have happened.
    pub fn possible(&mut self, session: &str, slot: Slot, value: Option<u64>) {
        self.entry(session, slot).possible.push(value);
        if slot == Slot::Seat && value.is_none() {
            self.entry(session, Slot::Property).possible.push(None);
        }
    }

    fn entry(&mut self, session: &str, slot: Slot) -> &mut Entry {
        self.entries.entry((session.to_owned(), slot)).or_default()
    }

    /// The sessions about which something is known.
    pub fn sessions(&self) -> Vec<String> {
        let mut sessions: Vec<String> = self.entries.keys().map(|(session, _)| session.clone()).collect();
        sessions.dedup();
        sessions
    }

    /// The sessions in which the user has a seat, or may have.
    pub fn seats(&self) -> Vec<String> {
        let seated = |entry: &Entry| entry.value.is_some() || entry.possible.iter().any(Option::is_some);
        let seats = self.entries.iter().filter(|((_, slot), entry)| *slot == Slot::Seat && seated(entry));
        seats.map(|((session, _), _)| session.clone()).collect()
    }

    /// How many states of a session can be compared.
    pub fn count(&self, session: &str) -> usize {
        self.known(session).count()
    }

    fn known<'a>(&'a self, session: &'a str) -> impl Iterator<Item = (Slot, &'a Entry)> {
        let own = self.entries.iter().filter(move |((known, _), entry)| known == session && entry.is_known);
        own.map(|((_, slot), entry)| (*slot, entry))
    }

    /// Compares a session with what was acknowledged; `document` is null when it is not there.
    pub fn compare(&self, session: &str, document: &Value, me: &Me) -> Vec<Result<(), String>> {
        let judge = |(slot, entry): (Slot, &Entry)| {
            let found = me.find(document, slot);
            if found == entry.value || entry.possible.contains(&found) {
                return Ok(());
            }
            let show = |value: Option<u64>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
            Err(format!("{session}, {slot:?} of {}: {} was acknowledged, {} is there", me.xuid, show(entry.value), show(found)))
        };
        self.known(session).map(judge).collect()
    }
}

/// How a user finds its own places in a document.
pub struct Me {
    pub xuid: String,
    /// The name of its property.
    pub property: String,
}

impl Me {
    fn find(&self, document: &Value, slot: Slot) -> Option<u64> {
        match slot {
            Slot::Property => document["properties"]["custom"][&self.property].as_u64(),
            Slot::Seat => {
                let mut members = document["members"].as_object()?.iter();
                let mine = members.find(|(key, member)| {
                    key.as_str() == "me" || member["constants"]["system"]["xuid"].as_str() == Some(self.xuid.as_str())
                });
                mine?.1["properties"]["custom"]["seq"].as_u64()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn me() -> Me {
        Me { xuid: "25".into(), property: "u0".into() }
    }

    fn document(seq: u64, property: u64) -> Value {
        json!({"properties": {"custom": {"u0": property, "u1": 9}}, "members": {
            "0": {"constants": {"system": {"xuid": "26"}}, "properties": {"custom": {"seq": 99}}},
            "4": {"constants": {"system": {"xuid": "25"}}, "properties": {"custom": {"seq": seq}}}}})
    }

    fn lost(ledger: &Ledger, document: &Value) -> usize {
        ledger.compare("a", document, &me()).iter().filter(|outcome| outcome.is_err()).count()
    }

    #[test]
    fn what_was_acknowledged_must_be_there() {
        let mut ledger = Ledger::default();
        ledger.acknowledged("a", Slot::Seat, Some(1));
        ledger.acknowledged("a", Slot::Seat, Some(2));
        ledger.acknowledged("a", Slot::Property, Some(7));
        assert_eq!((ledger.count("a"), ledger.sessions(), ledger.seats()), (2, vec!["a".into()], vec!["a".to_owned()]));
        assert_eq!(lost(&ledger, &document(2, 7)), 0);
        assert_eq!(lost(&ledger, &document(1, 7)), 1, "an older number");
        assert_eq!(lost(&ledger, &document(1, 6)), 2);
        assert_eq!(lost(&ledger, &Value::Null), 2, "no session at all");
        let large = json!({"properties": {"custom": {"u0": 7}}, "members": {"me": {"properties": {"custom": {"seq": 2}}}}});
        assert_eq!(lost(&ledger, &large), 0, "of a large session only oneself is shown");
    }

    #[test]
    fn who_left_must_be_gone() {
        let mut ledger = Ledger::default();
        ledger.acknowledged("a", Slot::Seat, Some(1));
        ledger.acknowledged("a", Slot::Property, Some(7));
        ledger.acknowledged("a", Slot::Seat, None);
        assert_eq!((lost(&ledger, &Value::Null), lost(&ledger, &document(1, 7))), (0, 1));
        assert!(ledger.seats().is_empty());
    }

    #[test]
    fn writes_without_an_answer_may_have_happened() {
        let mut ledger = Ledger::default();
        ledger.possible("a", Slot::Seat, Some(5));
        assert_eq!(
            (ledger.count("a"), ledger.seats().len()),
            (0, 1),
            "nothing was acknowledged, but there may be a seat to leave"
        );
        ledger.acknowledged("a", Slot::Seat, Some(6));
        assert_eq!([5, 6, 4].map(|seq| lost(&ledger, &document(seq, 0))), [0, 0, 1]);
        ledger.acknowledged("a", Slot::Property, Some(7));
        ledger.possible("a", Slot::Seat, None);
        assert_eq!(lost(&ledger, &Value::Null), 0, "it may have left, and the session ended");
    }

    #[test]
    fn sessions_left_long_ago_are_forgotten() {
        let mut ledger = Ledger::default();
        for number in 0..20 {
            let session = format!("s{number}");
            ledger.acknowledged(&session, Slot::Seat, Some(1));
            ledger.acknowledged(&session, Slot::Seat, None);
        }
        assert_eq!(ledger.sessions().len(), LEFT_MAX);
        assert_eq!(ledger.count("s19"), 1);
        for _ in 0..20 {
            ledger.acknowledged("s19", Slot::Seat, Some(1));
            ledger.acknowledged("s19", Slot::Seat, None);
        }
        assert_eq!(ledger.sessions().len(), LEFT_MAX, "the same one again and again pushes nobody out");
    }
}
