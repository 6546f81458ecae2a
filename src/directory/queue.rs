//! What waits to be written: wishes with their places in the queues, and how they are taken out and put back.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use tracing::warn;
use uuid::Uuid;

use super::plan::Asked;
use super::{DirectoryError, Document, Options, Written};
use crate::domain::access::Facts;
use crate::domain::command::{self, Command, Delta, MemberKey};
use crate::domain::connection::Lost;
use crate::domain::names::Xuid;
use crate::domain::principal::Principal;
use crate::domain::session::Session;
use crate::json::Json;
use crate::store::{BATCH_MAX, LoadAsk, WriteAsk};

/// How often a command is decided again because other processes saved first.
const ATTEMPTS: u32 = 64;

/// What is wanted of a session.
pub(super) enum Wish {
    /// A command.
    Do(Box<Asked>),
    /// Its state once timers are evaluated, as this caller may see it; these users' entries are needed too, if they are members.
    View(Arc<Principal>, Vec<Xuid>),
    /// That its timers are evaluated, for nobody to see.
    Settle,
    /// That it takes note of lost connections (N-40).
    Lose(Vec<Lost>),
}

/// What a wish comes to.
pub(super) enum Done {
    /// The command was done, and made no handle.
    Written(Written),
    /// The state; of one who makes a handle that which the handle leads to.
    Viewed(Box<View>),
    /// The timers were evaluated.
    Settled(Settled),
    /// The note was taken.
    Noted,
}

/// What evaluating the timers of a session came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    /// Whether one of them was due.
    pub was_due: bool,
    /// When the next one is.
    pub next_timer_at: Option<DateTime<Utc>>,
}

/// A settled session and what is known about the one who looks at it.
#[derive(Default)]
pub(super) struct View {
    /// The session, if there is one.
    pub session: Option<Session>,
    /// Its document; left out for one who makes a handle.
    pub document: Option<Document>,
    /// What is known about the caller.
    pub facts: Arc<Facts>,
}

pub(super) type Answer = Result<Done, DirectoryError>;

/// A wish in a queue.
pub(super) struct Job {
    /// Of which session.
    pub sid: Uuid,
    /// What is wanted.
    pub wish: Wish,
    /// How often it was put back.
    pub attempt: u32,
    /// Saves of it that may yet be committed: their connection broke, and they were not in the log when it was asked.
    pub doubts: Vec<Doubt>,
    /// Whether it is decided without company, because the database refused what it was saved with.
    pub alone: bool,
    /// Whether its session is to be loaded, because what is remembered of it is not enough.
    pub afresh: bool,
    reply: oneshot::Sender<Answer>,
    _place: Place,
}

/// A save that may yet be committed.
pub(super) struct Doubt {
    /// How it is found in the log.
    pub ask: WriteAsk,
    /// What its job is answered if it is there.
    pub answer: Answer,
}

impl Job {
    /// A job that has just come in, and where its answer will arrive.
    pub fn new(sid: Uuid, wish: Wish, place: Place) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (Self { sid, wish, attempt: 0, doubts: Vec::new(), alone: false, afresh: false, reply, _place: place }, answer)
    }

    /// Gives the answer.
    pub fn answer(self, answer: Answer) {
        // Nobody listens when the client has gone; what was done stays done.
        let _ = self.reply.send(answer);
    }
}

/// A place in the queues, given back when the job is done.
pub(super) struct Place {
    sid: Uuid,
    counts: Arc<Counts>,
}

/// How many jobs wait, in all and per session.
#[derive(Default)]
pub(super) struct Counts {
    total: AtomicUsize,
    sessions: Mutex<HashMap<Uuid, usize>>,
}

impl Counts {
    /// How many jobs there are.
    pub fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Takes a place, unless too many wait already.
    pub fn take(counts: &Arc<Self>, sid: Uuid, options: &Options) -> Option<Place> {
        if counts.total.fetch_add(1, Ordering::Relaxed) >= options.queue_total {
            counts.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut sessions = counts.sessions.lock().expect("nobody panics while holding the counts");
        let waiting = sessions.entry(sid).or_default();
        *waiting += 1;
        let full = *waiting > options.queue_per_session;
        drop(sessions);
        let place = Place { sid, counts: Arc::clone(counts) };
        if full { None } else { Some(place) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.total.fetch_sub(1, Ordering::Relaxed);
        let mut sessions = self.counts.sessions.lock().expect("nobody panics while holding the counts");
        if let Some(waiting) = sessions.get_mut(&self.sid) {
            *waiting -= 1;
            if *waiting == 0 {
                sessions.remove(&self.sid);
            }
        }
    }
}

/// Puts a job back, unless it has been put back too often.
pub(super) fn retry(mut job: Job, again: &mut Vec<Job>) {
    job.attempt += 1;
    if job.attempt >= ATTEMPTS {
        warn!(session.sid = %job.sid, "a write lost against other processes {ATTEMPTS} times");
        job.answer(Err(DirectoryError::Busy));
    } else {
        again.push(job);
    }
}

/// Takes the jobs of up to [`BATCH_MAX`] sessions out of the queue; the order within a session stays.
pub(super) fn take_round(waiting: &mut VecDeque<Job>) -> Vec<(Uuid, Vec<Job>)> {
    let mut round: Vec<(Uuid, Vec<Job>)> = Vec::new();
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    let mut rest = VecDeque::new();
    for job in waiting.drain(..) {
        match places.get(&job.sid) {
            Some(at) => round[*at].1.push(job),
            None if round.len() < BATCH_MAX => {
                places.insert(job.sid, round.len());
                round.push((job.sid, vec![job]));
            }
            None => rest.push_back(job),
        }
    }
    *waiting = rest;
    round
}

/// What has to be loaded for the jobs of a session.
pub(super) fn load_ask(sid: Uuid, jobs: &[Job]) -> LoadAsk {
    let mut ask = LoadAsk::plain(sid);
    for job in jobs {
        let principal = match &job.wish {
            Wish::Do(asked) => {
                match &asked.command {
                    Command::Write(write) => add_delta(&write.delta, &mut ask),
                    // Who blocks whom of the two (H-36).
                    Command::Invite(invited) => ask.callers.push(invited.0),
                    Command::Remove(index) => ask.indices.extend(i32::try_from(*index)),
                    _ => {}
                }
                &asked.principal
            }
            Wish::View(principal, others) => {
                ask.callers.extend(others.iter().map(|xuid| xuid.0));
                principal
            }
            Wish::Settle => continue,
            Wish::Lose(lost) => {
                ask.callers.extend(lost.iter().map(|one| one.owner.0));
                continue;
            }
        };
        ask.callers.extend(principal.users().iter().map(|user| user.xuid.0));
    }
    ask.callers.sort_unstable();
    ask.callers.dedup();
    ask.indices.sort_unstable();
    ask.indices.dedup();
    ask.connections.sort_unstable();
    ask.connections.dedup();
    ask
}

/// What has to be loaded for a request: the members it names by their index, and edges if it writes a restriction.
fn add_delta(delta: &Delta, ask: &mut LoadAsk) {
    ask.connections.extend(delta.registrations().map(|id| id.0));
    ask.engages |=
        !ask.connections.is_empty() || delta.members.iter().filter_map(|(_, entry)| entry.as_ref()).any(command::engages);
    let named = delta.members.iter().filter_map(|(key, _)| if let MemberKey::Index(index) = key { Some(*index) } else { None });
    ask.indices.extend(named.filter_map(|index| i32::try_from(index).ok()));
    let Some(system) = delta.properties.as_ref().and_then(|properties| properties.get("system")) else { return };
    let owners = system.get("owners").and_then(Json::as_array).unwrap_or_default();
    ask.indices.extend(owners.iter().filter_map(|index| i32::try_from(index.as_u64()?).ok()));
    ask.writes_restriction |= system.get("joinRestriction").is_some() || system.get("readRestriction").is_some();
}
