//! What the hub knows, under its lock: sockets, sessions that are followed for them, and what is left to be looked up. No waiting, no
//! database.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use uuid::Uuid;

use super::followed::{Due, Fit, Followed};
use super::hint::Changed;
use super::outbox::{Outbox, Tap};
use crate::directory::{Announcement, Told};
use crate::domain::names::{Branch, ConnectionId, TitleId, Xuid};
use crate::domain::subscription::Listener;
use crate::store::rows::Registration;

/// How long an ear remembers an invite that it was told.
const INVITES_REMEMBERED: TimeDelta = TimeDelta::minutes(3);
/// In how many sessions a socket may listen: its own connection is registered in ten (N-36), which other subscriptions that name it
/// are not held to (S-78).
const SESSIONS_MAX: usize = 64;
/// Of a session whose life is not known.
const NO_LIFE: (Branch, u64) = (Branch(Uuid::nil()), 0);

/// Lives of a session and the last numbers that are known of them.
pub type Lives = Vec<(Branch, u64)>;

#[derive(Default)]
pub struct State {
    /// Sockets with a connection id.
    pub sockets: HashMap<ConnectionId, Socket>,
    sessions: HashMap<Uuid, Followed>,
    /// Sessions to be looked up.
    pub behind: HashMap<Uuid, Lives>,
    /// Sessions that are being looked up: what is heard of them meanwhile may come too late for that.
    looking: HashSet<Uuid>,
    pub ears: HashMap<Xuid, Vec<Ear>>,
    pub watches: HashMap<Uuid, Vec<(u64, Arc<Notify>)>>,
    /// Every socket and its user, whether or not it listens to anything.
    pub seats: HashMap<u64, (Xuid, Arc<Outbox>)>,
    /// Counts the searches of the database for members who are registered here.
    pub search: u64,
}

/// A socket with a connection id.
pub struct Socket {
    /// Its user.
    pub xuid: Xuid,
    /// What waits for it.
    pub outbox: Arc<Outbox>,
    /// The sessions that it may listen to.
    sessions: HashSet<Uuid>,
}

/// Somebody who listens for invites.
pub struct Ear {
    pub number: u64,
    pub title_id: TitleId,
    pub outbox: Arc<Outbox>,
    /// Since when, by the service's clock.
    pub since: DateTime<Utc>,
    /// The invites that it was told, and when they were made.
    told: VecDeque<(Uuid, DateTime<Utc>)>,
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

impl Socket {
    pub fn new(xuid: Xuid, outbox: Arc<Outbox>) -> Self {
        Self { xuid, outbox, sessions: HashSet::new() }
    }
}

impl Ear {
    pub fn new(number: u64, title_id: TitleId, outbox: Arc<Outbox>, since: DateTime<Utc>) -> Self {
        Self { number, title_id, outbox, since, told: VecDeque::new() }
    }

    /// Whether an invite is new to it; then it is not any more.
    pub fn learn(&mut self, invite: Uuid, made_at: DateTime<Utc>) -> bool {
        while self.told.front().is_some_and(|(_, told)| *told + INVITES_REMEMBERED < made_at) {
            self.told.pop_front();
        }
        let is_new = !self.told.iter().any(|(known, _)| *known == invite);
        if is_new {
            self.told.push_back((invite, made_at));
        }
        is_new
    }
}

impl State {
    /// Wakes whoever watches a session.
    pub fn ring(&self, sid: Uuid) {
        for (_, rung) in self.watches.get(&sid).into_iter().flatten() {
            rung.notify_one();
        }
    }

    /// Forgets a socket.
    pub fn lose(&mut self, connection: ConnectionId) {
        let Some(socket) = self.sockets.remove(&connection) else { return };
        for sid in socket.sessions {
            if let Some(followed) = self.sessions.get_mut(&sid) {
                followed.drop_connection(connection);
            }
        }
        if self.sockets.is_empty() {
            self.sessions.clear();
            self.behind.clear();
        }
    }

    /// Forgets everything that depends on connection ids, and returns the sockets.
    pub fn forget(&mut self) -> HashMap<ConnectionId, Socket> {
        self.sessions.clear();
        self.behind.clear();
        std::mem::take(&mut self.sockets)
    }

    /// The socket of a subscription, if it is here and the user's own (M-33).
    fn socket(&self, listener: &Listener) -> Option<&Socket> {
        self.sockets.get(&listener.connection).filter(|socket| socket.xuid == listener.xuid)
    }

    /// Keeps those subscriptions whose sockets are here, and lets these know of the session.
    fn here(&mut self, sid: Uuid, listeners: &[Listener]) -> Vec<Listener> {
        let mut here = Vec::new();
        for listener in listeners {
            if self.socket(listener).is_none() {
                continue;
            }
            let sessions = &self.sessions;
            if let Some(socket) = self.sockets.get_mut(&listener.connection) {
                if socket.sessions.len() >= SESSIONS_MAX && !socket.sessions.contains(&sid) {
                    socket.sessions.retain(|known| sessions.contains_key(known));
                }
                if socket.sessions.len() < SESSIONS_MAX || socket.sessions.contains(&sid) {
                    socket.sessions.insert(sid);
                    here.push(listener.clone());
                }
            }
        }
        here
    }

    /// Taps whoever is here for what was committed in this process; says whether somebody may be elsewhere.
    pub fn tell(&mut self, news: &Announcement) -> bool {
        let Some(last) = news.changes.last() else {
            self.doubt(news.sid);
            return false;
        };
        let here = self.here(news.sid, &news.listeners);
        let elsewhere = here.len() < news.listeners.len()
            || news.changes.iter().flat_map(|change| &change.departed).any(|one| self.socket(one).is_none());
        let first = news.changes.iter().find(|change| change.branch == last.branch).map_or(0, |change| change.change_number);
        match self.sessions.get(&news.sid).map(|followed| followed.fit(last.branch, first, last.change_number)) {
            Some(Fit::Old) => return elsewhere,
            // The end of the life that was followed may be in these very changes.
            Some(Fit::Gap(branch, complete)) => {
                let follows = news.changes.first().is_some_and(|one| one.branch == branch && one.change_number == complete + 1);
                if !follows {
                    self.fall_behind(news.sid, (branch, complete));
                }
            }
            Some(Fit::Next) | None => {}
        }
        self.tap_departed(news.sid, &news.resource, &news.changes);
        if last.deleted {
            // What is missing before the end is looked up first.
            if !self.behind.contains_key(&news.sid) {
                self.sessions.remove(&news.sid);
            }
            return elsewhere;
        }
        let is_new = !self.sessions.contains_key(&news.sid);
        if here.is_empty() && is_new {
            return elsewhere;
        }
        let search = self.search;
        let followed = self
            .sessions
            .entry(news.sid)
            .or_insert_with(|| Followed::new(Arc::clone(&news.resource), last.branch, first.saturating_sub(1), search));
        followed.resource = Arc::clone(&news.resource);
        followed.turn_to(last.branch, first.saturating_sub(1));
        followed.list(here, last.change_number);
        // Somebody who listens here was registered elsewhere, and what happened since is not known.
        let due = if is_new && !news.moved { followed.all(last.change_number) } else { followed.due(&news.changes) };
        if first <= followed.complete + 1 {
            followed.complete_to(last.change_number);
        }
        self.tap(news.sid, due, last.at);
        elsewhere
    }

    /// Has a session looked up that may have changed, if it is followed here.
    fn doubt(&mut self, sid: Uuid) {
        if let Some(followed) = self.sessions.get(&sid) {
            let life = (followed.branch, followed.complete);
            self.fall_behind(sid, life);
        }
    }

    /// Takes what another instance has committed.
    pub fn take_hint(&mut self, changed: &Changed) {
        let Some(followed) = self.sessions.get_mut(&changed.sid) else {
            let looks = changed.look || self.looking.contains(&changed.sid);
            if looks && !self.sockets.is_empty() {
                self.fall_behind(changed.sid, (changed.branch, changed.first.saturating_sub(1)));
            }
            return;
        };
        match followed.fit(changed.branch, changed.first, changed.last) {
            Fit::Old => {}
            Fit::Next if !changed.look => {
                let due = followed.due(&[changed.told()]);
                followed.complete_to(changed.last);
                self.tap(changed.sid, due, changed.at);
            }
            Fit::Next => {
                let life = (followed.branch, followed.complete);
                self.fall_behind(changed.sid, life);
            }
            Fit::Gap(branch, complete) => self.fall_behind(changed.sid, (branch, complete)),
        }
    }

    /// Leaves a life of a session to be looked up after a number.
    pub fn fall_behind(&mut self, sid: Uuid, (branch, after): (Branch, u64)) {
        let lives = self.behind.entry(sid).or_default();
        match lives.iter_mut().find(|(known, _)| *known == branch) {
            Some((_, known)) => *known = after.min(*known),
            None => lives.push((branch, after)),
        }
    }

    /// Compares a member that was found with what is known.
    pub fn found(&mut self, one: &Registration) {
        let (branch, number) = (Branch(one.branch), one.change_number.cast_unsigned());
        let owns = self.sockets.get(&ConnectionId(one.connection)).is_some_and(|socket| socket.xuid == Xuid(one.owner));
        if !owns {
            return;
        }
        let search = self.search;
        let followed = self.sessions.entry(one.sid).or_insert_with(|| {
            // Nothing of it is known, its name neither: it comes with the look that this leads to.
            Followed::new(Arc::default(), NO_LIFE.0, NO_LIFE.1, search)
        });
        followed.found_in = search;
        let life = (followed.branch, followed.complete);
        if life.0 != branch || life.1 < number {
            self.fall_behind(one.sid, life);
        }
    }

    /// Has those sessions looked up that the search did not find: they have lost their members here.
    pub fn end_search(&mut self) {
        let vanished = self.sessions.iter().filter(|(_, followed)| followed.found_in < self.search);
        let vanished: Vec<_> = vanished.map(|(sid, followed)| (*sid, (followed.branch, followed.complete))).collect();
        for (sid, life) in vanished {
            self.fall_behind(sid, life);
        }
    }

    /// Takes sessions that are to be looked up, at most so many.
    pub fn take_behind(&mut self, most: usize) -> Vec<(Uuid, Lives)> {
        let sids: Vec<Uuid> = self.behind.keys().take(most).copied().collect();
        self.looking.extend(&sids);
        sids.into_iter().filter_map(|sid| self.behind.remove_entry(&sid)).collect()
    }

    /// Puts back what could not be looked up.
    pub fn put_back(&mut self, behind: Vec<(Uuid, Lives)>) {
        for (sid, lives) in behind {
            self.looking.remove(&sid);
            for life in lives {
                self.fall_behind(sid, life);
            }
        }
    }

    /// Gives up looking up a session that cannot be read.
    pub fn give_up(&mut self, sid: Uuid) {
        self.looking.remove(&sid);
        self.sessions.remove(&sid);
    }

    /// Takes what was looked up: the changes of one life of a session after a number, and the session itself, if it is there.
    pub fn catch_up(&mut self, sid: Uuid, (branch, after): (Branch, u64), missed: &[Told], seen: Option<&Seen>) {
        self.looking.remove(&sid);
        let resource = match (seen, self.sessions.get(&sid)) {
            (Some(seen), _) => Arc::clone(&seen.resource),
            (None, Some(followed)) if !followed.resource.is_empty() => Arc::clone(&followed.resource),
            // Nobody here was known to be a member, and its name is not known.
            (None, _) => {
                self.sessions.remove(&sid);
                return;
            }
        };
        self.tap_departed(sid, &resource, missed);
        let Some(seen) = seen else {
            self.sessions.remove(&sid);
            return;
        };
        let here = self.here(sid, &seen.listeners);
        let search = self.search;
        if here.is_empty() && !self.sessions.contains_key(&sid) {
            return;
        }
        let followed = self.sessions.entry(sid).or_insert_with(|| Followed::new(Arc::clone(&resource), branch, after, search));
        followed.resource = resource;
        let is_other_life = followed.branch != seen.branch;
        followed.turn_to(seen.branch, seen.change_number);
        followed.list(here, seen.change_number);
        let at = missed.last().map_or(seen.at, |change| change.at);
        // What happened in a life that was not known here may be anything.
        let due = if is_other_life { followed.all(seen.change_number) } else { followed.due(missed) };
        if let Some(last) = missed.iter().rev().find(|change| change.branch == followed.branch) {
            followed.complete_to(last.change_number);
        }
        if followed.listeners.is_empty() && followed.found_in < search {
            self.sessions.remove(&sid);
        }
        self.tap(sid, due, at);
    }

    /// Taps members that left, whatever they subscribed to (N-56).
    fn tap_departed(&self, sid: Uuid, resource: &Arc<str>, changes: &[Told]) {
        for change in changes {
            for listener in &change.departed {
                self.put(sid, resource, listener, (change.branch, change.change_number), change.at);
            }
        }
    }

    fn tap(&self, sid: Uuid, due: Vec<Due>, at: DateTime<Utc>) {
        let Some(resource) = self.sessions.get(&sid).map(|followed| Arc::clone(&followed.resource)) else { return };
        for (listener, branch, number) in due {
            self.put(sid, &resource, &listener, (branch, number), at);
        }
    }

    /// Puts a tap into the outbox of its socket, if that is here and the user's own.
    fn put(&self, sid: Uuid, resource: &Arc<str>, listener: &Listener, (branch, number): (Branch, u64), at: DateTime<Utc>) {
        let Some(socket) = self.socket(listener) else { return };
        socket.outbox.tap(Tap {
            at,
            subscription: Arc::clone(&listener.subscription),
            resource: Arc::clone(resource),
            sid,
            branch,
            change_number: number,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::followed::tests::{LIFE, NEXT_LIFE, change, listener};
    use super::*;
    use crate::domain::change::Kinds;

    const SID: Uuid = Uuid::from_u128(9);

    fn news(changes: Vec<Told>, listeners: &[u32], moved: bool) -> Announcement {
        let listeners = listeners.iter().map(|index| listener(*index)).collect();
        Announcement { sid: SID, resource: "a~b~c".into(), changes, listeners, moved, invites: Vec::new() }
    }

    fn hint(first: u64, last: u64, look: bool) -> Changed {
        Changed { sid: SID, branch: LIFE, first, last, at: DateTime::UNIX_EPOCH, kinds: Kinds(1), exempt: None, look }
    }

    fn seen(branch: Branch, number: u64, listeners: &[u32]) -> Seen {
        Seen {
            resource: "a~b~c".into(),
            branch,
            change_number: number,
            at: DateTime::UNIX_EPOCH,
            listeners: listeners.iter().map(|index| listener(*index)).collect(),
        }
    }

    /// The sockets of members 1 and 2 are here.
    fn state() -> State {
        let mut state = State::default();
        for index in 1..=2 {
            let one = listener(index);
            state.sockets.insert(one.connection, Socket::new(one.xuid, Arc::default()));
        }
        state
    }

    /// What waits for a member: lives and numbers.
    fn told(state: &State, index: u32) -> Vec<(Branch, u64)> {
        let taps = state.sockets[&listener(index).connection].outbox.take().taps;
        taps.into_iter().map(|tap| (tap.branch, tap.change_number)).collect()
    }

    #[test]
    fn n53_n54_who_is_here_is_tapped_and_who_is_elsewhere_is_told_of() {
        let mut state = state();
        assert!(!state.tell(&news(vec![change(1)], &[1, 2], true)), "all are here");
        assert_eq!((told(&state, 1), told(&state, 2)), (vec![(LIFE, 1)], vec![(LIFE, 1)]));
        assert!(state.tell(&news(vec![change(2)], &[1, 3], true)), "one is not");
        assert_eq!((told(&state, 1), told(&state, 2)), (vec![(LIFE, 2)], vec![]));
    }

    #[test]
    fn m33_a_connection_of_somebody_else_hears_nothing() {
        let mut state = state();
        let foreign = Listener { xuid: Xuid(7), ..listener(1) };
        let mut one = news(vec![change(1)], &[], true);
        one.listeners = vec![foreign.clone()];
        one.changes[0].departed = vec![foreign];
        assert!(state.tell(&one));
        assert_eq!(told(&state, 1), []);
    }

    #[test]
    fn a_hint_is_enough_for_whoever_knows_the_change_before() {
        let mut state = state();
        state.tell(&news(vec![change(4)], &[1], true));
        told(&state, 1);
        state.take_hint(&hint(5, 6, false));
        assert_eq!(told(&state, 1), [(LIFE, 6)]);
        state.take_hint(&hint(5, 6, false));
        assert_eq!((told(&state, 1), state.behind.len()), (vec![], 0), "it is old");
        state.take_hint(&hint(8, 8, false));
        assert_eq!((told(&state, 1), state.behind.remove(&SID)), (vec![], Some(vec![(LIFE, 6)])), "one is missing");
        state.take_hint(&hint(7, 8, true));
        assert_eq!(state.behind.remove(&SID), Some(vec![(LIFE, 6)]), "subscriptions may have changed");
    }

    #[test]
    fn n55_nobody_is_told_a_number_twice_or_an_older_one_after_a_newer_one() {
        let mut state = state();
        state.tell(&news(vec![change(4)], &[1], true));
        state.tell(&news(vec![change(7)], &[1], false));
        assert_eq!(told(&state, 1), [(LIFE, 7)], "merged");
        assert_eq!(state.behind.remove(&SID), Some(vec![(LIFE, 4)]), "5 and 6 are missing");
        state.catch_up(SID, (LIFE, 4), &[change(5), change(6), change(7)], Some(&seen(LIFE, 7, &[1])));
        assert_eq!(told(&state, 1), []);
        state.take_hint(&hint(8, 8, false));
        assert_eq!(told(&state, 1), [(LIFE, 8)], "nothing is missing any more");
        // A removal that comes to light after the member has joined again.
        let removed = Told { departed: vec![listener(1)], ..change(8) };
        state.catch_up(SID, (LIFE, 7), &[removed], Some(&seen(LIFE, 8, &[1])));
        assert_eq!(told(&state, 1), []);
    }

    #[test]
    fn n56_the_last_tap_of_a_life_is_not_lost_between_two_looks() {
        let mut state = state();
        state.tell(&news(vec![change(6)], &[1, 2], true));
        told(&state, 1);
        told(&state, 2);
        // Member 2 was removed elsewhere (7), and the end of the session (8) was decided here before that was known.
        let end = Told { deleted: true, departed: vec![listener(1)], ..change(8) };
        state.tell(&news(vec![end.clone()], &[], true));
        assert_eq!((told(&state, 1), told(&state, 2)), (vec![(LIFE, 8)], vec![]));
        let life = state.behind.remove(&SID).expect("7 is missing")[0];
        let removed = Told { departed: vec![listener(2)], ..change(7) };
        state.catch_up(SID, life, &[removed, end], None);
        assert_eq!((told(&state, 1), told(&state, 2)), (vec![], vec![(LIFE, 7)]));
        assert!(state.sessions.is_empty());
    }

    #[test]
    fn s21_another_life_is_told_whole_and_the_end_of_the_former_one_is_looked_up() {
        let mut state = state();
        state.tell(&news(vec![change(40)], &[1], true));
        told(&state, 1);
        state.tell(&news(vec![Told { branch: NEXT_LIFE, ..change(1) }], &[1], true));
        assert_eq!(told(&state, 1), [(NEXT_LIFE, 1)]);
        let life = state.behind.remove(&SID).expect("the end of the former life is missing")[0];
        assert_eq!(life, (LIFE, 40));
        let end = Told { deleted: true, departed: vec![listener(1)], ..change(41) };
        state.catch_up(SID, life, &[end], Some(&seen(NEXT_LIFE, 1, &[1])));
        assert_eq!(told(&state, 1), [(LIFE, 41)]);
        // In one commit.
        let end = Told { branch: NEXT_LIFE, deleted: true, departed: vec![listener(1)], ..change(2) };
        let again = Told { branch: Branch(Uuid::from_u128(3)), ..change(1) };
        state.tell(&news(vec![end, again], &[1], false));
        assert_eq!(told(&state, 1), [(NEXT_LIFE, 2), (Branch(Uuid::from_u128(3)), 1)]);
        assert!(state.behind.is_empty());
    }

    #[test]
    fn who_was_registered_elsewhere_is_found_and_told_of_the_present_state() {
        let mut state = state();
        let registration =
            Registration { connection: listener(1).connection.0, owner: 1, sid: SID, branch: LIFE.0, change_number: 5 };
        state.search = 1;
        state.found(&Registration { owner: 7, ..registration });
        assert!(state.behind.is_empty(), "M-33");
        state.found(&registration);
        let life = state.behind.remove(&SID).expect("nothing is known of it")[0];
        state.catch_up(SID, life, &[], Some(&seen(LIFE, 5, &[1])));
        assert_eq!(told(&state, 1), [(LIFE, 5)]);
        state.found(&registration);
        state.end_search();
        assert!(state.behind.is_empty(), "all is known");
        // A session that a member here is registered in without listening stays known, too.
        state.catch_up(SID, (LIFE, 5), &[change(6)], Some(&seen(LIFE, 6, &[])));
        state.found(&Registration { change_number: 6, ..registration });
        assert!(state.behind.is_empty());
        state.search = 2;
        state.end_search();
        assert_eq!(state.behind.remove(&SID), Some(vec![(LIFE, 6)]), "the member has gone");
        state.catch_up(SID, (LIFE, 6), &[], Some(&seen(LIFE, 6, &[])));
        assert!(state.sessions.is_empty());
    }

    #[test]
    fn n50_a_tap_names_its_session_however_that_became_known() {
        let mut state = state();
        state.found(&Registration { connection: listener(1).connection.0, owner: 1, sid: SID, branch: LIFE.0, change_number: 5 });
        state.tell(&news(vec![change(6)], &[1], false));
        let taps = state.sockets[&listener(1).connection].outbox.take().taps;
        assert_eq!(taps.iter().map(|tap| &*tap.resource).collect::<Vec<_>>(), ["a~b~c"], "before it was looked up");
    }

    #[test]
    fn first_sight_of_a_session_taps_whoever_was_registered_elsewhere() {
        let mut state = state();
        state.tell(&news(vec![Told { kinds: Kinds(0), exempt: Some(1), ..change(7) }], &[1], false));
        assert_eq!(told(&state, 1), [(LIFE, 7)], "5 and 6 may have concerned it");
        let mut other = self::state();
        other.tell(&news(vec![Told { kinds: Kinds(0), exempt: Some(1), ..change(7) }], &[1], true));
        assert_eq!(told(&other, 1), [], "N-39: it has just registered");
    }

    #[test]
    fn a_commit_of_unknown_outcome_is_looked_up() {
        let mut state = state();
        state.tell(&news(vec![], &[], false));
        assert!(state.behind.is_empty(), "nobody follows it");
        state.tell(&news(vec![change(4)], &[1], true));
        state.tell(&news(vec![], &[], false));
        assert_eq!(state.behind.remove(&SID), Some(vec![(LIFE, 4)]));
    }

    #[test]
    fn the_last_socket_takes_everything_along() {
        let mut state = state();
        state.tell(&news(vec![change(4)], &[1, 2], true));
        state.lose(listener(1).connection);
        assert_eq!(state.sessions[&SID].listeners, [listener(2)]);
        state.lose(listener(2).connection);
        assert!(state.sessions.is_empty());
    }

    #[test]
    fn n60_an_invite_is_told_once() {
        let mut ear = Ear::new(1, TitleId(1), Arc::default(), DateTime::UNIX_EPOCH);
        let at = |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        assert!(ear.learn(SID, at(0)) && !ear.learn(SID, at(0)));
        assert!(ear.learn(Uuid::nil(), at(4)));
        assert_eq!(ear.told.len(), 1, "what is too old to be found again is forgotten");
    }
}
