//! The write path: commands queue up, are decided session by session on one loaded record, and are committed together.
//!
//! A session belongs to one queue, so its commands are decided in the order they came in. While one round is being committed the
//! next one queues up; nobody waits for company. A save that loses against another process is loaded and decided again. Answers are
//! given after the commit, refusals too, because they may rest on what is being committed.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::announce::{Announcement, Outlet};
use super::group::{Claim, Group, disjoint};
use super::memory::Memory;
use super::plan::{Basis, House, Plan};
use super::queue::{Answer, Counts, Done, Job, Wish, load_ask, retry, take_round};
use super::{DirectoryError, Options};
use crate::ambient::{Clock, Ids};
use crate::domain::access::Facts;
use crate::domain::command::Command;
use crate::domain::connection::Known;
use crate::domain::names::{ConnectionId, Xuid};
use crate::metrics::size;
use crate::store::rows::{Edge, KnownConnection, Loaded};
use crate::store::{SessionSave, Store, StoreError, Version, WriteAsk, projection};
use crate::wire::stored::Renderer;

/// How many commands one round takes at most.
const ROUND_MAX: usize = 1024;
/// After how many lost races a session is locked while it is decided on.
const LOSSES: u32 = 3;
/// How old what was loaded may be when it is saved.
const STALE: Duration = Duration::from_secs(10);
/// How long a save may go on at the server after its connection broke, until it is taken for lost.
const STRAGGLE: Duration = Duration::from_millis(25);

/// The entrance to the write path.
pub(super) struct Writer {
    queues: Vec<mpsc::UnboundedSender<Job>>,
    counts: Arc<Counts>,
    options: Arc<Options>,
}

impl Writer {
    /// Starts the tasks; must be called inside the runtime they shall live in.
    pub fn start(store: &Store, clock: &Clock, ids: &Ids, options: &Arc<Options>, outlet: &Outlet) -> Self {
        let start = |_| {
            let (queue, jobs) = mpsc::unbounded_channel();
            let shard = Shard {
                memory: Memory::new(options.memory_bytes / options.gatherers.max(1)),
                store: store.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                options: Arc::clone(options),
                outlet: outlet.clone(),
            };
            tokio::spawn(shard.run(jobs));
            queue
        };
        Self { queues: (0..options.gatherers.max(1)).map(start).collect(), counts: Arc::default(), options: Arc::clone(options) }
    }

    /// How many jobs wait or are under way.
    pub fn waiting(&self) -> usize {
        self.counts.total()
    }

    /// Queues a wish and waits until it is done and committed.
    ///
    /// # Errors
    /// `Busy` when too many wait; what deciding and saving come to.
    pub async fn ask(&self, sid: Uuid, wish: Wish) -> Answer {
        let place = Counts::take(&self.counts, sid, &self.options).ok_or(DirectoryError::Busy)?;
        let queue = &self.queues[usize::from(sid.as_bytes()[15]) % self.queues.len()];
        let (job, answer) = Job::new(sid, wish, place);
        queue.send(job).map_err(|_| DirectoryError::Busy)?;
        answer.await.unwrap_or(Err(DirectoryError::Broken))
    }
}

/// One queue's task.
struct Shard {
    memory: Memory,
    store: Store,
    clock: Clock,
    ids: Ids,
    options: Arc<Options>,
    outlet: Outlet,
}

/// What is known of a session when it is decided on.
enum Ground {
    /// What the store has found.
    Loaded(Loaded),
    /// What was saved last.
    Remembered(Basis),
}

impl Shard {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut waiting: VecDeque<Job> = VecDeque::new();
        let mut arrived = Vec::new();
        loop {
            if waiting.is_empty() {
                if queue.recv_many(&mut arrived, ROUND_MAX).await == 0 {
                    return;
                }
            } else {
                while arrived.len() < ROUND_MAX
                    && let Ok(job) = queue.try_recv()
                {
                    arrived.push(job);
                }
            }
            waiting.extend(arrived.drain(..));
            let round = take_round(&mut waiting);
            // A panic answers those who wait for this round with a failure, and nobody else.
            if let Ok(again) = AssertUnwindSafe(self.round(round)).catch_unwind().await {
                again.into_iter().rev().for_each(|job| waiting.push_front(job));
            } else {
                error!("a round of writes panicked; the message stands above");
            }
        }
    }

    /// Loads, decides, saves and answers; returns the jobs that have to be decided again, in their order.
    async fn round(&mut self, jobs: Vec<(Uuid, Vec<Job>)>) -> Vec<Job> {
        self.options.metrics.round_commands.observe(size(jobs.iter().map(|(_, jobs)| jobs.len()).sum()));
        let lost = |(_, jobs): &(Uuid, Vec<Job>)| jobs.iter().any(|job| job.attempt >= LOSSES);
        let (contested, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(lost);
        let mut again = Vec::new();
        for (sid, jobs) in contested {
            self.round_alone(sid, jobs, &mut again).await;
        }
        if !jobs.is_empty() {
            self.round_together(jobs, &mut again).await;
        }
        again
    }

    /// A round for one session that others keep saving first: it is locked, so that this save wins.
    async fn round_alone(&mut self, sid: Uuid, jobs: Vec<Job>, again: &mut Vec<Job>) {
        drop(self.memory.take(sid));
        let ask = load_ask(sid, &jobs);
        let locked = async {
            let mut lock = self.store.lock_session(sid).await?;
            let now = self.clock.now();
            let loaded = lock.load(&ask, now).await?;
            Ok::<_, StoreError>((lock, loaded, now))
        };
        let (lock, loaded, now) = match locked.await {
            Ok(locked) => locked,
            Err(error) => {
                warn!(session.sid = %sid, %error, "failed to lock a session");
                return jobs.into_iter().for_each(|job| job.answer(Err(error.clone().into())));
            }
        };
        let jobs = self.clear_doubts(vec![(sid, jobs)]).await.into_iter().flat_map(|(_, jobs)| jobs).collect();
        let group = self.decide(sid, jobs, Ground::Loaded(loaded), now, again);
        let outcome = if let Some(save) = &group.save {
            let begun = Instant::now();
            let outcome = lock.save(save).await;
            self.options.metrics.committed(1, begun.elapsed());
            outcome
        } else {
            drop(lock);
            Ok(())
        };
        self.conclude(group, outcome, again).await;
    }

    /// A round for many sessions that share their statements.
    async fn round_together(&mut self, jobs: Vec<(Uuid, Vec<Job>)>, again: &mut Vec<Job>) {
        let (mut remembered, mut unknown, mut asks) = (Vec::new(), Vec::new(), Vec::new());
        for (sid, jobs) in jobs {
            match self.memory.take(sid).filter(|_| !is_loaded(&jobs)) {
                Some(basis) => remembered.push((sid, jobs, Ground::Remembered(basis))),
                None => {
                    asks.push(load_ask(sid, &jobs));
                    unknown.push((sid, jobs));
                }
            }
        }
        self.options.metrics.decided(remembered.len(), asks.len());
        // Members of large sessions are loaded if they are due at this instant, so it is also the one they are settled at.
        let (now, begun) = (self.clock.now(), Instant::now());
        let mut grounds = remembered;
        if !asks.is_empty() {
            match self.store.load_sessions(&asks, now).await {
                // Doubts only now: whatever was committed before the load is found, and whatever is committed later makes these saves
                // lose.
                Ok(loaded) => {
                    let jobs = self.clear_doubts(unknown).await;
                    grounds.extend(jobs.into_iter().zip(loaded).map(|((sid, jobs), loaded)| (sid, jobs, Ground::Loaded(loaded))));
                }
                Err(error) => {
                    warn!(%error, "failed to load {} sessions", asks.len());
                    for job in unknown.into_iter().flat_map(|(_, jobs)| jobs) {
                        job.answer(Err(error.clone().into()));
                    }
                }
            }
        }
        let mut groups = Vec::with_capacity(grounds.len());
        for (sid, jobs, ground) in grounds {
            if let Ok(group) = catch_unwind(AssertUnwindSafe(|| self.decide(sid, jobs, ground, now, again))) {
                groups.push(group);
            } else {
                error!(session.sid = %sid, "deciding the writes of a session panicked; the message stands above");
            }
        }
        for batch in disjoint(&groups) {
            let saves: Vec<SessionSave> = batch.iter().filter_map(|at| groups[*at].save.take()).collect();
            // Whoever stood still in between may have missed that a connection was lost, and those who search for its members are done.
            let outcomes = if begun.elapsed() > STALE {
                vec![Err(StoreError::LostRace); saves.len()]
            } else {
                let begun = Instant::now();
                let outcomes = self.store.save_sessions(&saves).await;
                self.options.metrics.committed(saves.len(), begun.elapsed());
                outcomes
            };
            for (at, outcome) in batch.into_iter().zip(outcomes) {
                let group = std::mem::replace(&mut groups[at], Group::of(Uuid::nil()));
                self.conclude(group, outcome, again).await;
            }
        }
        for group in groups {
            self.conclude(group, Ok(()), again).await;
        }
    }

    /// What the store found out about the callers.
    fn facts(&self, loaded: &Loaded) -> Facts {
        let edge = |edge: &Edge| (Xuid(edge.from), Xuid(edge.to));
        let known = |known: &KnownConnection| Known {
            id: ConnectionId(known.id),
            owner: Xuid(known.owner),
            alive: known.alive,
            elsewhere: usize::try_from(known.elsewhere).unwrap_or(usize::MAX),
        };
        let former = loaded.stored.as_ref().map_or(&[] as &[u64], |stored| &stored.former_members);
        Facts {
            follows: loaded.follows.iter().map(edge).collect(),
            blocks: loaded.blocks.iter().map(edge).collect(),
            everybody_follows: self.options.everybody_follows,
            former: former.iter().copied().map(Xuid).collect(),
            connections: loaded.connections.iter().map(known).collect(),
        }
    }

    /// Decides the jobs of one session, one after another, on the same record.
    fn decide(&self, sid: Uuid, jobs: Vec<Job>, ground: Ground, now: DateTime<Utc>, again: &mut Vec<Job>) -> Group {
        let mut group = Group::of(sid);
        let (mut plan, remembers) = match ground {
            Ground::Remembered(basis) => {
                group.from_memory = true;
                (Plan::new(Some(basis), None, now), true)
            }
            Ground::Loaded(loaded) => match read_basis(sid, &loaded) {
                Ok(basis) => {
                    let trusted = self.memory.trusts(sid, basis.as_ref().map(|basis| basis.version));
                    (Plan::new(basis, Some(self.facts(&loaded)), now), trusted)
                }
                Err(error) => {
                    error!(session.sid = %sid, %error, "a stored session cannot be read");
                    group.decided.extend(jobs.into_iter().map(|job| (job, Err(error.clone().into()))));
                    return group;
                }
            },
        };
        let house = House { limits: &self.options.limits };
        if jobs.iter().any(|job| !job.doubts.is_empty()) {
            plan.touch();
        }
        if plan.is_due() {
            if plan.has_changed() {
                group.unsettled = jobs;
                group.finish(plan, remembers, &self.outlet, self.ids.uuid());
            } else {
                let error = StoreError::Corrupt { reference: sid.to_string(), why: "what is due cannot be settled".to_owned() };
                error!(session.sid = %sid, %error, "a large session and its members disagree");
                group.decided.extend(jobs.into_iter().map(|job| (job, Err(error.clone().into()))));
            }
            return group;
        }
        let mut jobs = jobs.into_iter();
        while let Some(mut job) = jobs.next() {
            job.afresh = !plan.suffices_for(&job.wish);
            if job.afresh || (job.alone && !group.is_empty()) {
                again.push(job);
                again.extend(jobs);
                break;
            }
            let alone = job.alone;
            let answer = match &job.wish {
                Wish::View(principal, _) => {
                    let document = plan.document(principal.xuid());
                    Some(Ok(plan.viewed(document)))
                }
                Wish::Settle => Some(Ok(Done::Settled(plan.settled()))),
                Wish::Lose(lost) => {
                    plan.lose(lost, house);
                    Some(Ok(Done::Noted))
                }
                Wish::Do(asked) => plan.run(asked, house, self.ids.uuid()).map(|written| {
                    written.map(|written| if asked.makes_handle() { plan.viewed(None) } else { Done::Written(written) })
                }),
            };
            let Some(answer) = answer else {
                again.push(job);
                again.extend(jobs);
                break;
            };
            match (&job.wish, plan.session()) {
                (Wish::Do(asked), None) if answer.is_ok() && matches!(asked.command, Command::Show) => {
                    let activity = asked.handle.as_ref().expect("an activity is posted").unbound();
                    group.unbound.push((job, activity));
                }
                _ => group.decided.push((job, answer)),
            }
            if alone {
                again.extend(jobs);
                break;
            }
        }
        group.finish(plan, remembers, &self.outlet, self.ids.uuid());
        group
    }

    /// Gives the answers of a session whose save came to `outcome`, or hands its jobs back.
    async fn conclude(&mut self, mut group: Group, outcome: Result<(), StoreError>, again: &mut Vec<Job>) {
        let outcome = match (outcome, group.claim) {
            (Err(StoreError::Unknown(error)), Some(Claim { ask, creates })) => {
                match self.look_up(ask).await {
                    Ok(true) => Ok(()),
                    // Of two saves from one version only one can win, but a creation may win again once the session has ended.
                    Ok(false) if creates => Err(StoreError::Unknown(error)),
                    Ok(false) => {
                        group.doubt(ask);
                        Err(StoreError::LostRace)
                    }
                    Err(_) => Err(StoreError::Unknown(error)),
                }
            }
            (outcome, _) => outcome,
        };
        match outcome {
            // Nothing has shown that the session still is what was remembered.
            Ok(()) if group.from_memory && group.claim.is_none() => {
                group.decided.iter_mut().for_each(|(job, _)| job.afresh = true);
                group.hand_back(again);
            }
            Ok(()) => {
                match group.left {
                    Some(left) => self.memory.put(group.sid, left.version, left.basis, left.text),
                    None if group.claim.is_some() => self.memory.forget(group.sid),
                    None => {}
                }
                if let Some(announcement) = group.announcement {
                    self.outlet.tell(announcement);
                }
                again.extend(group.unsettled);
                for (job, answer) in group.decided {
                    job.answer(answer);
                }
                for (job, activity) in group.unbound {
                    match self.store.put_unbound_activity(&activity).await {
                        Ok(()) => job.answer(Ok(Done::Viewed(Box::default()))),
                        Err(StoreError::LostRace) => retry(job, again),
                        Err(error) => job.answer(Err(error.into())),
                    }
                }
            }
            Err(StoreError::LostRace) => {
                self.options.metrics.races_lost.inc();
                debug!(session.sid = %group.sid, "lost a race: deciding again");
                group.hand_back(again);
            }
            Err(StoreError::Database(error)) if group.len() > 1 => {
                warn!(session.sid = %group.sid, %error, "the database refused what several asked for: one after another now");
                group.split();
                group.hand_back(again);
            }
            Err(error) => {
                warn!(session.sid = %group.sid, %error, "failed to save a session");
                self.outlet.tell(Announcement::unsure(group.sid));
                for job in group.into_jobs() {
                    job.answer(Err(error.clone().into()));
                }
            }
        }
    }

    /// Asks the log whether a save was committed whose connection broke; a second time after a moment, because the server may have
    /// been at it still.
    async fn look_up(&self, ask: WriteAsk) -> Result<bool, StoreError> {
        for pause in [Duration::ZERO, STRAGGLE] {
            sleep(pause).await;
            if self.store.find_writes(&[ask]).await?.first() == Some(&true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Answers the jobs whose doubtful saves turn out to be committed, and keeps the others.
    async fn clear_doubts(&self, mut round: Vec<(Uuid, Vec<Job>)>) -> Vec<(Uuid, Vec<Job>)> {
        let doubts = round.iter().flat_map(|(_, jobs)| jobs).flat_map(|job| &job.doubts);
        let asks: Vec<WriteAsk> = doubts.map(|doubt| doubt.ask).collect();
        if asks.is_empty() {
            return round;
        }
        let found = self.store.find_writes(&asks).await;
        let mut found = found.map(|found| asks.into_iter().zip(found).filter_map(|(ask, found)| found.then_some(ask.write_id)));
        let committed: Result<HashSet<Uuid>, StoreError> = match &mut found {
            Ok(found) => Ok(found.collect()),
            Err(error) => Err(error.clone()),
        };
        for (_, jobs) in &mut round {
            for mut job in std::mem::take(jobs) {
                if job.doubts.is_empty() {
                    jobs.push(job);
                    continue;
                }
                match &committed {
                    Err(error) => job.answer(Err(error.clone().into())),
                    Ok(committed) => match job.doubts.iter().position(|doubt| committed.contains(&doubt.ask.write_id)) {
                        Some(at) => {
                            let doubt = job.doubts.swap_remove(at);
                            self.outlet.tell(Announcement::unsure(doubt.ask.sid));
                            job.answer(doubt.answer);
                        }
                        None => jobs.push(job),
                    },
                }
            }
        }
        round
    }
}

/// Whether a session is loaded, whatever is remembered of it: that was not enough, or what was found is to be told.
fn is_loaded(jobs: &[Job]) -> bool {
    jobs.iter().any(|job| job.afresh || !job.doubts.is_empty() || matches!(job.wish, Wish::View(..)))
}

/// Reads the session that was loaded, if there is one.
///
/// # Errors
/// `Corrupt`.
pub(super) fn read_basis(sid: Uuid, loaded: &Loaded) -> Result<Option<Basis>, StoreError> {
    let Some(stored) = &loaded.stored else { return Ok(None) };
    let row = &stored.session;
    let session = projection::loaded_session(stored)
        .map_err(|error| StoreError::Corrupt { reference: sid.to_string(), why: error.to_string() })?;
    Ok(Some(Basis {
        version: Version { branch: row.branch, revision: stored.revision },
        session,
        body: Some(row.body.clone()),
        renderer: Renderer::default(),
    }))
}
