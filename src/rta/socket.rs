//! The loop of one socket: frames from the client, parcels from the hub and ticks go to the machine, and what it decides is done.
//!
//! The loop lives on the worker thread that accepted the socket. It never waits for the database, which is reached from the
//! directory's runtime, and never for long for a client that does not read.

use std::io::ErrorKind;
use std::str::Utf8Error;
use std::sync::Arc;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_ws::{CloseCode, CloseReason, Item, Message, MessageStream, ProtocolError, Session};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::frames::{Parts, TooLarge};
use super::{Act, Machine, Options, Terms};
use crate::ambient::Clock;
use crate::domain::names::{ConnectionId, TitleId, Xuid};
use crate::metrics::{Cause, level};
use crate::notify::{Ears, Hub, Outbox, Parcel, Seat, Unopened};
use crate::wire::rta::event;

/// How soon after one parcel the next is sent. The first tap goes out at once; those of changes in quick succession merge (N-55), which
/// spares everybody most of the frames of a busy session.
const GATHER: Duration = Duration::from_millis(40);

/// A socket that has been accepted.
pub struct Socket {
    /// Where it is listened to.
    pub hub: Arc<Hub>,
    /// The runtime that reaches the database.
    pub runtime: Handle,
    /// Both clocks.
    pub clock: Clock,
    /// What the installation decides.
    pub options: Options,
    /// Whose socket it is.
    pub xuid: Xuid,
    /// When its token is not accepted any more, in real time (N-18).
    pub token_until: DateTime<Utc>,
}

/// A connection id that is lost when this goes, however it goes (N-40).
struct Line {
    hub: Arc<Hub>,
    id: ConnectionId,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.hub.lose(self.id);
    }
}

/// Said of a text that is none.
const NOT_TEXT: &str = "the text is not valid UTF-8";

type Opening = oneshot::Receiver<Result<Line, Unopened>>;

/// Why a loop ends.
enum End {
    /// The service says so.
    Closed(CloseReason),
    /// The client said so; it is answered with what it said.
    Left(Option<CloseReason>),
    /// The network connection is gone.
    Gone,
    /// The client gave no sign of life.
    Silent,
    /// The client does not read what it is sent.
    Slow,
}

impl End {
    /// In a word, for the metrics.
    fn cause(&self) -> &'static str {
        match self {
            Self::Closed(_) => "service",
            Self::Left(_) => "client",
            Self::Gone => "gone",
            Self::Silent => "silent",
            Self::Slow => "slow",
        }
    }
}

/// An open socket in the metrics, with its subscriptions.
struct Counted {
    hub: Arc<Hub>,
    subscriptions: i64,
}

impl Counted {
    fn new(hub: &Arc<Hub>) -> Self {
        hub.metrics().sockets.inc();
        hub.metrics().sockets_opened.inc();
        Self { hub: Arc::clone(hub), subscriptions: 0 }
    }

    fn subscribed(&mut self, subscriptions: usize) {
        let now = level(subscriptions);
        if now != self.subscriptions {
            self.hub.metrics().subscriptions.inc_by(now - self.subscriptions);
            self.subscriptions = now;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.subscribed(0);
        self.hub.metrics().sockets.dec();
    }
}

struct Loop {
    socket: Socket,
    session: Session,
    machine: Machine,
    parts: Parts,
    outbox: Arc<Outbox>,
    opening: Option<Opening>,
    line: Option<Line>,
    ears: Vec<(TitleId, Ears)>,
    counted: Counted,
    /// While it lives, the hub can ask the socket to close.
    _seat: Seat,
}

impl Socket {
    /// Serves the socket until it ends. What the messages are read from must be [`bounded`](super::bounded).
    pub async fn run(self, session: Session, messages: MessageStream) {
        let xuid = self.xuid;
        let frame_bytes = self.options.frame_bytes;
        let send_timeout = self.options.send_timeout;
        let counted = Counted::new(&self.hub);
        let mut socket = self.begin(session, counted);
        let end = socket.serve(messages.max_frame_size(frame_bytes)).await;
        let session = socket.session.clone();
        let cause = Cause { cause: end.cause() };
        socket.socket.hub.metrics().sockets_closed.get_or_create(&cause).inc();
        // The connection is lost before the client is told.
        drop(socket);
        let reason = match end {
            End::Closed(reason) => {
                debug!(principal.xuid = %xuid, code = u16::from(reason.code), reason = reason.description, "closing a socket");
                Some(reason)
            }
            End::Left(reason) => reason,
            End::Gone => return debug!(principal.xuid = %xuid, "a socket is gone"),
            // Without a close frame: some clients connect again only when a socket breaks.
            End::Silent => return debug!(principal.xuid = %xuid, "dropping a socket whose client gave no sign of life"),
            End::Slow => {
                info!(principal.xuid = %xuid, "closing a socket whose client does not read");
                let reason = closing(CloseCode::Policy, "too slow: what the service sends is not read");
                let _ = session.close(Some(reason)).now_or_never();
                return;
            }
        };
        let _ = timeout(send_timeout, session.close(reason)).await;
    }

    fn begin(self, session: Session, counted: Counted) -> Loop {
        let real_now = self.clock.real();
        let span = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let options = &self.options;
        let terms = Terms {
            tick: span(options.tick),
            ping_interval: span(options.ping_interval),
            idle: span(options.idle),
            ends_at: real_now.checked_add_signed(span(options.lifetime)).unwrap_or(DateTime::<Utc>::MAX_UTC),
            token_until: self.token_until,
            subscriptions_max: options.subscriptions_max,
        };
        let outbox = Arc::default();
        Loop {
            _seat: self.hub.seat(&outbox),
            machine: Machine::new(self.xuid, terms, real_now),
            parts: Parts::new(self.options.frame_bytes),
            socket: self,
            session,
            outbox,
            opening: None,
            line: None,
            ears: Vec::new(),
            counted,
        }
    }
}

impl Loop {
    async fn serve(&mut self, mut messages: MessageStream) -> End {
        let tick = self.socket.options.tick;
        let mut ticks = interval_at(Instant::now() + tick, tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut not_before = Instant::now();
        loop {
            let acts = tokio::select! {
                message = messages.recv() => match self.hear(message).await {
                    Ok(acts) => acts,
                    Err(end) => return end,
                },
                () = filled(&self.outbox, not_before) => {
                    not_before = Instant::now() + GATHER;
                    let parcel = self.outbox.take();
                    self.count_taps(&parcel);
                    self.machine.on_parcel(&parcel)
                }
                opened = opened(&mut self.opening) => self.connect(opened),
                _ = ticks.tick() => self.machine.on_tick(self.socket.clock.real()),
            };
            self.counted.subscribed(self.machine.subscribed());
            // One time for all of them: a client that takes a little now and then must not keep ticks and farewells waiting.
            let deadline = Instant::now() + self.socket.options.send_timeout;
            for act in acts {
                if let Err(end) = self.perform(act, deadline).await {
                    return end;
                }
            }
        }
    }

    /// Notes how far behind their changes taps are that go out now.
    fn count_taps(&self, parcel: &Parcel) {
        if self.line.is_some() {
            let now = self.socket.clock.now();
            parcel.taps.iter().for_each(|tap| self.socket.hub.metrics().tapped(now - tap.at));
        }
    }

    /// Takes what the client sent.
    async fn hear(&mut self, message: Option<Result<Message, ProtocolError>>) -> Result<Vec<Act>, End> {
        let message = message.ok_or(End::Gone)?.map_err(|error| violation(&error))?;
        self.machine.on_frame();
        match message {
            Message::Text(text) => Ok(self.machine.on_text(&text, self.socket.clock.real())),
            Message::Continuation(part) => self.hear_part(&part),
            Message::Ping(payload) => {
                let deadline = Instant::now() + self.socket.options.send_timeout;
                by(deadline, self.session.pong(&payload)).await?;
                Ok(Vec::new())
            }
            Message::Close(reason) => Err(End::Left(reason)),
            // The contract has no binary frames (N-04).
            Message::Binary(_) | Message::Pong(_) | Message::Nop => Ok(Vec::new()),
        }
    }

    fn hear_part(&mut self, part: &Item) -> Result<Vec<Act>, End> {
        match self.parts.add(part).map_err(|TooLarge| End::Closed(closing(CloseCode::Size, "the message is too large")))? {
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(self.machine.on_text(&text, self.socket.clock.real())),
                Err(_) => Err(End::Closed(closing(CloseCode::Invalid, NOT_TEXT))),
            },
            None => Ok(Vec::new()),
        }
    }

    /// Takes the connection that was asked for.
    fn connect(&mut self, opened: Result<Line, Unopened>) -> Vec<Act> {
        self.opening = None;
        match opened {
            Ok(line) => {
                let id = line.id;
                self.line = Some(line);
                self.machine.on_opened::<Unopened>(Ok(id))
            }
            Err(error) => {
                warn!(principal.xuid = %self.socket.xuid, %error, "failed to make a connection id");
                self.machine.on_opened(Err(error))
            }
        }
    }

    /// What is to be sent must be taken by the deadline.
    async fn perform(&mut self, act: Act, deadline: Instant) -> Result<(), End> {
        match act {
            Act::Send(text) => by(deadline, self.session.text(text)).await?,
            Act::Event(id, data) => by(deadline, self.session.text(event(id, &data))).await?,
            Act::Ping => by(deadline, self.session.ping(b"")).await?,
            Act::Close { code, reason } => return Err(End::Closed(closing(CloseCode::from(code), reason))),
            Act::Drop => return Err(End::Silent),
            Act::Open => self.open(),
            Act::Lose(id) => {
                if self.line.as_ref().is_some_and(|line| line.id == id) {
                    self.line = None;
                }
            }
            Act::Hear(title_id) => {
                let ears = self.socket.hub.hear(self.socket.xuid, title_id, &self.outbox);
                self.ears.push((title_id, ears));
            }
            Act::Mute(title_id) => self.ears.retain(|(heard, _)| *heard != title_id),
        }
        Ok(())
    }

    /// Has a connection id made, where the database can be reached. Should the socket end meanwhile, so does the connection.
    fn open(&mut self) {
        let (tell, told) = oneshot::channel();
        let (hub, xuid, outbox) = (Arc::clone(&self.socket.hub), self.socket.xuid, Arc::clone(&self.outbox));
        self.socket.runtime.spawn(async move {
            let opened = hub.open(xuid, &outbox).await;
            let _ = tell.send(opened.map(|id| Line { hub, id }));
        });
        self.opening = Some(told);
    }
}

/// Waits until something is in the outbox, and for what else comes into it until an instant. Cancel safe.
async fn filled(outbox: &Outbox, not_before: Instant) {
    sleep_until(not_before).await;
    outbox.filled().await;
}

/// Waits for the connection that is being made, or for ever if none is. Cancel safe.
async fn opened(opening: &mut Option<Opening>) -> Result<Line, Unopened> {
    match opening {
        Some(told) => match told.await {
            Ok(opened) => opened,
            // The runtime is ending, or the hub has panicked.
            Err(_) => Err(Unopened::Ending),
        },
        None => std::future::pending().await,
    }
}

/// Sends something by a time. What can be sent at once is sent even then.
async fn by(deadline: Instant, sending: impl Future<Output = Result<(), actix_ws::Closed>>) -> Result<(), End> {
    match timeout_at(deadline, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(actix_ws::Closed)) => Err(End::Gone),
        Err(_) => Err(End::Slow),
    }
}

/// What becomes of a client that breaks the rules of websockets, or sends too much (N-04).
fn violation(error: &ProtocolError) -> End {
    const BROKEN: (CloseCode, &str) = (CloseCode::Protocol, "the frame breaks the websocket protocol");
    const TOO_LARGE: (CloseCode, &str) = (CloseCode::Size, "the frame is too large");
    let (code, reason) = match error {
        ProtocolError::Overflow => TOO_LARGE,
        ProtocolError::Io(error) => match error.get_ref() {
            Some(cause) if cause.is::<Utf8Error>() => (CloseCode::Invalid, NOT_TEXT),
            Some(cause) if matches!(cause.downcast_ref(), Some(PayloadError::Overflow)) => TOO_LARGE,
            // Bits that are reserved; everything else that is wrong with a frame has a name of its own.
            _ if error.kind() == ErrorKind::InvalidData => BROKEN,
            _ => return End::Gone,
        },
        _ => BROKEN,
    };
    End::Closed(closing(code, reason))
}

fn closing(code: CloseCode, reason: &str) -> CloseReason {
    CloseReason { code, description: Some(reason.to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    /// Each act alone is done in time, all of them together are not.
    #[tokio::test]
    async fn what_a_turn_sends_has_one_deadline() {
        let deadline = Instant::now() + Duration::from_millis(200);
        let mut sent = 0;
        let end = loop {
            let act = async {
                sleep(Duration::from_millis(20)).await;
                Ok(())
            };
            match by(deadline, act).await {
                Ok(()) => sent += 1,
                Err(end) => break end,
            }
        };
        assert!(matches!(end, End::Slow) && sent < 11, "{sent}");
        assert!(by(deadline, ready(Ok(()))).await.is_ok());
        assert!(matches!(by(deadline, ready(Err(actix_ws::Closed))).await, Err(End::Gone)));
        assert!(matches!(by(deadline, pending()).await, Err(End::Slow)));
    }
}
