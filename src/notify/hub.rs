//! Who listens to what on this instance, and what each was told.
//!
//! The state is small and held for moments: whoever commits never waits for it. What cannot be decided from it is left on a list for
//! `catch_up`, which asks the database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use uuid::Uuid;

use super::hint::{Changed, Hint};
use super::outbox::{Farewell, Invite, Outbox};
use super::state::{Ear, Lives, Seen, Socket, State};
use crate::ambient::{Clock, Ids};
use crate::directory::{Announcement, Gather, Told};
use crate::domain::names::{Branch, ConnectionId, TitleId, Xuid};
use crate::metrics::Metrics;
use crate::store::rows::Registration;
use crate::store::{Store, StoreError};

/// Everybody on this instance who listens. One per process.
pub struct Hub {
    ids: Ids,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// The id of this instance: another one once others took it for dead.
    instance: RwLock<Uuid>,
    state: Mutex<State>,
    opening: Gather<(Uuid, u64), ()>,
    lost: mpsc::UnboundedSender<ConnectionId>,
    /// How many lost connections have not been recorded in their sessions yet.
    losing: watch::Sender<usize>,
    /// Wakes whoever catches up.
    behind: Notify,
    /// Whether other instances are there to be told.
    peers: AtomicBool,
    ending: AtomicBool,
    /// Numbers ears and seats.
    numbers: AtomicU64,
}

/// While it lives, invites of a user for a title go to a socket.
pub struct Ears {
    hub: Arc<Hub>,
    xuid: Xuid,
    number: u64,
}

/// While it lives, a socket can be asked to close.
pub struct Seat {
    hub: Arc<Hub>,
    number: u64,
}

/// Wakes whoever follows one session when it may have changed.
pub struct Watch {
    hub: Arc<Hub>,
    sid: Uuid,
    number: u64,
    rung: Arc<Notify>,
}

impl Hub {
    /// A hub that nobody listens to yet, and where lost connections come out.
    pub(super) fn new(
        store: &Store,
        clock: &Clock,
        ids: &Ids,
        metrics: &Arc<Metrics>,
        instance: Uuid,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<ConnectionId>) {
        let (lost, losses) = mpsc::unbounded_channel();
        let hub = Arc::new_cyclic(|hub: &Weak<Self>| Self {
            opening: Self::opening(hub.clone(), store.clone(), clock.clone()),
            ids: ids.clone(),
            clock: clock.clone(),
            metrics: Arc::clone(metrics),
            instance: RwLock::new(instance),
            state: Mutex::default(),
            lost,
            losing: watch::Sender::new(0),
            behind: Notify::new(),
            peers: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
        });
        (hub, losses)
    }

    fn opening(hub: Weak<Self>, store: Store, clock: Clock) -> Gather<(Uuid, u64), ()> {
        Gather::start(move |asks: Vec<(Uuid, u64)>| {
            let (hub, store, clock) = (hub.clone(), store.clone(), clock.clone());
            async move {
                let instance = hub.upgrade().map(|hub| hub.instance()).unwrap_or_default();
                store.open_connections(instance, &asks, clock.real()).await.map(|()| vec![(); asks.len()])
            }
        })
    }

    /// The id of this instance.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        *self.instance.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Lets a socket be asked to close.
    #[must_use]
    pub fn seat(self: &Arc<Self>, outbox: &Arc<Outbox>) -> Seat {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.lock().seats.insert(number, Arc::clone(outbox));
        if self.ending.load(Ordering::Relaxed) {
            outbox.close(Farewell::Ending);
        }
        Seat { hub: Arc::clone(self), number }
    }

    /// Makes a connection id for a socket of a user; it is known to every instance before this returns (N-22).
    ///
    /// # Errors
    /// Whatever keeps it from being known: to be answered with 1002 (N-67).
    pub async fn open(&self, xuid: Xuid, outbox: &Arc<Outbox>) -> Result<ConnectionId, Unopened> {
        if self.ending.load(Ordering::Relaxed) {
            return Err(Unopened::Ending);
        }
        let instance = self.instance();
        let id = ConnectionId(self.ids.uuid());
        let made = self.opening.ask((id.0, xuid.0)).await;
        if let Some(Ok(())) = made {
            let mut state = self.lock();
            // Otherwise the row may belong to an instance that others have forgotten.
            if instance == self.instance() {
                state.sockets.insert(id, Socket::new(xuid, Arc::clone(outbox)));
                return Ok(id);
            }
        }
        // The row may be there, whatever was answered.
        self.hand_over(id);
        match made {
            Some(Err(error)) => Err(error.into()),
            _ => Err(Unopened::Busy),
        }
    }

    /// The connection is lost: its socket closed, or the resource was unsubscribed (N-24, N-40). Never waits.
    pub fn lose(&self, connection: ConnectionId) {
        self.lock().lose(connection);
        self.hand_over(connection);
    }

    fn hand_over(&self, lost: ConnectionId) {
        self.metrics.connections_lost.inc();
        self.losing.send_modify(|losing| *losing += 1);
        let _ = self.lost.send(lost);
    }

    /// Notes that lost connections have been recorded in their sessions.
    pub(super) fn recorded(&self, lost: usize) {
        self.losing.send_modify(|losing| *losing -= lost);
    }

    /// Waits until every connection that has been lost by now is recorded in its sessions, or until it takes too long.
    pub async fn losses_recorded(&self, patience: Duration) {
        let mut losing = self.losing.subscribe();
        let _ = timeout(patience, losing.wait_for(|losing| *losing == 0)).await;
    }

    /// Lets a socket hear the invites of a user that are for a title (N-60).
    #[must_use]
    pub fn hear(self: &Arc<Self>, xuid: Xuid, title_id: TitleId, outbox: &Arc<Outbox>) -> Ears {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let ear = Ear::new(number, title_id, Arc::clone(outbox), self.clock.now());
        self.lock().ears.entry(xuid).or_default().push(ear);
        Ears { hub: Arc::clone(self), xuid, number }
    }

    /// Wakes whoever holds the watch when the session may have changed. What other instances commit is not always noticed.
    #[must_use]
    pub fn watch(self: &Arc<Self>, sid: Uuid) -> Watch {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let rung = Arc::new(Notify::new());
        self.lock().watches.entry(sid).or_default().push((number, Arc::clone(&rung)));
        Watch { hub: Arc::clone(self), sid, number, rung }
    }

    /// How many sockets have a connection id here.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.lock().sockets.len()
    }

    /// Asks every socket to close, and makes no more connection ids.
    pub fn close_all(&self) {
        self.ending.store(true, Ordering::Relaxed);
        for outbox in self.lock().seats.values() {
            outbox.close(Farewell::Ending);
        }
    }

    /// Whether the service ends.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Goes on as another instance, which others know already, because they took this one for dead: its connections are lost, and
    /// their sockets closed so that they come back.
    pub(super) fn start_anew(&self, instance: Uuid) {
        let mut state = self.lock();
        *self.instance.write().unwrap_or_else(PoisonError::into_inner) = instance;
        let sockets = state.forget();
        drop(state);
        for (connection, socket) in sockets {
            socket.outbox.close(Farewell::Forgotten);
            self.hand_over(connection);
        }
    }

    /// Whether others are there to be told.
    pub(super) fn set_peers(&self, are_there: bool) {
        self.peers.store(are_there, Ordering::Relaxed);
    }

    /// Takes what was committed in this process, taps whoever is here, and says what others have to be told.
    pub(super) fn hear_of(&self, news: &Announcement) -> Option<Hint> {
        let elsewhere = self.change(|state| {
            state.ring(news.sid);
            state.tell(news)
        });
        if elsewhere && self.has_peers() { Changed::of(news).map(Hint::Changed) } else { None }
    }

    /// Whether other instances are known that have to be told.
    #[must_use]
    pub fn has_peers(&self) -> bool {
        self.peers.load(Ordering::Relaxed)
    }

    /// Takes what another instance has committed.
    pub(super) fn take_hint(&self, changed: &Changed) {
        self.metrics.hints_received.inc();
        self.change(|state| {
            state.ring(changed.sid);
            state.take_hint(changed);
        });
    }

    /// Begins a search of the database and returns the connections it is for, with their users.
    pub(super) fn begin_search(&self) -> Vec<(Uuid, u64)> {
        let mut state = self.lock();
        state.search += 1;
        state.sockets.iter().map(|(id, socket)| (id.0, socket.xuid.0)).collect()
    }

    /// Compares what the search found with what is known.
    pub(super) fn found(&self, registrations: &[Registration]) {
        let mut state = self.lock();
        for one in registrations {
            state.found(one);
        }
    }

    /// Ends the search: sessions that it did not find have lost their members here.
    pub(super) fn end_search(&self) {
        self.change(State::end_search);
    }

    /// Waits until something is to be looked up. To be awaited by one task only.
    pub(super) async fn fallen_behind(&self) {
        self.behind.notified().await;
    }

    /// Takes sessions that are to be looked up, with the lives and numbers that are known of them.
    pub(super) fn take_behind(&self, most: usize) -> Vec<(Uuid, Lives)> {
        self.lock().take_behind(most)
    }

    /// Puts back what could not be looked up.
    pub(super) fn put_back(&self, behind: Vec<(Uuid, Lives)>) {
        self.lock().put_back(behind);
    }

    /// Gives up looking up a session that cannot be read.
    pub(super) fn give_up(&self, sid: Uuid) {
        self.lock().give_up(sid);
    }

    /// Takes what was looked up: the changes of one life of a session, and the session itself, if it is there.
    pub(super) fn catch_up(&self, sid: Uuid, life: (Branch, u64), missed: &[Told], seen: Option<&Seen>) {
        self.lock().catch_up(sid, life, missed, seen);
    }

    /// Whether somebody here hears the invites of a user.
    pub(super) fn hears(&self, xuid: Xuid) -> bool {
        self.lock().ears.contains_key(&xuid)
    }

    /// Who listens for invites here.
    pub(super) fn listening(&self) -> Vec<u64> {
        self.lock().ears.keys().map(|xuid| xuid.0).collect()
    }

    /// Hands an invite to every socket of its user, once; if it was found by searching, to those that listened when it was made.
    /// `document` renders it for a title, if it is for that one.
    pub(super) fn invite(
        &self,
        xuid: Xuid,
        (handle, made_at): (Uuid, DateTime<Utc>),
        found: bool,
        document: impl Fn(TitleId) -> Option<Arc<str>>,
    ) {
        let ears: Vec<(TitleId, Arc<Outbox>)> = {
            let mut state = self.lock();
            let ears = state.ears.get_mut(&xuid).into_iter().flatten();
            ears.filter(|ear| !found || ear.since <= made_at)
                .filter_map(|ear| ear.learn(handle, made_at).then(|| (ear.title_id, Arc::clone(&ear.outbox))))
                .collect()
        };
        for (title_id, outbox) in ears {
            if let Some(document) = document(title_id) {
                outbox.invite(Invite { title_id, document });
            }
        }
    }

    /// Changes the state, and wakes whoever looks up if that leaves something to be looked up.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = change(&mut state);
        let is_behind = !state.behind.is_empty();
        drop(state);
        if is_behind {
            self.behind.notify_one();
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a connection id was not made.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// The service ends.
    #[error("the service is ending")]
    Ending,
    /// Too many are being opened.
    #[error("too many connections are being opened")]
    Busy,
    /// The database does not know it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Watch {
    /// Waits until the session may have changed since the last call, or for ever. Cancel safe.
    pub async fn rung(&self) {
        self.rung.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if let Some(watches) = state.watches.get_mut(&self.sid) {
            watches.retain(|(number, _)| *number != self.number);
            if watches.is_empty() {
                state.watches.remove(&self.sid);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.lock().seats.remove(&self.number);
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if let Some(ears) = state.ears.get_mut(&self.xuid) {
            ears.retain(|ear| ear.number != self.number);
            if ears.is_empty() {
                state.ears.remove(&self.xuid);
            }
        }
    }
}
