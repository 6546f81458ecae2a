//! Whose follows do not count for now, whatever the tables say.
//!
//! A social source that cannot tell about a user leaves the tables as they were, and what it last said there must decide nothing. Every
//! statement that asks who follows whom asks on behalf of one user, or of several callers: what it finds is passed through here.

use std::collections::HashMap;
use std::sync::RwLock;

use chrono::{DateTime, TimeDelta, Utc};

use super::Store;
use super::rows::{AccessFacts, Edge};

/// How many users may be distrusted before any is forgotten about whom nobody has asked for a while.
const USERS_MAX: usize = 100_000;
/// No request that began with a user distrusted lasts longer.
const WHILE: TimeDelta = TimeDelta::minutes(10);

#[derive(Debug)]
pub(super) struct Distrust(RwLock<Users>);

#[derive(Debug)]
struct Users {
    /// When each was distrusted last.
    since: HashMap<u64, DateTime<Utc>>,
    /// With how many it is looked for some to forget. After that there is room for a while, so that it is not done for each new one.
    room: usize,
}

impl Default for Distrust {
    fn default() -> Self {
        Self::with(USERS_MAX)
    }
}

impl Distrust {
    fn with(room: usize) -> Self {
        Self(RwLock::new(Users { since: HashMap::new(), room }))
    }

    /// Whether the follows of a user, and those who follow the user, count for nothing.
    pub(super) fn holds(&self, xuid: u64) -> bool {
        self.0.read().expect("nobody panics while holding the users").since.contains_key(&xuid)
    }

    /// Facts that were found for callers: nobody follows one who is distrusted. Of several it is not known which of them is followed, so
    /// none counts as followed when one is distrusted.
    pub(super) fn facts(&self, callers: &[u64], facts: &mut AccessFacts) {
        facts.followed = facts.followed && !callers.iter().any(|caller| self.holds(*caller));
    }

    /// Edges that were found to callers: those to callers who are distrusted go.
    pub(super) fn follows(&self, follows: &mut Vec<Edge>) {
        follows.retain(|edge| !self.holds(edge.to));
    }

    fn add(&self, xuid: u64, now: DateTime<Utc>) {
        let mut users = self.0.write().expect("nobody panics while holding the users");
        if users.since.len() >= users.room && !users.since.contains_key(&xuid) {
            users.since.retain(|_, since| now - *since < WHILE);
            users.room = users.room.max(2 * users.since.len());
        }
        users.since.insert(xuid, now);
    }

    fn remove(&self, xuid: u64) {
        if self.holds(xuid) {
            self.0.write().expect("nobody panics while holding the users").since.remove(&xuid);
        }
    }
}

impl Store {
    /// From `now` on, in real time, this store answers requests of a user as if the user followed nobody and nobody followed the user,
    /// until it is told otherwise. It may forget a user who was not distrusted again for minutes.
    pub fn distrust_follows(&self, xuid: u64, now: DateTime<Utc>) {
        self.distrust.add(xuid, now);
    }

    /// What the tables say about a user counts again.
    pub fn trust_follows(&self, xuid: u64) {
        self.distrust.remove(xuid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a40_who_is_distrusted_and_never_asks_again_is_forgotten() {
        let distrust = Distrust::with(3);
        let now = DateTime::UNIX_EPOCH;
        for (xuid, minutes) in [(1, 0), (2, 0), (1, 9), (3, 9)] {
            distrust.add(xuid, now + TimeDelta::minutes(minutes));
        }
        distrust.add(4, now + TimeDelta::minutes(10));
        assert_eq!([1, 2, 3, 4].map(|xuid| distrust.holds(xuid)), [true, false, true, true]);
        distrust.add(5, now + TimeDelta::minutes(10));
        assert!([1, 3, 4, 5].iter().all(|xuid| distrust.holds(*xuid)), "safety goes first");
        distrust.remove(5);
        distrust.remove(6);
        assert!(distrust.holds(4) && !distrust.holds(5));
    }
}
