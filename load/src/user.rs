//! One user: asks, waits for answers, judges them, and remembers what was acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openmpsd::ambient::Ids;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use crate::client::{Link, Outgoing, Reply};
use crate::ledger::{Ledger, Me, Slot};
use crate::measure::{Op, Outcome};
use crate::socket::{CONNECTIONS, Socket};
use crate::world::World;

const CONNECT: Op = Op::new("connect", "GET", "/connect");
const SUBSCRIBE: Op = Op::new("subscribe", "", "socket: the connection's id");
const LISTEN: Op = Op::new("listen", "", "socket: invites");
/// The pause of a user that waits for answers after a request that got none.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest a user heeds `Retry-After` of 429 and 503: it is a load test.
const RETRY: Duration = Duration::from_millis(500);
/// Characters of an answer that are kept when it was not wanted.
const SAID: usize = 160;
/// How often a state is read back that cannot be read.
const READS: u32 = 6;

/// The run is over: whatever a user is at, it ends.
#[derive(Debug)]
pub struct Over;

/// What a step of a scenario gives, unless the run is over.
pub type Step<T> = Result<T, Over>;

/// One user.
pub struct User {
    pub number: usize,
    pub world: Arc<World>,
    pub socket: Option<Socket>,
    /// The connection id of its socket.
    pub connection: Option<String>,
    /// A session of its own that stays for the whole run, once it has been made.
    pub home: Option<String>,
    pub ledger: Ledger,
    pub random: Random,
    /// Finishes what it has begun even when the run is over.
    pub persists: bool,
    me: Me,
    link: Arc<Link>,
    /// The id of its subscriptions.
    subscription: String,
    pace: Option<Pace>,
    over: watch::Receiver<bool>,
    last_number: u64,
}

/// The schedule of a user's requests.
pub struct Pace {
    pub next: Instant,
    pub interval: Duration,
}

/// A request, how its answer is judged, and what it writes.
pub struct Request<'a> {
    op: &'static Op,
    path: String,
    body: Option<Value>,
    only_if_there: bool,
    fine: &'static [u16],
    refused: fn(u16, &str) -> bool,
    writes: Vec<(&'a str, Slot, Option<u64>)>,
}

impl<'a> Request<'a> {
    /// A request that must be answered with one of these.
    pub fn new(op: &'static Op, path: impl Into<String>, fine: &'static [u16]) -> Self {
        let refused = |_, _: &str| false;
        Self { op, path: path.into(), body: None, only_if_there: false, fine, refused, writes: Vec::new() }
    }

    pub fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Only if the session is there; otherwise a PUT would make it.
    pub fn only_if_there(self) -> Self {
        Self { only_if_there: true, ..self }
    }

    /// Answers that are a no because of what others did in between.
    pub fn or_refused(self, refused: fn(u16, &str) -> bool) -> Self {
        Self { refused, ..self }
    }

    pub fn writes(mut self, session: &'a str, slot: Slot, value: Option<u64>) -> Self {
        self.writes.push((session, slot, value));
        self
    }
}

/// A full session says so with 400.
pub fn is_full(status: u16, text: &str) -> bool {
    status == 400 && text.contains("full")
}

/// The session, or the handle that leads to it, is no more.
pub fn is_gone(status: u16, _: &str) -> bool {
    matches!(status, 404 | 412)
}

/// The body of a PUT that puts the caller into a session, active, with this number.
pub fn seat(number: u64) -> Value {
    json!({"members": {"me": {"properties": {"system": {"active": true}, "custom": {"seq": number}}}}})
}

impl User {
    pub fn new(number: usize, world: Arc<World>, seed: u64, pace: Option<Pace>) -> Self {
        let link = Arc::clone(&world.links[number % world.links.len()]);
        let me = Me { xuid: world.identities[number].xuid.clone(), property: format!("u{number}") };
        let over = world.over.subscribe();
        let seat = u64::try_from(number).unwrap_or(0);
        Self {
            number,
            socket: None,
            connection: None,
            home: None,
            ledger: Ledger::default(),
            random: Random(seed ^ seat.wrapping_mul(0xD6E8_FEB8_6659_FD93)),
            persists: false,
            me,
            link,
            subscription: Ids::random().uuid().to_string(),
            pace,
            over,
            last_number: 0,
            world,
        }
    }

    pub fn xuid(&self) -> &str {
        &self.me.xuid
    }

    pub fn property(&self) -> &str {
        &self.me.property
    }

    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// A number that this user has not written before.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Waits, unless the run is over.
    pub async fn rest(&mut self, time: Duration) -> Step<()> {
        if self.persists {
            sleep(time).await;
            return Ok(());
        }
        tokio::select! {
            () = sleep(time) => Ok(()),
            _ = self.over.wait_for(|over| *over) => Err(Over),
        }
    }

    /// When the next request counts as begun: when it is due, or now.
    async fn turn(&mut self) -> Step<Instant> {
        if self.is_over() && !self.persists {
            return Err(Over);
        }
        let Some(pace) = &mut self.pace else { return Ok(Instant::now()) };
        let due = pace.next;
        pace.next += pace.interval;
        tokio::select! {
            biased;
            () = sleep_until(due.into()) => Ok(due),
            _ = self.over.wait_for(|over| *over) => {
                // It was not sent, so it stays due.
                if let Some(pace) = &mut self.pace {
                    pace.next = due;
                }
                Err(Over)
            }
        }
    }

    /// How many requests were due before this instant and have not been sent.
    pub fn unsent(&self, before: Instant) -> u64 {
        let Some(pace) = &self.pace else { return 0 };
        let late = before.saturating_duration_since(pace.next);
        u64::try_from(late.as_nanos().div_ceil(pace.interval.as_nanos().max(1))).unwrap_or(u64::MAX)
    }

    /// Sends a request; the reply, if it is what the scenario wants. Everything else has been counted.
    pub async fn ask(&mut self, request: Request<'_>) -> Step<Option<Reply>> {
        let begun = self.turn().await?;
        let reply = self.send(request.op.method, &request.path, request.body.as_ref(), request.only_if_there).await;
        let took = begun.elapsed();
        let outcome = judge(&reply, request.fine, request.refused);
        self.world.recorder.request(request.op, took, &outcome);
        for (session, slot, value) in request.writes {
            match &outcome {
                Outcome::Fine => self.ledger.acknowledged(session, slot, value),
                _ if reply.is_certain_no() => {}
                _ => self.ledger.possible(session, slot, value),
            }
        }
        match outcome {
            Outcome::Fine => return Ok(Some(reply)),
            Outcome::Throttled(_) if self.pace.is_none() => self.rest(RETRY).await?,
            Outcome::Failed { .. } if self.pace.is_none() && reply == Reply::Broken("no connection") => self.rest(PAUSE).await?,
            Outcome::Refused | Outcome::Throttled(_) | Outcome::Failed { .. } => {}
        }
        Ok(None)
    }

    /// Counts an answer that was fine by its status and wrong by its content.
    pub fn object(&self, op: &'static Op, what: &str) {
        self.world.recorder.error(op, what);
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>, only_if_there: bool) -> Reply {
        let authorization = &self.world.identities[self.number].authorization;
        self.link.send(Outgoing { method, path, authorization, body, only_if_there }).await
    }

    /// Opens a socket and gets its connection id, unless there is one. Says whether there is one now.
    pub async fn connect(&mut self) -> Step<bool> {
        if self.socket.as_ref().is_some_and(|socket| !socket.is_closed()) {
            return Ok(true);
        }
        if self.socket.take().is_some() {
            self.world.recorder.error(&CONNECT, "closed by the service");
        }
        let begun = self.turn().await?;
        let world = Arc::clone(&self.world);
        let on_invite = Arc::new(move |id: &str, at: Instant| {
            if let Some(lag) = world.invites.heard(id, at) {
                world.recorder.tap(lag);
            }
        });
        let authorization = &self.world.identities[self.number].authorization;
        let opened = Socket::open(&self.link, authorization, on_invite).await;
        let Some(mut socket) = self.take(&CONNECT, begun, opened) else { return self.rest(PAUSE).await.map(|()| false) };
        let begun = Instant::now();
        let subscribed = socket.subscribe(CONNECTIONS).await;
        let subscribed = subscribed.and_then(|data| data["ConnectionId"].as_str().map(str::to_owned).ok_or("no id".to_owned()));
        match self.take(&SUBSCRIBE, begun, subscribed) {
            Some(connection) => {
                (self.socket, self.connection) = (Some(socket), Some(connection));
                Ok(true)
            }
            None => self.rest(PAUSE).await.map(|()| false),
        }
    }

    /// Subscribes the socket to the user's invites.
    pub async fn listen(&mut self) -> Step<bool> {
        let resource =
            format!("https://notify.xboxlive.com/users/xuid({})/deviceId/current/titleId/{}", self.xuid(), self.world.title_id);
        let Some(socket) = &mut self.socket else { return Ok(false) };
        let begun = Instant::now();
        let subscribed = socket.subscribe(&resource).await;
        Ok(self.take(&LISTEN, begun, subscribed).is_some())
    }

    /// Records what a socket did.
    fn take<T>(&self, op: &Op, begun: Instant, done: Result<T, String>) -> Option<T> {
        let (done, outcome) = match done {
            Ok(done) => (Some(done), Outcome::Fine),
            Err(why) if why == "429" || why == "503" => (None, Outcome::Throttled(why.parse().unwrap_or(503))),
            Err(why) => (None, Outcome::failed(why)),
        };
        self.world.recorder.request(op, begun.elapsed(), &outcome);
        done
    }

    /// The body of a PUT that puts the user into a session, active, with this number, registered with the socket's connection and subscribed to everything.
    pub fn registered_seat(&self, number: u64) -> Value {
        let mut body = seat(number);
        let system = &mut body["members"]["me"]["properties"]["system"];
        system["connection"] = json!(self.connection);
        system["subscription"] = json!({"id": self.subscription, "changeTypes": ["everything"]});
        body
    }

    /// Compares a session that was just read with what was acknowledged.
    pub fn compare(&self, session: &str, document: &Value) {
        for outcome in self.ledger.compare(session, document, &self.me) {
            self.world.recorder.compared(outcome);
        }
    }

    /// After the run: reads everything back that was acknowledged last, and leaves, until that is enough. None of it is measured.
    pub async fn finish(mut self) {
        let mut enough = self.world.enough.subscribe();
        for session in self.ledger.sessions() {
            let found = tokio::select! {
                biased;
                _ = enough.wait_for(|enough| *enough) => None,
                found = self.read_back(&session) => found,
            };
            match found {
                Some(document) => self.compare(&session, &document),
                None => (0..self.ledger.count(&session)).for_each(|_| self.world.recorder.unread()),
            }
        }
        for session in self.ledger.seats() {
            if self.link.is_silent() {
                break;
            }
            let seat = format!("{session}/members/me");
            tokio::select! {
                biased;
                _ = enough.wait_for(|enough| *enough) => break,
                _ = self.send("DELETE", &seat, None, false) => {}
            }
        }
        self.socket = None;
    }

    async fn read_back(&self, session: &str) -> Option<Value> {
        for attempt in 0..READS {
            if attempt > 0 {
                sleep(RETRY).await;
            }
            if self.link.is_silent() {
                break;
            }
            let reply = self.send("GET", session, None, false).await;
            match &reply {
                Reply::Answered { status: 200, .. } => return Some(reply.json()),
                Reply::Answered { status: 204, .. } => return Some(Value::Null),
                _ => {}
            }
        }
        None
    }
}

fn judge(reply: &Reply, fine: &[u16], refused: fn(u16, &str) -> bool) -> Outcome {
    match reply {
        Reply::Broken(why) => Outcome::failed(*why),
        Reply::Answered { status, .. } if fine.contains(status) => Outcome::Fine,
        Reply::Answered { status: status @ (429 | 503), .. } => Outcome::Throttled(*status),
        Reply::Answered { status, body } => {
            let text = String::from_utf8_lossy(body);
            if refused(*status, &text) {
                return Outcome::Refused;
            }
            Outcome::Failed { kind: status.to_string(), said: text.chars().take(SAID).collect() }
        }
    }
}

/// Choices that the seed decides (`SplitMix64`).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % count).unwrap_or(0)
    }

    /// One of `0..count` that is not `this`.
    pub fn other(&mut self, count: usize, this: usize) -> usize {
        let chosen = self.below(count.saturating_sub(1));
        if chosen >= this { chosen + 1 } else { chosen }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::cli::Target;

    fn answered(status: u16, text: &str) -> Reply {
        Reply::Answered { status, body: text.as_bytes().to_vec() }
    }

    #[test]
    fn answers_are_judged_by_what_the_scenario_wants() {
        let failed = |status: &str, said: &str| Outcome::Failed { kind: status.to_owned(), said: said.to_owned() };
        for (reply, outcome) in [
            (answered(200, "{}"), Outcome::Fine),
            (answered(201, "{}"), failed("201", "{}")),
            (answered(400, "the session is full"), Outcome::Refused),
            (answered(400, "members: is no object"), failed("400", "members: is no object")),
            (answered(429, "{}"), Outcome::Throttled(429)),
            (answered(503, ""), Outcome::Throttled(503)),
            (answered(500, ""), failed("500", "")),
            (answered(307, ""), failed("307", "")),
            (Reply::Broken("timeout"), Outcome::failed("timeout")),
        ] {
            assert_eq!(judge(&reply, &[200], is_full), outcome, "{reply:?}");
        }
    }

    #[tokio::test]
    async fn a_late_request_counts_from_when_it_was_due() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let pace = Pace { next: start, interval: second };
        let world = Arc::new(World::alone());
        let mut user = User::new(0, Arc::clone(&world), 1, Some(pace));
        assert_eq!([start, start + second / 2, start + second * 3].map(|at| user.unsent(at)), [0, 1, 3]);
        assert_eq!(user.turn().await.unwrap(), start, "it is due already");
        let pace = user.pace.as_mut().unwrap();
        assert_eq!(pace.next, start + second, "the next one is due as if this one had been in time");
        pace.next += second * 3600;
        let (waiting, ()) = tokio::join!(user.turn(), async { _ = world.over.send_replace(true) });
        assert!(waiting.is_err());
        assert_eq!(user.unsent(start + second * 3601), 0);
        assert_eq!(user.unsent(start + second * 3602), 1, "what was not sent stays due");
    }

    /// A target that takes connections and never answers, and a world of which it is the target.
    fn silent(timeout: Duration) -> (TcpListener, Arc<World>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let target = Target { base: format!("http://{}", listener.local_addr().unwrap()) };
        let links = vec![Arc::new(Link::new(target, timeout).unwrap())];
        (listener, Arc::new(World { links, ..World::alone() }))
    }

    /// A user who has been acknowledged something in this many sessions, and a seat in one of them.
    fn acknowledged(world: &Arc<World>, sessions: usize) -> User {
        let mut user = User::new(0, Arc::clone(world), 1, None);
        (0..sessions).for_each(|session| user.ledger.acknowledged(&format!("/{session}"), Slot::Property, Some(1)));
        user.ledger.acknowledged("/0", Slot::Seat, Some(1));
        user
    }

    #[tokio::test]
    async fn a_silent_target_is_not_asked_for_everything() {
        let (listener, world) = silent(Duration::from_millis(50));
        let users = (0..3).map(|_| acknowledged(&world, 20).finish());
        futures_util::future::join_all(users).await;
        assert_eq!(world.recorder.finish().kept.unread, 3 * 21);
        assert_eq!(std::iter::from_fn(|| listener.accept().ok()).count(), 3, "one request of each");
    }

    #[tokio::test]
    async fn when_it_is_enough_the_rest_is_unread() {
        let (listener, world) = silent(Duration::from_hours(1));
        tokio::join!(acknowledged(&world, 20).finish(), async { _ = world.enough.send_replace(true) });
        assert_eq!(world.recorder.finish().kept.unread, 21);
        drop(listener);
    }

    #[test]
    fn only_a_4xx_is_a_certain_no() {
        let certain = [answered(400, ""), answered(429, ""), answered(500, ""), answered(503, ""), Reply::Broken("timeout")];
        assert_eq!(certain.map(|reply| reply.is_certain_no()), [true, true, false, false, false]);
    }

    #[test]
    fn a_seed_decides_and_nobody_chooses_oneself() {
        let draw = |seed| {
            let mut random = Random(seed);
            (0..50).map(|_| random.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let mut random = Random(1);
        let mut seen = [false; 4];
        for _ in 0..200 {
            seen[random.other(4, 2)] = true;
        }
        assert_eq!(seen, [true, true, false, true]);
    }
}
