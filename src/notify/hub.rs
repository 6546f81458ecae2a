//! Who listens to what on this instance, and what each was told.
//!
//! The state is small and held for moments: whoever commits never waits for it. What cannot be decided from it is left on a list for
//! `catch_up`, which asks the database.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use super::followed::{Due, Fit, Followed, Seen};
use super::hint::{Changed, Hint};
use super::outbox::{Farewell, Invite, Outbox, Tap};
use crate::ambient::{Clock, Ids};
use crate::directory::{Announcement, Gather, Told};
use crate::domain::change::Kinds;
use crate::domain::names::{Branch, ConnectionId, TitleId, Xuid};
use crate::domain::subscription::Listener;
use crate::store::rows::Registration;
use crate::store::{Store, StoreError};

/// Everybody on this instance who listens. One per process.
pub struct Hub {
    ids: Ids,
    /// The id of this instance: another one once others took it for dead.
    instance: RwLock<Uuid>,
    state: Mutex<State>,
    opening: Gather<(Uuid, u64), ()>,
    lost: mpsc::UnboundedSender<ConnectionId>,
    /// Wakes whoever catches up.
    behind: Notify,
    /// Whether other instances are there to be told.
    peers: AtomicBool,
    ending: AtomicBool,
    /// Numbers ears and seats.
    numbers: AtomicU64,
}

#[derive(Default)]
struct State {
    sockets: HashMap<ConnectionId, Socket>,
    sessions: HashMap<Uuid, Followed>,
    /// Sessions to be looked up, each with lives of it and the last numbers that are known of those.
    behind: HashMap<Uuid, Vec<(Branch, u64)>>,
    /// Sessions that are being looked up: what is heard of them meanwhile may come too late for that.
    looking: HashSet<Uuid>,
    ears: HashMap<Xuid, Vec<Ear>>,
    watches: HashMap<Uuid, Vec<Weak<Notify>>>,
    /// Every socket, whether or not it listens to anything.
    seats: HashMap<u64, Arc<Outbox>>,
    /// Counts the searches of the database for members who are registered here.
    search: u64,
}

struct Socket {
    xuid: Xuid,
    outbox: Arc<Outbox>,
    /// The sessions that it may listen to.
    sessions: HashSet<Uuid>,
}

struct Ear {
    number: u64,
    title_id: TitleId,
    outbox: Arc<Outbox>,
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
    rung: Arc<Notify>,
}

impl Hub {
    /// A hub that nobody listens to yet, and where lost connections come out.
    pub(super) fn new(
        store: &Store,
        clock: &Clock,
        ids: &Ids,
        instance: Uuid,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<ConnectionId>) {
        let (lost, losses) = mpsc::unbounded_channel();
        let hub = Arc::new_cyclic(|hub: &Weak<Self>| Self {
            opening: Self::opening(hub.clone(), store.clone(), clock.clone()),
            ids: ids.clone(),
            instance: RwLock::new(instance),
            state: Mutex::default(),
            lost,
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
        self.opening.ask((id.0, xuid.0)).await.ok_or(Unopened::Busy)??;
        let mut state = self.lock();
        if instance != self.instance() {
            // The row may belong to an instance that others have forgotten.
            drop(state);
            let _ = self.lost.send(id);
            return Err(Unopened::Busy);
        }
        state.sockets.insert(id, Socket { xuid, outbox: Arc::clone(outbox), sessions: HashSet::new() });
        Ok(id)
    }

    /// Whether the service ends.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// The connection is lost: its socket closed, or the resource was unsubscribed (N-24, N-40). Never waits.
    pub fn lose(&self, connection: ConnectionId) {
        let mut state = self.lock();
        if let Some(socket) = state.sockets.remove(&connection) {
            for sid in socket.sessions {
                if let Some(followed) = state.sessions.get_mut(&sid) {
                    followed.drop_connection(connection);
                }
            }
        }
        drop(state);
        let _ = self.lost.send(connection);
    }

    /// Lets a socket hear the invites of a user that are for a title (N-60).
    #[must_use]
    pub fn hear(self: &Arc<Self>, xuid: Xuid, title_id: TitleId, outbox: &Arc<Outbox>) -> Ears {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.lock().ears.entry(xuid).or_default().push(Ear { number, title_id, outbox: Arc::clone(outbox) });
        Ears { hub: Arc::clone(self), xuid, number }
    }

    /// Wakes whoever holds the watch when the session may have changed. What other instances commit is not always noticed.
    #[must_use]
    pub fn watch(&self, sid: Uuid) -> Watch {
        let rung = Arc::new(Notify::new());
        let mut state = self.lock();
        let watches = state.watches.entry(sid).or_default();
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(&rung));
        Watch { rung }
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

    /// Starts anew under another id, because others took this instance for dead: its connections are lost, and their sockets closed
    /// so that they come back.
    pub(super) fn start_anew(&self) -> Uuid {
        let id = self.ids.uuid();
        *self.instance.write().unwrap_or_else(PoisonError::into_inner) = id;
        let mut state = self.lock();
        let sockets = std::mem::take(&mut state.sockets);
        state.sessions.clear();
        state.behind.clear();
        drop(state);
        for (connection, socket) in sockets {
            socket.outbox.close(Farewell::Forgotten);
            let _ = self.lost.send(connection);
        }
        id
    }

    /// Whether others are there to be told.
    pub(super) fn set_peers(&self, are_there: bool) {
        self.peers.store(are_there, Ordering::Relaxed);
    }

    /// Takes what was committed in this process, taps whoever is here, and says what others have to be told.
    pub(super) fn hear_of(&self, news: &Announcement) -> Option<Hint> {
        let mut state = self.lock();
        state.ring(news.sid);
        let elsewhere = state.tell(news);
        let has_gaps = !state.behind.is_empty();
        drop(state);
        if has_gaps {
            self.behind.notify_one();
        }
        let hints = elsewhere && self.peers.load(Ordering::Relaxed);
        if hints { Changed::of(news).map(Hint::Changed) } else { None }
    }

    /// Whether other instances are known that have to be told.
    #[must_use]
    pub fn has_peers(&self) -> bool {
        self.peers.load(Ordering::Relaxed)
    }

    /// Takes what another instance has committed.
    pub(super) fn take_hint(&self, changed: &Changed) {
        let mut state = self.lock();
        state.ring(changed.sid);
        state.take_hint(changed);
        let has_gaps = !state.behind.is_empty();
        drop(state);
        if has_gaps {
            self.behind.notify_one();
        }
    }

    /// Begins a search of the database and returns the connections it is for.
    pub(super) fn begin_search(&self) -> Vec<Uuid> {
        let mut state = self.lock();
        state.search += 1;
        state.sockets.keys().map(|id| id.0).collect()
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
        let mut state = self.lock();
        let search = state.search;
        let vanished: Vec<_> = state
            .sessions
            .iter()
            .filter(|(_, followed)| followed.found_in < search)
            .map(|(sid, followed)| (*sid, followed.branch, followed.complete))
            .collect();
        for (sid, branch, complete) in vanished {
            state.fall_behind(sid, branch, complete);
        }
        let has_gaps = !state.behind.is_empty();
        drop(state);
        if has_gaps {
            self.behind.notify_one();
        }
    }

    /// Waits until something is to be looked up. To be awaited by one task only.
    pub(super) async fn fallen_behind(&self) {
        self.behind.notified().await;
    }

    /// Takes sessions that are to be looked up, with the lives and numbers that are known of them.
    pub(super) fn take_behind(&self, most: usize) -> Vec<(Uuid, Vec<(Branch, u64)>)> {
        let mut state = self.lock();
        let sids: Vec<Uuid> = state.behind.keys().take(most).copied().collect();
        state.looking.extend(&sids);
        sids.into_iter().filter_map(|sid| state.behind.remove_entry(&sid)).collect()
    }

    /// Puts back what could not be looked up.
    pub(super) fn put_back(&self, behind: Vec<(Uuid, Vec<(Branch, u64)>)>) {
        let mut state = self.lock();
        for (sid, lives) in behind {
            state.looking.remove(&sid);
            for (branch, after) in lives {
                state.fall_behind(sid, branch, after);
            }
        }
    }

    /// Takes what was looked up: the changes of one life of a session, and the session itself, if it is there.
    pub(super) fn catch_up(&self, sid: Uuid, life: (Branch, u64), missed: &[Told], seen: Option<&Seen>) {
        let mut state = self.lock();
        state.looking.remove(&sid);
        state.catch_up(sid, life, missed, seen);
    }

    /// Whether somebody here hears the invites of a user.
    pub(super) fn hears(&self, xuid: Xuid) -> bool {
        self.lock().ears.contains_key(&xuid)
    }

    /// Hands an invite to every socket of its user; `document` renders it for a title, if it is for that one.
    pub(super) fn invite(&self, xuid: Xuid, document: impl Fn(TitleId) -> Option<Arc<str>>) {
        let ears: Vec<(TitleId, Arc<Outbox>)> = {
            let state = self.lock();
            state.ears.get(&xuid).into_iter().flatten().map(|ear| (ear.title_id, Arc::clone(&ear.outbox))).collect()
        };
        for (title_id, outbox) in ears {
            if let Some(document) = document(title_id) {
                outbox.invite(Invite { title_id, document });
            }
        }
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

impl State {
    fn ring(&mut self, sid: Uuid) {
        let Some(watches) = self.watches.get_mut(&sid) else { return };
        watches.retain(|watch| watch.upgrade().inspect(|rung| rung.notify_one()).is_some());
        if watches.is_empty() {
            self.watches.remove(&sid);
        }
    }

    /// The outbox of a socket that is here and is the user's own (M-33).
    fn outbox(&self, listener: &Listener) -> Option<&Arc<Outbox>> {
        let socket = self.sockets.get(&listener.connection)?;
        (socket.xuid == listener.xuid).then_some(&socket.outbox)
    }

    /// Keeps those subscriptions whose sockets are here, and lets these know of the session.
    fn here(&mut self, sid: Uuid, listeners: &[Listener]) -> Vec<Listener> {
        let here: Vec<Listener> = listeners.iter().filter(|one| self.outbox(one).is_some()).cloned().collect();
        for one in &here {
            if let Some(socket) = self.sockets.get_mut(&one.connection) {
                socket.sessions.insert(sid);
            }
        }
        here
    }

    /// Taps whoever is here for what was committed in this process; says whether somebody may be elsewhere.
    fn tell(&mut self, news: &Announcement) -> bool {
        let Some(last) = news.changes.last() else { return false };
        let departed = news.changes.iter().flat_map(|change| &change.departed);
        let elsewhere = news.listeners.iter().chain(departed).any(|one| self.outbox(one).is_none());
        let here = self.here(news.sid, &news.listeners);
        let known = self.sessions.get(&news.sid);
        let first = news.changes.iter().find(|change| change.branch == last.branch).map_or(0, |change| change.change_number);
        match known.map(|followed| followed.fit(last.branch, first, last.change_number)) {
            Some(Fit::Old) => return elsewhere,
            // The end of the life that was followed may be in these very changes.
            Some(Fit::Gap(branch, complete)) => {
                let follows = news.changes.first().is_some_and(|one| one.branch == branch && one.change_number == complete + 1);
                if !follows {
                    self.fall_behind(news.sid, branch, complete);
                }
            }
            Some(Fit::Next) | None => {}
        }
        self.tap_departed(news.sid, &news.resource, &news.changes);
        if last.deleted {
            self.sessions.remove(&news.sid);
            return elsewhere;
        }
        if here.is_empty() && !self.sessions.contains_key(&news.sid) {
            return elsewhere;
        }
        let search = self.search;
        let followed = self.sessions.entry(news.sid).or_insert_with(|| {
            let mut followed = Followed::new(Arc::clone(&news.resource), last.branch, first.saturating_sub(1));
            followed.found_in = search;
            followed
        });
        followed.turn_to(last.branch, first.saturating_sub(1));
        followed.list(here, last.change_number);
        let due = followed.tell(&news.changes);
        if first <= followed.complete + 1 {
            followed.complete_to(last.change_number);
        }
        self.tap(news.sid, due, last.at);
        elsewhere
    }

    fn take_hint(&mut self, changed: &Changed) {
        let Some(followed) = self.sessions.get_mut(&changed.sid) else {
            let looks = changed.look || self.looking.contains(&changed.sid);
            if looks && !self.sockets.is_empty() {
                self.fall_behind(changed.sid, changed.branch, changed.first.saturating_sub(1));
            }
            return;
        };
        match followed.fit(changed.branch, changed.first, changed.last) {
            Fit::Old => {}
            Fit::Next if !changed.look => {
                let due = followed.tell(&[changed.told()]);
                followed.complete_to(changed.last);
                self.tap(changed.sid, due, changed.at);
            }
            Fit::Next => {
                let (branch, complete) = (followed.branch, followed.complete);
                self.fall_behind(changed.sid, branch, complete);
            }
            Fit::Gap(branch, complete) => self.fall_behind(changed.sid, branch, complete),
        }
    }

    /// Leaves a life of a session to be looked up after a number.
    fn fall_behind(&mut self, sid: Uuid, branch: Branch, after: u64) {
        let lives = self.behind.entry(sid).or_default();
        match lives.iter_mut().find(|(known, _)| *known == branch) {
            Some((_, known)) => *known = after.min(*known),
            None => lives.push((branch, after)),
        }
    }

    /// Compares a member that was found with what is known.
    fn found(&mut self, one: &Registration) {
        let (branch, number) = (Branch(one.branch), one.change_number.cast_unsigned());
        let owns = self.sockets.get(&ConnectionId(one.connection)).is_some_and(|socket| socket.xuid == Xuid(one.owner));
        if !owns {
            return;
        }
        let search = self.search;
        match self.sessions.get_mut(&one.sid) {
            None => self.fall_behind(one.sid, branch, number.saturating_sub(1)),
            Some(followed) => {
                followed.found_in = search;
                let (known, complete) = (followed.branch, followed.complete);
                if known != branch || complete < number {
                    self.fall_behind(one.sid, known, complete);
                }
            }
        }
    }

    fn catch_up(&mut self, sid: Uuid, (branch, after): (Branch, u64), missed: &[Told], seen: Option<&Seen>) {
        let resource = match (seen, self.sessions.get(&sid)) {
            (Some(seen), _) => Arc::clone(&seen.resource),
            (None, Some(followed)) => Arc::clone(&followed.resource),
            // Nobody here was a member.
            (None, None) => return,
        };
        self.tap_departed(sid, &resource, missed);
        let Some(seen) = seen else {
            if missed.iter().any(|change| change.deleted) || self.sessions.get(&sid).is_some_and(|known| known.branch == branch) {
                self.sessions.remove(&sid);
            }
            return;
        };
        let here = self.here(sid, &seen.listeners);
        let search = self.search;
        let followed = self.sessions.entry(sid).or_insert_with(|| {
            let mut followed = Followed::new(resource, branch, after);
            followed.found_in = search;
            followed
        });
        let is_other_life = followed.branch != seen.branch;
        if is_other_life {
            followed.turn_to(seen.branch, seen.change_number.saturating_sub(1));
        }
        followed.list(here, seen.change_number);
        let at = missed.last().map_or(seen.at, |change| change.at);
        let due = if is_other_life {
            // What happened in a life that nobody here knew of may be anything.
            let anything = Told {
                branch: seen.branch,
                change_number: seen.change_number,
                at,
                kinds: Kinds(u32::MAX),
                exempt: None,
                deleted: false,
                departed: Vec::new(),
            };
            followed.complete_to(seen.change_number);
            followed.tell(&[anything])
        } else {
            let due = followed.tell(missed);
            if let Some(last) = missed.iter().rev().find(|change| change.branch == followed.branch) {
                followed.complete_to(last.change_number);
            }
            due
        };
        if followed.listeners.is_empty() && followed.found_in < search {
            self.sessions.remove(&sid);
        }
        self.tap(sid, due, at);
    }

    /// Taps members that left, whatever they subscribed to (N-56).
    fn tap_departed(&self, sid: Uuid, resource: &Arc<str>, changes: &[Told]) {
        for change in changes {
            for listener in &change.departed {
                self.put(sid, resource, listener, change.branch, change.change_number, change.at);
            }
        }
    }

    fn tap(&self, sid: Uuid, due: Vec<Due>, at: DateTime<Utc>) {
        let Some(resource) = self.sessions.get(&sid).map(|followed| Arc::clone(&followed.resource)) else { return };
        for (listener, branch, number) in due {
            self.put(sid, &resource, &listener, branch, number, at);
        }
    }

    fn put(&self, sid: Uuid, resource: &Arc<str>, listener: &Listener, branch: Branch, number: u64, at: DateTime<Utc>) {
        if let Some(outbox) = self.outbox(listener) {
            outbox.tap(Tap {
                at,
                subscription: Arc::clone(&listener.subscription),
                resource: Arc::clone(resource),
                sid,
                branch,
                change_number: number,
            });
        }
    }
}

impl Watch {
    /// Waits until the session may have changed since the last call, or for ever. Cancel safe.
    pub async fn rung(&self) {
        self.rung.notified().await;
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
