//! The write path: commands queue up, are decided session by session on one loaded record, and are committed together.
//!
//! A session belongs to one queue, so its commands are decided in the order they came in. While one round is being committed the
//! next one queues up; nobody waits for company. A save that loses against another process is loaded and decided again. Answers are
//! given after the commit, refusals too, because they may rest on what is being committed.

use std::collections::HashSet;
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
use super::deciding::{Decider, Ground, version_of};
use super::group::{Claim, Group, disjoint};
use super::memory::Memory;
use super::plan::Basis;
use super::queue::{Answer, Counts, Done, Job, Wish, load_ask, retry};
use super::waiting::Waiting;
use super::{DirectoryError, Options};
use crate::ambient::{Clock, Ids};
use crate::metrics::{Metrics, size};
use crate::store::rows::Loaded;
use crate::store::{SessionSave, Store, StoreError, WriteAsk};

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
                queue: jobs,
                waiting: Waiting::default(),
                memory: Memory::new(options.memory_bytes / options.gatherers.max(1)),
                store: store.clone(),
                clock: clock.clone(),
                decider: Decider { ids: ids.clone(), options: Arc::clone(options), outlet: outlet.clone() },
            };
            tokio::spawn(shard.run());
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
    queue: mpsc::UnboundedReceiver<Job>,
    waiting: Waiting,
    memory: Memory,
    store: Store,
    clock: Clock,
    decider: Decider,
}

impl Shard {
    async fn run(mut self) {
        let mut arrived = Vec::new();
        loop {
            if self.waiting.is_empty() {
                if self.queue.recv_many(&mut arrived, ROUND_MAX).await == 0 {
                    return;
                }
            } else {
                while arrived.len() < ROUND_MAX
                    && let Ok(job) = self.queue.try_recv()
                {
                    arrived.push(job);
                }
            }
            arrived.drain(..).for_each(|job| self.waiting.push(job));
            // A panic answers those who wait for this round with a failure, and nobody else.
            if AssertUnwindSafe(self.round()).catch_unwind().await.is_err() {
                error!("a round of writes panicked; the message stands above");
            }
        }
    }

    /// Loads, decides, saves and answers; jobs that have to be decided again wait before all others then.
    async fn round(&mut self) {
        let jobs = self.waiting.take_round();
        self.metrics().round_commands.observe(size(jobs.iter().map(|(_, jobs)| jobs.len()).sum()));
        let lost = |(_, jobs): &(Uuid, Vec<Job>)| jobs.iter().any(|job| job.attempt >= LOSSES);
        let (contested, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(lost);
        self.round_together(jobs).await;
        for (sid, jobs) in contested {
            self.round_alone(sid, jobs).await;
        }
    }

    /// A round for one session that others keep saving first: it is locked, so that this save wins.
    async fn round_alone(&mut self, sid: Uuid, jobs: Vec<Job>) {
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
        let (group, rest) = self.decider.decide_all(sid, jobs, self.ground(sid, loaded), now);
        self.waiting.push_first(rest);
        let outcome = if let Some(save) = &group.save {
            let begun = Instant::now();
            let outcome = lock.save(save).await;
            self.metrics().committed(1, begun.elapsed());
            outcome
        } else {
            drop(lock);
            Ok(())
        };
        self.conclude(group, outcome).await;
    }

    /// A round for many sessions that share their statements.
    async fn round_together(&mut self, jobs: Vec<(Uuid, Vec<Job>)>) {
        // Members of large sessions are loaded if they are due at this instant, so it is also the one they are settled at.
        let (now, begun) = (self.clock.now(), Instant::now());
        let grounds = self.grounds(jobs, now).await;
        let mut groups = Vec::with_capacity(grounds.len());
        for (sid, jobs, ground) in grounds {
            let decide = || self.decider.decide_all(sid, jobs, ground, now);
            if let Ok((group, rest)) = catch_unwind(AssertUnwindSafe(decide)) {
                groups.push(group);
                self.waiting.push_first(rest);
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
                self.metrics().committed(saves.len(), begun.elapsed());
                outcomes
            };
            for (at, outcome) in batch.into_iter().zip(outcomes) {
                let group = std::mem::replace(&mut groups[at], Group::of(Uuid::nil()));
                self.conclude(group, outcome).await;
            }
        }
        for group in groups {
            self.conclude(group, Ok(())).await;
        }
    }

    /// What the jobs of each session are decided on: what is remembered, or what is found now. Those that cannot be loaded are answered.
    async fn grounds(&mut self, jobs: Vec<(Uuid, Vec<Job>)>, now: DateTime<Utc>) -> Vec<(Uuid, Vec<Job>, Ground)> {
        let (mut grounds, mut unknown, mut asks) = (Vec::with_capacity(jobs.len()), Vec::new(), Vec::new());
        for (sid, jobs) in jobs {
            if let Some(basis) = self.memory.take(sid).filter(|basis| may_trust(basis, &jobs)) {
                grounds.push((sid, jobs, Ground::Remembered(basis)));
            } else {
                asks.push(load_ask(sid, &jobs));
                unknown.push((sid, jobs));
            }
        }
        self.metrics().decided(grounds.len(), asks.len());
        if asks.is_empty() {
            return grounds;
        }
        match self.store.load_sessions(&asks, now).await {
            Ok(loaded) => {
                // Only now: whatever was committed before the load is found, and whatever is committed later makes these saves lose.
                let jobs = self.clear_doubts(unknown).await;
                let found = jobs.into_iter().zip(loaded);
                grounds.extend(found.map(|((sid, jobs), loaded)| (sid, jobs, self.ground(sid, loaded))));
            }
            Err(error) => {
                warn!(%error, "failed to load {} sessions", asks.len());
                self.memory.clear();
                for job in unknown.into_iter().flat_map(|(_, jobs)| jobs) {
                    job.answer(Err(error.clone().into()));
                }
            }
        }
        grounds
    }

    fn ground(&self, sid: Uuid, loaded: Loaded) -> Ground {
        let remembers = self.memory.trusts(sid, version_of(&loaded));
        Ground::Loaded(loaded, remembers)
    }

    fn metrics(&self) -> &Metrics {
        &self.decider.options.metrics
    }

    /// Gives the answers of a session whose save came to `outcome`, or hands its jobs back.
    async fn conclude(&mut self, mut group: Group, outcome: Result<(), StoreError>) {
        if matches!(outcome, Err(StoreError::Unknown(_) | StoreError::Unavailable(_))) {
            // A database that was away may be one that has forgotten the last commits, and counts revisions on from there.
            self.memory.clear();
        }
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
            Ok(()) if group.unproven && group.claim.is_none() => {
                group.decided.iter_mut().for_each(|(job, _)| job.afresh = true);
                self.hand_back(group);
            }
            Ok(()) => {
                match group.left {
                    Some(left) => self.memory.put(group.sid, left.version, left.basis, left.text),
                    None if group.claim.is_some() => self.memory.forget(group.sid),
                    None => {}
                }
                if let Some(announcement) = group.announcement {
                    self.decider.outlet.tell(announcement);
                }
                self.waiting.push_first(group.unsettled);
                for (job, answer) in group.decided {
                    job.answer(answer);
                }
                for (job, activity) in group.unbound {
                    match self.store.put_unbound_activity(&activity).await {
                        Ok(()) => job.answer(Ok(Done::Viewed(Box::default()))),
                        Err(StoreError::LostRace) => self.waiting.push_first(retry(job).into_iter().collect()),
                        Err(error) => job.answer(Err(error.into())),
                    }
                }
            }
            Err(StoreError::LostRace) => {
                self.metrics().races_lost.inc();
                debug!(session.sid = %group.sid, "lost a race: deciding again");
                self.hand_back(group);
            }
            Err(StoreError::Database(error)) if group.len() > 1 => {
                warn!(session.sid = %group.sid, %error, "the database refused what several asked for: one after another now");
                group.split();
                self.hand_back(group);
            }
            Err(error) => {
                warn!(session.sid = %group.sid, %error, "failed to save a session");
                self.decider.outlet.tell(Announcement::unsure(group.sid));
                for job in group.into_jobs() {
                    job.answer(Err(error.clone().into()));
                }
            }
        }
    }

    /// Lets the jobs of a session be decided again, before others of the session that wait already, because they came before them.
    fn hand_back(&mut self, group: Group) {
        self.waiting.push_first(group.into_jobs().filter_map(retry).collect());
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
                            self.decider.outlet.tell(Announcement::unsure(doubt.ask.sid));
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

/// Whether jobs are to be decided on a session as it is remembered: that is enough for them, as far as it can be told before.
fn may_trust(basis: &Basis, jobs: &[Job]) -> bool {
    jobs.iter().all(|job| !job.afresh && job.doubts.is_empty() && job.wish.asks_no_facts(&basis.session))
}
