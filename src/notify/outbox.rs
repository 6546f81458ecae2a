//! What waits to be sent on one socket: bounded, because taps for one session merge, and never awaited by those who fill it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::names::{Branch, TitleId};

/// The most sessions, in lives of theirs, that taps wait for on one socket: a connection is registered in 10 at most (N-36), and a
/// member that was removed is tapped once more.
const TAPS_MAX: usize = 256;
/// Of how many it is remembered which number was told last.
const TOLD_MAX: usize = 2 * TAPS_MAX;
/// The most invites that wait on one socket.
const INVITES_MAX: usize = 64;

/// Tells a member that its session has changed (N-53).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    /// When the change was decided.
    pub at: DateTime<Utc>,
    /// The id of the member's subscription (N-31).
    pub subscription: Arc<str>,
    /// The session: its service config, template and name, joined by `~`.
    pub resource: Arc<str>,
    /// The session's id.
    pub sid: Uuid,
    /// Which life of the session.
    pub branch: Branch,
    /// The number of the change.
    pub change_number: u64,
}

/// An invite for whoever listens for one title (N-60).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The title.
    pub title_id: TitleId,
    /// The H-33 document, as JSON.
    pub document: Arc<str>,
}

/// Why a socket is to be closed by the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// The service ends.
    Ending,
    /// The instance was taken for dead, so that its connection ids are dead too.
    Forgotten,
    /// The user has been banned.
    Banned,
}

/// What waited, in the order it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// One tap per session and life, each with its last number (N-55).
    pub taps: Vec<Tap>,
    /// Invites.
    pub invites: Vec<Invite>,
    /// Whether something did not fit and is lost (N-44).
    pub lost: bool,
    /// Whether nothing will come after this.
    pub farewell: Option<Farewell>,
}

/// What waits to be sent on one socket.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    taps: IndexMap<(Uuid, Branch, Arc<str>), Tap>,
    /// The last numbers that were told or wait.
    told: IndexMap<(Uuid, Branch, Arc<str>), u64>,
    invites: VecDeque<Invite>,
    lost: bool,
    farewell: Option<Farewell>,
}

impl Outbox {
    /// Adds a tap, in place of an older one of the same subscription for the same life of the session. What is not newer than what was
    /// told is left out: whoever looks things up may come to it twice, and late (N-55).
    pub fn tap(&self, tap: Tap) {
        self.put(|waiting| {
            let key = (tap.sid, tap.branch, Arc::clone(&tap.subscription));
            if waiting.told.get(&key).is_some_and(|told| *told >= tap.change_number) {
                return;
            }
            if waiting.taps.len() >= TAPS_MAX && !waiting.taps.contains_key(&key) {
                waiting.lost = true;
                return;
            }
            // Whoever was told of longest ago is forgotten first.
            if waiting.told.shift_remove(&key).is_none() && waiting.told.len() >= TOLD_MAX {
                waiting.told.shift_remove_index(0);
            }
            waiting.told.insert(key.clone(), tap.change_number);
            // What is newer stands behind what is older, whatever it takes the place of.
            waiting.taps.shift_remove(&key);
            waiting.taps.insert(key, tap);
        });
    }

    /// Adds an invite.
    pub fn invite(&self, invite: Invite) {
        self.put(|waiting| {
            if waiting.invites.len() < INVITES_MAX {
                waiting.invites.push_back(invite);
            } else {
                waiting.lost = true;
            }
        });
    }

    /// Asks for the socket to be closed.
    pub fn close(&self, farewell: Farewell) {
        self.put(|waiting| waiting.farewell = waiting.farewell.or(Some(farewell)));
    }

    /// Takes all that waits.
    pub fn take(&self) -> Parcel {
        let mut waiting = self.lock();
        Parcel {
            taps: std::mem::take(&mut waiting.taps).into_values().collect(),
            invites: std::mem::take(&mut waiting.invites).into(),
            lost: std::mem::take(&mut waiting.lost),
            farewell: waiting.farewell,
        }
    }

    /// Waits until something is there. To be awaited by one task only, the socket's own.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    fn put(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.lock());
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tap(sid: u128, branch: u128, number: u64) -> Tap {
        Tap {
            at: DateTime::UNIX_EPOCH,
            subscription: "s".into(),
            resource: "a~b~c".into(),
            sid: Uuid::from_u128(sid),
            branch: Branch(Uuid::from_u128(branch)),
            change_number: number,
        }
    }

    #[test]
    fn n55_taps_of_one_session_merge_into_the_last() {
        let outbox = Outbox::default();
        for tap in [tap(1, 1, 4), tap(2, 1, 1), tap(1, 1, 6), tap(1, 1, 5), tap(1, 2, 1)] {
            outbox.tap(tap);
        }
        outbox.tap(Tap { subscription: "other".into(), ..tap(1, 1, 3) });
        let taken: Vec<_> =
            outbox.take().taps.into_iter().map(|tap| (tap.sid.as_u128(), tap.branch.0.as_u128(), tap.change_number)).collect();
        assert_eq!(taken, [(2, 1, 1), (1, 1, 6), (1, 2, 1), (1, 1, 3)]);
        assert_eq!(outbox.take(), Parcel::default());
    }

    #[test]
    fn n44_what_does_not_fit_is_told_to_be_lost() {
        let outbox = Outbox::default();
        for number in 0..300 {
            outbox.tap(tap(number, 1, 1));
            outbox.invite(Invite { title_id: TitleId(1), document: "{}".into() });
        }
        let parcel = outbox.take();
        assert_eq!((parcel.taps.len(), parcel.invites.len(), parcel.lost), (TAPS_MAX, INVITES_MAX, true));
        outbox.tap(tap(1, 1, 1));
        assert!(!outbox.take().lost, "once");
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_and_a_farewell_stays() {
        let outbox = Outbox::default();
        outbox.close(Farewell::Forgotten);
        outbox.close(Farewell::Ending);
        outbox.filled().await;
        assert_eq!(outbox.take().farewell, Some(Farewell::Forgotten));
        assert_eq!(outbox.take().farewell, Some(Farewell::Forgotten));
    }
}
