//! Everything that one socket decides, without a socket: frames, parcels and ticks come in, acts go out.

use std::collections::HashSet;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::names::{ConnectionId, TitleId, Xuid};
use crate::json::Json;
use crate::notify::{Farewell, Parcel};
use crate::wire::rta::{self, Code, Request, Resource, Seq, SubscriptionId};

/// "Going away": the client is to connect again.
const AWAY: u16 = 1001;
/// The largest id of a subscription: clients keep it in a signed integer (N-13).
const LAST_ID: SubscriptionId = 0x7fff_ffff;
/// For how many titles invites may be heard: the hub keeps a place for each (N-17).
const TITLES_MAX: usize = 16;
/// How many connection ids may be made in quick succession; one more with every second. Each is a row, and one more to be ended (N-67).
const OPENINGS_MAX: i64 = 16;

/// What a socket must keep to.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long after the last one a tick is expected.
    pub tick: TimeDelta,
    /// How often the client is pinged (N-19).
    pub ping_interval: TimeDelta,
    /// After how long without any frame the client is given up (N-19).
    pub idle: TimeDelta,
    /// When the socket has lived for long enough, in real time (N-18).
    pub ends_at: DateTime<Utc>,
    /// When the token is not accepted any more, in real time (N-18).
    pub token_until: DateTime<Utc>,
    /// How many subscriptions there may be (N-17).
    pub subscriptions_max: usize,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Send a text frame.
    Send(String),
    /// Send an event (N-10). Its data is shared by all subscriptions that it goes to.
    Event(SubscriptionId, Arc<str>),
    /// Send a ping.
    Ping,
    /// Close the socket. Nothing comes after it.
    Close {
        /// The close code.
        code: u16,
        /// Why, for people.
        reason: &'static str,
    },
    /// Let go of the socket without a word (N-19). Nothing comes after it.
    Drop,
    /// Make a connection id, and tell with [`Machine::on_opened`] what became of it.
    Open,
    /// The connection has ended (N-24).
    Lose(ConnectionId),
    /// Listen for invites for a title.
    Hear(TitleId),
    /// Listen no longer.
    Mute(TitleId),
}

/// One socket of a user.
#[derive(Debug)]
pub struct Machine {
    xuid: Xuid,
    terms: Terms,
    connection: Connection,
    /// How many connection ids were made, less one for every second since; and since when that is counted, in real time.
    openings: (i64, DateTime<Utc>),
    /// By id, lowest first, unless ids have begun again.
    subscriptions: Vec<(SubscriptionId, Subject)>,
    last_id: SubscriptionId,
    /// When the last tick was.
    ticked_at: DateTime<Utc>,
    /// Whether there was a frame since the last tick.
    heard: bool,
    /// How long there has been no frame, in ticks that this process lived through.
    quiet: TimeDelta,
    /// How long ago the last ping was, counted in the same way.
    unpinged: TimeDelta,
    closed: bool,
}

/// The socket's connection resource (N-22).
#[derive(Debug)]
enum Connection {
    None,
    /// It is being made, for these subscribers.
    Opening(Vec<Seq>),
    Open(ConnectionId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Connection,
    Invites(TitleId),
}

impl Machine {
    /// A socket of a user that has just been opened.
    #[must_use]
    pub fn new(xuid: Xuid, terms: Terms, real_now: DateTime<Utc>) -> Self {
        Self {
            xuid,
            terms,
            connection: Connection::None,
            openings: (0, real_now),
            subscriptions: Vec::new(),
            last_id: 0,
            ticked_at: real_now,
            heard: false,
            quiet: TimeDelta::zero(),
            unpinged: TimeDelta::zero(),
            closed: false,
        }
    }

    /// Any frame, of whatever kind, is a sign of life (N-19).
    pub fn on_frame(&mut self) {
        self.heard = true;
    }

    /// Answers a text frame that came at `real_now`.
    pub fn on_text(&mut self, text: &str, real_now: DateTime<Utc>) -> Vec<Act> {
        self.heard = true;
        match rta::request(text) {
            _ if self.closed => Vec::new(),
            None => Vec::new(),
            Some(Request::Subscribe { seq, uri }) => self.subscribe(seq, &uri, real_now),
            Some(Request::Unsubscribe { seq, id }) => self.unsubscribe(&seq, id),
        }
    }

    fn subscribe(&mut self, seq: Seq, uri: &str, real_now: DateTime<Utc>) -> Vec<Act> {
        let refuse = |code| vec![Act::Send(rta::refused(&seq, code))];
        let subject = match rta::resource(uri) {
            Some(Resource::Connection) => Subject::Connection,
            // Nobody hears of another user's invites (N-60).
            Some(Resource::Invites { xuid, title_id }) if xuid == self.xuid => Subject::Invites(title_id),
            Some(Resource::Invites { .. }) | None => return refuse(Code::UnknownResource),
        };
        if self.is_full(subject) {
            return refuse(Code::LimitReached);
        }
        match (subject, &mut self.connection) {
            (Subject::Invites(title_id), _) => {
                let is_first = !self.has(subject);
                let answer = Act::Send(self.admit(&seq, subject, &Json::object()));
                if is_first { vec![Act::Hear(title_id), answer] } else { vec![answer] }
            }
            (Subject::Connection, Connection::Open(id)) => {
                let data = rta::connection(*id);
                vec![Act::Send(self.admit(&seq, subject, &data))]
            }
            (Subject::Connection, Connection::Opening(waiting)) => {
                waiting.push(seq);
                Vec::new()
            }
            (Subject::Connection, Connection::None) => {
                if !self.may_open(real_now) {
                    return refuse(Code::Throttled);
                }
                self.connection = Connection::Opening(vec![seq]);
                vec![Act::Open]
            }
        }
    }

    /// Whether there may be no further subscription to this (N-16, N-17).
    fn is_full(&self, subject: Subject) -> bool {
        let is_another_title = matches!(subject, Subject::Invites(_)) && !self.has(subject);
        self.subscriptions.len() + self.waiting() >= self.terms.subscriptions_max
            || (is_another_title && self.titles() >= TITLES_MAX)
    }

    /// Whether another connection id may be made; then it counts. A clock that was set back is no reason to wait for it.
    fn may_open(&mut self, real_now: DateTime<Utc>) -> bool {
        let (made, since) = self.openings;
        let seconds = (real_now - since).num_seconds();
        let (made, since) = if seconds == 0 { (made, since) } else { ((made - seconds.max(0)).max(0), real_now) };
        self.openings = (made + i64::from(made < OPENINGS_MAX), since);
        made < OPENINGS_MAX
    }

    /// For how many titles invites are heard.
    fn titles(&self) -> usize {
        let titles = self.subscriptions.iter().filter_map(|(_, subject)| match subject {
            Subject::Invites(title_id) => Some(title_id),
            Subject::Connection => None,
        });
        titles.collect::<HashSet<_>>().len()
    }

    /// Adds a subscription and returns the answer that tells its id.
    fn admit(&mut self, seq: &Seq, subject: Subject, data: &Json) -> String {
        let id = self.free_id();
        self.subscriptions.push((id, subject));
        rta::subscribed(seq, id, data)
    }

    fn free_id(&mut self) -> SubscriptionId {
        loop {
            self.last_id = if self.last_id >= LAST_ID { 1 } else { self.last_id + 1 };
            // Only after two thousand million subscriptions may one still be there.
            if !self.subscriptions.iter().any(|(id, _)| *id == self.last_id) {
                return self.last_id;
            }
        }
    }

    fn unsubscribe(&mut self, seq: &Seq, id: Option<SubscriptionId>) -> Vec<Act> {
        let Some(at) = self.subscriptions.iter().position(|(known, _)| Some(*known) == id) else {
            return vec![Act::Send(rta::unsubscribed(seq, false))];
        };
        let (_, subject) = self.subscriptions.remove(at);
        let mut acts = vec![Act::Send(rta::unsubscribed(seq, true))];
        if self.has(subject) {
            return acts;
        }
        match subject {
            Subject::Invites(title_id) => acts.push(Act::Mute(title_id)),
            Subject::Connection => {
                if let Connection::Open(id) = std::mem::replace(&mut self.connection, Connection::None) {
                    acts.push(Act::Lose(id));
                }
            }
        }
        acts
    }

    /// The connection id that was asked for is there, or cannot be had now: all who wait for it are answered (N-16, N-67).
    pub fn on_opened<Why>(&mut self, opened: Result<ConnectionId, Why>) -> Vec<Act> {
        let waiting = match std::mem::replace(&mut self.connection, Connection::None) {
            Connection::Opening(waiting) if !self.closed => waiting,
            // Nobody waits for it.
            before => {
                self.connection = before;
                return opened.map(Act::Lose).into_iter().collect();
            }
        };
        let Ok(id) = opened else {
            return waiting.iter().map(|seq| Act::Send(rta::refused(seq, Code::Unavailable))).collect();
        };
        self.connection = Connection::Open(id);
        let data = rta::connection(id);
        waiting.iter().map(|seq| Act::Send(self.admit(seq, Subject::Connection, &data))).collect()
    }

    /// Tells what waited: taps in as few frames as may be, for each subscription of the connection, invites one by one (N-10, N-55).
    pub fn on_parcel(&mut self, parcel: &Parcel) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.closed {
            return acts;
        }
        if let (Connection::Open(id), false) = (&self.connection, parcel.taps.is_empty()) {
            for data in rta::taps(*id, parcel.taps.iter().map(tap)) {
                acts.extend(self.event(Subject::Connection, data));
            }
        }
        for invite in &parcel.invites {
            acts.extend(self.event(Subject::Invites(invite.title_id), rta::invite(&invite.document)));
        }
        if parcel.lost && !self.subscriptions.is_empty() {
            acts.push(Act::Send(rta::resync()));
        }
        match parcel.farewell {
            Some(Farewell::Ending) => acts.push(self.close("the service is ending: connect again")),
            Some(Farewell::Forgotten) => acts.push(self.close("this instance has lost its lease: connect again")),
            None => {}
        }
        acts
    }

    /// Looks at the time: `real_now` is the real clock's, which no development clock moves (N-18, N-19).
    pub fn on_tick(&mut self, real_now: DateTime<Utc>) -> Vec<Act> {
        // A process that stood still has not listened: frames of that time may still wait to be read. So no tick counts for much
        // more than it should.
        let most = self.terms.tick + self.terms.tick / 5;
        let passed = (real_now - self.ticked_at).clamp(TimeDelta::zero(), most);
        self.ticked_at = real_now;
        self.quiet = if self.heard { TimeDelta::zero() } else { self.quiet + passed };
        self.heard = false;
        self.unpinged += passed;
        if self.closed {
            return Vec::new();
        }
        if real_now >= self.terms.ends_at {
            return vec![self.close("the socket has lived for long enough: connect again")];
        }
        if real_now >= self.terms.token_until {
            return vec![self.close("the token has expired: connect again with a new one")];
        }
        if self.quiet >= self.terms.idle {
            self.closed = true;
            return vec![Act::Drop];
        }
        // The tick that comes nearest.
        if self.unpinged + self.terms.tick / 2 >= self.terms.ping_interval {
            self.unpinged = TimeDelta::zero();
            return vec![Act::Ping];
        }
        Vec::new()
    }

    fn close(&mut self, reason: &'static str) -> Act {
        self.closed = true;
        Act::Close { code: AWAY, reason }
    }

    fn has(&self, subject: Subject) -> bool {
        self.subscriptions.iter().any(|(_, known)| *known == subject)
    }

    /// An event for each subscription to a subject.
    fn event(&self, subject: Subject, data: String) -> impl Iterator<Item = Act> {
        let data: Arc<str> = data.into();
        self.subscribers(subject).map(move |id| Act::Event(id, Arc::clone(&data)))
    }

    fn subscribers(&self, subject: Subject) -> impl Iterator<Item = SubscriptionId> {
        self.subscriptions.iter().filter(move |(_, known)| *known == subject).map(|(id, _)| *id)
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscribed(&self) -> usize {
        self.subscriptions.len()
    }

    /// How many subscriptions wait for their answer.
    fn waiting(&self) -> usize {
        if let Connection::Opening(waiting) = &self.connection { waiting.len() } else { 0 }
    }
}

fn tap(tap: &crate::notify::Tap) -> rta::Tap<'_> {
    rta::Tap {
        at: tap.at,
        subscription: &tap.subscription,
        resource: &tap.resource,
        branch: tap.branch,
        change_number: tap.change_number,
    }
}

#[cfg(test)]
mod tests;
