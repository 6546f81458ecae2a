//! One session as this instance follows it for the members whose sockets are here: pure bookkeeping of what each of them was told.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::directory::Told;
use crate::domain::names::{Branch, ConnectionId};
use crate::domain::subscription::Listener;

/// A session that members are registered in whose sockets are here.
#[derive(Debug)]
pub struct Followed {
    /// Its service config, template and name, joined by `~`.
    pub resource: Arc<str>,
    /// Which life of it.
    pub branch: Branch,
    /// Of this life every change up to this number has been looked at.
    pub complete: u64,
    /// The number that the subscriptions below belong to, or an older one.
    pub listed_at: u64,
    /// The subscriptions of sockets that are here, each with the last number it was tapped for.
    pub listeners: Vec<(Listener, u64)>,
    /// The last search of the database that found a member here.
    pub found_in: u64,
}

/// What the database says of a session that is followed here.
pub struct Seen {
    /// Its service config, template and name, joined by `~`.
    pub resource: Arc<str>,
    /// Its present life.
    pub branch: Branch,
    /// The number of its last change.
    pub change_number: u64,
    /// When that was read.
    pub at: DateTime<Utc>,
    /// Its subscriptions.
    pub listeners: Vec<Listener>,
}

/// What a change means for those who follow the session here.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    /// It was looked at before.
    Old,
    /// It comes right after what was looked at.
    Next,
    /// Something in between, or another life, is not known here: the log must be read after this number of this branch.
    Gap(Branch, u64),
}

/// A tap for a subscription.
pub type Due = (Listener, Branch, u64);

impl Followed {
    /// A session of which nothing was told yet.
    #[must_use]
    pub fn new(resource: Arc<str>, branch: Branch, complete: u64) -> Self {
        Self { resource, branch, complete, listed_at: 0, listeners: Vec::new(), found_in: 0 }
    }

    /// Where changes `first..=last` of a life stand beside what is known.
    #[must_use]
    pub fn fit(&self, branch: Branch, first: u64, last: u64) -> Fit {
        if branch != self.branch {
            Fit::Gap(self.branch, self.complete)
        } else if last <= self.complete {
            Fit::Old
        } else if first <= self.complete + 1 {
            Fit::Next
        } else {
            Fit::Gap(branch, self.complete)
        }
    }

    /// Turns to another life of the session, if it is another.
    pub fn turn_to(&mut self, branch: Branch, complete: u64) {
        if self.branch != branch {
            self.branch = branch;
            self.complete = complete;
            self.listed_at = 0;
            for (_, tapped) in &mut self.listeners {
                *tapped = 0;
            }
        }
    }

    /// Notes who listens as of a change, unless a later state is known. Whoever stays keeps what it was told.
    pub fn list(&mut self, listeners: Vec<Listener>, as_of: u64) {
        if as_of < self.listed_at {
            return;
        }
        self.listed_at = as_of;
        let before = std::mem::take(&mut self.listeners);
        let tapped = |one: &Listener| {
            let same = |other: &Listener| (other.connection, &other.subscription) == (one.connection, &one.subscription);
            before.iter().find(|(other, _)| same(other)).map_or(0, |(_, tapped)| *tapped)
        };
        self.listeners = listeners.into_iter().map(|one| (tapped(&one), one)).map(|(tapped, one)| (one, tapped)).collect();
    }

    /// Finds out who is to be tapped for changes of this life, in their order, each once and with the last number that concerns it
    /// (N-53, N-55). Nobody is tapped for a number twice, or for an older one after a newer one.
    pub fn tell(&mut self, changes: &[Told]) -> Vec<Due> {
        let mut due = Vec::new();
        let branch = self.branch;
        for (listener, tapped) in &mut self.listeners {
            let fires = |change: &&Told| change.branch == branch && change.change_number > *tapped && change.fires(listener);
            if let Some(change) = changes.iter().rev().find(fires) {
                *tapped = change.change_number;
                due.push((listener.clone(), branch, change.change_number));
            }
        }
        due
    }

    /// Notes that changes up to a number have been looked at, with nothing missing before them.
    pub fn complete_to(&mut self, last: u64) {
        self.complete = self.complete.max(last);
    }

    /// Drops the subscriptions of a socket that is gone.
    pub fn drop_connection(&mut self, id: ConnectionId) {
        self.listeners.retain(|(listener, _)| listener.connection != id);
    }
}
