//! One session as this instance follows it for the members whose sockets are here: pure bookkeeping of what was looked at.

use std::sync::Arc;

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
    listed_at: u64,
    /// The subscriptions of sockets that are here.
    pub listeners: Vec<Listener>,
    /// The last search of the database that found a member here.
    pub found_in: u64,
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
    /// A session of which everything up to a number of a life counts as looked at.
    #[must_use]
    pub fn new(resource: Arc<str>, branch: Branch, complete: u64, found_in: u64) -> Self {
        Self { resource, branch, complete, listed_at: 0, listeners: Vec::new(), found_in }
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
        }
    }

    /// Notes who listens as of a change, unless a later state is known.
    pub fn list(&mut self, listeners: Vec<Listener>, as_of: u64) {
        if as_of >= self.listed_at {
            self.listed_at = as_of;
            self.listeners = listeners;
        }
    }

    /// Finds out who is to be tapped for changes of this life, in their order: each once, with the last number that concerns it (N-53,
    /// N-55).
    #[must_use]
    pub fn due(&self, changes: &[Told]) -> Vec<Due> {
        let last_for = |listener: &Listener| {
            let fires = |change: &&Told| change.branch == self.branch && change.fires(listener);
            changes.iter().rev().find(fires).map(|change| (listener.clone(), self.branch, change.change_number))
        };
        self.listeners.iter().filter_map(last_for).collect()
    }

    /// Everybody, for a change that may have been anything.
    #[must_use]
    pub fn all(&self, number: u64) -> Vec<Due> {
        self.listeners.iter().map(|listener| (listener.clone(), self.branch, number)).collect()
    }

    /// Notes that changes up to a number have been looked at, with nothing missing before them.
    pub fn complete_to(&mut self, last: u64) {
        self.complete = self.complete.max(last);
    }

    /// Drops the subscriptions of a socket that is gone.
    pub fn drop_connection(&mut self, id: ConnectionId) {
        self.listeners.retain(|listener| listener.connection != id);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::change::Kinds;
    use crate::domain::names::Xuid;
    use crate::domain::subscription::Wants;

    pub(in crate::notify) const LIFE: Branch = Branch(Uuid::from_u128(1));
    pub(in crate::notify) const NEXT_LIFE: Branch = Branch(Uuid::from_u128(2));

    pub(in crate::notify) fn change(number: u64) -> Told {
        Told {
            branch: LIFE,
            change_number: number,
            at: DateTime::UNIX_EPOCH,
            kinds: Kinds(1),
            exempt: None,
            deleted: false,
            departed: Vec::new(),
        }
    }

    pub(in crate::notify) fn listener(index: u32) -> Listener {
        Listener {
            index,
            xuid: Xuid(u64::from(index)),
            connection: ConnectionId(Uuid::from_u128(u128::from(index))),
            subscription: "s".into(),
            wants: Wants::EVERYTHING,
        }
    }

    fn followed(complete: u64, listeners: &[u32]) -> Followed {
        let mut followed = Followed::new("a~b~c".into(), LIFE, complete, 0);
        followed.list(listeners.iter().map(|index| listener(*index)).collect(), complete);
        followed
    }

    fn told(due: Vec<Due>) -> Vec<(u32, u64)> {
        due.into_iter().map(|(listener, _, number)| (listener.index, number)).collect()
    }

    #[test]
    fn n53_each_is_told_of_the_last_change_that_concerns_it() {
        let followed = followed(4, &[1, 2]);
        let changes = [change(5), Told { exempt: Some(2), ..change(6) }];
        assert_eq!(told(followed.due(&changes)), [(1, 6), (2, 5)], "N-39, N-55");
        assert_eq!(told(followed.due(&[Told { branch: NEXT_LIFE, ..change(1) }])), [], "another life");
    }

    #[test]
    fn what_is_missing_is_asked_for_from_where_nothing_is_missing() {
        let mut followed = followed(4, &[1]);
        assert_eq!(followed.fit(LIFE, 3, 4), Fit::Old);
        assert_eq!(followed.fit(LIFE, 5, 5), Fit::Next);
        assert_eq!(followed.fit(LIFE, 3, 6), Fit::Next, "it overlaps");
        assert_eq!(followed.fit(LIFE, 6, 6), Fit::Gap(LIFE, 4));
        assert_eq!(followed.fit(NEXT_LIFE, 1, 1), Fit::Gap(LIFE, 4), "the end of this life is not known");
        followed.complete_to(6);
        followed.complete_to(5);
        assert_eq!(followed.fit(LIFE, 7, 7), Fit::Next);
    }

    #[test]
    fn an_older_list_does_not_count() {
        let mut followed = followed(4, &[1, 2]);
        followed.list(vec![listener(2), listener(3)], 6);
        followed.list(vec![listener(1)], 5);
        assert_eq!(told(followed.due(&[change(7)])), [(2, 7), (3, 7)]);
        followed.drop_connection(listener(3).connection);
        assert_eq!(told(followed.all(9)), [(2, 9)]);
        followed.turn_to(NEXT_LIFE, 0);
        followed.list(vec![listener(4)], 1);
        assert_eq!(told(followed.all(1)), [(4, 1)], "S-21: numbers begin again");
    }
}
