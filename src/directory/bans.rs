//! Who is refused everywhere, in memory: judged on every request, and read again when the list has changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};
use tracing::{debug, info};

use super::Directory;
use crate::domain::names::Xuid;
use crate::store::{Store, StoreError};

/// Everybody who is banned, as of one revision of the list.
#[derive(Debug, Default)]
pub struct Bans {
    current: RwLock<Known>,
    /// What was changed through this instance and is not taken over yet, by the revision that it made.
    waiting: Mutex<BTreeMap<i64, Change>>,
    /// One at a time takes something over: what was read later is never replaced by what was read earlier.
    taking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    revision: i64,
    /// When each ban ends, if it does.
    until: HashMap<u64, Option<DateTime<Utc>>>,
}

/// What became of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Banned, perhaps until some instant.
    Banned(u64, Option<DateTime<Utc>>),
    /// Not banned any more.
    Ended(u64),
}

impl Known {
    fn take(&mut self, revision: i64, change: Change) {
        match change {
            Change::Banned(xuid, until) => self.until.insert(xuid, until),
            Change::Ended(xuid) => self.until.remove(&xuid),
        };
        self.revision = revision;
    }
}

impl Bans {
    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Known> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<i64, Change>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a user is banned at an instant of real time: a ban that has expired is none.
    #[must_use]
    pub fn hold(&self, xuid: Xuid, real_now: DateTime<Utc>) -> bool {
        self.known().until.get(&xuid.0).is_some_and(|until| until.is_none_or(|until| until > real_now))
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known().until.is_empty()
    }

    /// Reads the list again if the database has another revision than the one in memory, be it an earlier one: then it is another
    /// database, or was restored.
    pub(super) async fn refresh(&self, store: &Store, real_now: DateTime<Utc>) -> Result<(), StoreError> {
        let _alone = self.taking.lock().await;
        self.take_following();
        if store.ban_revision().await? == self.known().revision {
            return Ok(());
        }
        self.load(store, real_now).await
    }

    /// Takes over one change, which made a revision: by itself if nothing is missing before it, else with the whole list. Whoever waits
    /// while the list is read finds itself in it.
    pub(super) async fn take(
        &self,
        store: &Store,
        revision: i64,
        change: Change,
        real_now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.waiting().insert(revision, change);
        let _alone = self.taking.lock().await;
        self.take_following();
        if !self.waiting().contains_key(&revision) {
            return Ok(());
        }
        let loaded = self.load(store, real_now).await;
        self.waiting().remove(&revision);
        loaded
    }

    /// Takes over those of the waiting changes that follow directly.
    fn take_following(&self) {
        let mut waiting = self.waiting();
        let mut current = self.change();
        let mut next = current.revision + 1;
        while let Some(change) = waiting.remove(&next) {
            current.take(next, change);
            next += 1;
        }
    }

    async fn load(&self, store: &Store, real_now: DateTime<Utc>) -> Result<(), StoreError> {
        let covered: Vec<i64> = self.waiting().keys().copied().collect();
        let list = store.load_bans(real_now).await?;
        let known = Known { revision: list.revision, until: list.until.into_iter().collect() };
        let count = known.until.len();
        let former = std::mem::replace(&mut *self.change(), known);
        self.waiting().retain(|revision, _| *revision > list.revision && !covered.contains(revision));
        if count > 0 || !former.until.is_empty() {
            info!(revision = list.revision, "{count} users are banned");
        } else {
            debug!(revision = list.revision, "nobody is banned");
        }
        Ok(())
    }
}

impl Directory {
    /// Who is banned.
    #[must_use]
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Takes over bans, and ends of bans, that other instances were told of.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn refresh_bans(&self) -> Result<(), StoreError> {
        self.bans.refresh(&self.store, self.clock.real()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bans as they are while a list is read: changes that were made meanwhile wait.
    fn waiting(known: i64, changes: &[(i64, Change)]) -> Bans {
        let bans = Bans { waiting: Mutex::new(changes.iter().copied().collect()), ..Bans::default() };
        bans.change().revision = known;
        bans
    }

    #[test]
    fn changes_that_follow_are_taken_in_their_order_whoever_comes_first() {
        let bans = waiting(4, &[(6, Change::Ended(1)), (5, Change::Banned(1, None)), (7, Change::Banned(2, None))]);
        bans.take_following();
        let now = DateTime::UNIX_EPOCH;
        assert_eq!((bans.hold(Xuid(1), now), bans.hold(Xuid(2), now)), (false, true));
        assert_eq!((bans.known().revision, bans.waiting().len()), (7, 0));
    }

    #[test]
    fn a_change_waits_for_what_is_missing_before_it() {
        let bans = waiting(4, &[(6, Change::Banned(1, None)), (3, Change::Banned(2, None))]);
        bans.take_following();
        assert!(bans.is_empty());
        assert_eq!((bans.known().revision, bans.waiting().len()), (4, 2));
    }
}
