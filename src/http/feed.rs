//! The change feed of a session as server-sent events: GET {S}/changes (our extension, docs/feed.md).
//!
//! The stream is pulled: while a reader is slow, nothing is read from the log, and one batch is all that is held for it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::web::{self, Bytes};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::{debug, error};

use super::openapi::params::{ContractHeaders, LastEvent, LastEventQuery, SessionParts};
use super::openapi::shapes::FeedEvent;
use super::route::SessionPath;
use super::sessions::locate;
use super::{Answer, ApiError, Call, Service, reply};
use crate::directory::feed::{Batch, Event, Feed, Opened, Then};
use crate::domain::names::{ETag, Xuid};
use crate::domain::principal::Principal;
use crate::notify::Watch;
use crate::store::StoreError;
use crate::wire::feed::read_id;

/// What begins every stream, so that a reader who is up to date sees that it is open.
const GREETING: &str = ": open\n\n";
/// What is sent when there is nothing to tell.
const HEARTBEAT: &str = ": still here\n\n";

/// The installation's part in feeds.
#[derive(Debug, Clone)]
pub struct FeedRules {
    /// How many may be open.
    pub open_max: usize,
    /// How many of them one user, or one server, may have.
    pub per_caller_max: usize,
    /// How often a feed looks by itself whether its session has changed.
    pub poll: Duration,
    /// How often a silent feed says that it lives.
    pub heartbeat: Duration,
    /// After how long a feed ends, for its reader to come back.
    pub lifetime: Duration,
}

/// The feeds that are open.
pub struct Feeds {
    room: Arc<Semaphore>,
    open_max: usize,
    per_caller_max: usize,
    callers: Arc<Callers>,
    ending: watch::Receiver<bool>,
}

/// How many feeds callers have, of those that have any.
type Callers = Mutex<HashMap<Caller, usize>>;

/// Whose feeds are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    User(Xuid),
    /// A server, whomever it acts for, or an operator.
    Named(String),
}

impl From<&Principal> for Caller {
    fn from(principal: &Principal) -> Self {
        match principal {
            Principal::User(user) => Self::User(user.xuid),
            Principal::Server(server) => Self::Named(server.name.clone()),
            Principal::ServerFor(acting) => Self::Named(acting.server.name.clone()),
            Principal::Admin { name } => Self::Named(name.clone()),
        }
    }
}

/// Room for one feed, which is given back when this is dropped.
struct Place {
    _room: OwnedSemaphorePermit,
    caller: Caller,
    callers: Arc<Callers>,
}

impl Feeds {
    /// Room for feeds, until the service is `ending`.
    #[must_use]
    pub fn new(rules: &FeedRules, ending: watch::Receiver<bool>) -> Self {
        let room = Arc::new(Semaphore::new(rules.open_max));
        Self { room, open_max: rules.open_max, per_caller_max: rules.per_caller_max, callers: Arc::default(), ending }
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open_max - self.room.available_permits()
    }

    fn take(&self, caller: Caller) -> Result<Place, ApiError> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_| ApiError::Crowded("as many feeds are open as this instance takes: try again later"))?;
        let mut callers = counted(&self.callers);
        let count = callers.get(&caller).copied().unwrap_or(0);
        if count >= self.per_caller_max {
            return Err(ApiError::Crowded(
                "the caller has as many feeds as one may have on this instance: close one, or try again later",
            ));
        }
        callers.insert(caller.clone(), count + 1);
        Ok(Place { _room: room, caller, callers: Arc::clone(&self.callers) })
    }
}

fn counted(callers: &Callers) -> MutexGuard<'_, HashMap<Caller, usize>> {
    callers.lock().expect("counting does not panic")
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut callers = counted(&self.callers);
        match callers.get_mut(&self.caller) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(callers.remove(&self.caller)),
        }
    }
}

/// Follows a session: a stream of its changes, resumable by `Last-Event-ID` (docs/feed.md).
#[utoipa::path(get, path = "/serviceconfigs/{scid}/sessiontemplates/{template}/sessions/{name}/changes",
    operation_id = "followSession", tag = "sessions",
    params(SessionParts, ContractHeaders, LastEvent, LastEventQuery),
    responses(
        (status = 200,
            description = "Server-sent events, described one by one", body = FeedEvent, content_type = "text/event-stream"),
        (status = 204, description = "There is no such session, and nothing is left to tell of it"),
        (status = 410, description = "What came after that id is not known any more"),
    ))]
pub async fn changes(call: Call<'_>, path: &SessionPath) -> Answer {
    let (reference, _) = locate(&call, path)?;
    let last = last_event_id(&call);
    let after = last.as_ref().map(LastEventId::read).transpose()?;
    let wrong = |why: &str| last.as_ref().map_or_else(|| why.to_owned(), |last| last.about(why));
    let service = call.service.clone();
    let place = service.feeds.take(Caller::from(&*call.principal))?;
    // Before the session is read, so that no change falls in between.
    let watch = service.hub.watch(reference.sid());
    let (directory, principal) = (Arc::clone(&service.directory), Arc::clone(&call.principal));
    let opened = service.run(async move { directory.open_feed(&reference, &principal, after).await }).await?;
    let (feed, batch) = match opened {
        Opened::Feed(feed, batch) => (feed, batch),
        Opened::Nothing => return Ok(reply::empty(StatusCode::NO_CONTENT).into()),
        Opened::Ahead => return Err(ApiError::BadRequest(wrong("the session has not come that far"))),
        Opened::Lost => {
            let why = "what came after it is not known any more, or the caller could not read all of it: read the session, or \
                       follow it without it";
            return Err(ApiError::Gone(wrong(why)));
        }
    };
    let rules = &service.rules.feeds;
    let mut poll = interval_at(Instant::now() + rules.poll, rules.poll);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut first = GREETING.to_owned();
    batch.events.iter().for_each(|event| write(event, &mut first));
    let credential = call.request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let line = Line {
        feed: Some(feed),
        then: batch.then,
        credential,
        users: call.principal.users().iter().map(|user| user.xuid).collect(),
        heartbeat: Instant::now() + rules.heartbeat,
        end: Instant::now() + rules.lifetime,
        poll,
        watch,
        ending: service.feeds.ending.clone(),
        service,
        _place: place,
    };
    let rest = stream::unfold(line, async |mut line| line.next().await.map(|bytes| (Ok::<_, StoreError>(bytes), line)));
    let mut answer = reply::stream("text/event-stream", Bytes::from(first), rest);
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(answer.into())
}

/// What the caller gives as the id of the last event it has, and where.
struct LastEventId {
    place: &'static str,
    text: String,
}

impl LastEventId {
    fn about(&self, why: &str) -> String {
        format!("{}: {why}", self.place)
    }

    fn read(&self) -> Result<ETag, ApiError> {
        read_id(&self.text).ok_or_else(|| ApiError::BadRequest(self.about("an id like {branch}.{changeNumber} is expected")))
    }
}

/// The state that the caller has: from the header, or from `?lastEventId=` for those whose client sets it only when it comes back.
fn last_event_id(call: &Call) -> Option<LastEventId> {
    let header = call.request.headers().get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let parameter = || {
        let mut pairs = form_urlencoded::parse(call.request.query_string().as_bytes());
        pairs.find(|(name, _)| name.eq_ignore_ascii_case("lastEventId")).map(|(_, value)| value.into_owned())
    };
    let header = header.map(|text| ("Last-Event-ID", text));
    let (place, text) = header.or_else(|| Some(("?lastEventId=", parameter()?)))?;
    let text = text.trim().to_owned();
    (!text.is_empty()).then_some(LastEventId { place, text })
}

fn write(event: &Event, out: &mut String) {
    if let Some(id) = event.id {
        let _ = writeln!(out, "id: {id}");
    }
    for part in ["event: ", event.name, "\ndata: ", &event.data, "\n\n"] {
        out.push_str(part);
    }
}

/// A feed on its way to one reader.
struct Line {
    service: web::Data<Service>,
    /// Away while the directory works on it.
    feed: Option<Box<Feed>>,
    then: Then,
    credential: Option<String>,
    users: Vec<Xuid>,
    heartbeat: Instant,
    end: Instant,
    poll: tokio::time::Interval,
    watch: Watch,
    ending: watch::Receiver<bool>,
    _place: Place,
}

impl Line {
    /// What is sent next; `None` ends the stream, and the reader may come back to the state it has.
    async fn next(&mut self) -> Option<Bytes> {
        let mut ending = self.ending.clone();
        tokio::select! {
            biased;
            // Whoever could say that the service ends is gone when it has.
            _ = ending.wait_for(|ending| *ending) => None,
            () = sleep_until(self.end) => None,
            bytes = self.tell() => bytes,
        }
    }

    async fn tell(&mut self) -> Option<Bytes> {
        loop {
            match self.then {
                Then::End => return None,
                Then::Go => {
                    let mut text = String::new();
                    self.follow().await?.iter().for_each(|event| write(event, &mut text));
                    if !text.is_empty() {
                        self.heartbeat = Instant::now() + self.service.rules.feeds.heartbeat;
                        return Some(text.into());
                    }
                }
                Then::Wait => tokio::select! {
                    () = sleep_until(self.heartbeat) => {
                        self.heartbeat = Instant::now() + self.service.rules.feeds.heartbeat;
                        return self.is_known().then(|| Bytes::from_static(HEARTBEAT.as_bytes()));
                    }
                    () = self.watch.rung() => self.then = Then::Go,
                    _ = self.poll.tick() => {
                        if !self.is_welcome() {
                            return None;
                        }
                        self.probe().await;
                    }
                },
            }
        }
    }

    /// The next events, for a caller who is judged anew.
    async fn follow(&mut self) -> Option<Vec<Event>> {
        if !self.is_known() {
            return None;
        }
        self.service.know(&self.users).await;
        let directory = Arc::clone(&self.service.directory);
        let mut feed = self.feed.take()?;
        let (feed, batch) = self
            .service
            .run(async move {
                let batch = directory.follow_feed(&mut feed).await;
                (feed, batch)
            })
            .await;
        self.feed = Some(feed);
        match batch {
            Ok(Batch { events, then }) => {
                self.then = then;
                Some(events)
            }
            Err(error) if error.is_temporary() => {
                debug!(%error, "a feed waits for the database");
                self.then = Then::Wait;
                Some(Vec::new())
            }
            Err(error) => {
                error!(%error, "failed to go on with a feed");
                None
            }
        }
    }

    /// Whether the credential is still good, and its users are still welcome: it may have expired since, and they been banned.
    fn is_known(&self) -> bool {
        self.is_welcome() && self.service.verifier.verify(self.credential.as_deref(), self.service.clock.real()).is_ok()
    }

    fn is_welcome(&self) -> bool {
        !self.users.iter().any(|user| self.service.bans(*user))
    }

    /// Looks whether there is something to tell. Whatever hinders that is met again when it is told.
    async fn probe(&mut self) {
        let directory = Arc::clone(&self.service.directory);
        let Some(feed) = &self.feed else { return };
        let (sid, state) = (feed.sid(), feed.state());
        if let Ok(true) = self.service.run(async move { directory.has_left(sid, state).await }).await {
            self.then = Then::Go;
        }
    }
}
