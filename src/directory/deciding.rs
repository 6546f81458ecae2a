//! Deciding the jobs of one session, one after another, on the same record.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::error;
use uuid::Uuid;

use super::Options;
use super::announce::Outlet;
use super::group::Group;
use super::plan::{Basis, House, Plan};
use super::queue::{Done, Job, Wish};
use crate::ambient::Ids;
use crate::domain::access::Facts;
use crate::domain::command::Command;
use crate::domain::connection::Known;
use crate::domain::names::{ConnectionId, Xuid};
use crate::store::rows::{Edge, KnownConnection, Loaded};
use crate::store::{StoreError, Version, projection};
use crate::wire::stored::Renderer;

/// What is known of a session when it is decided on.
pub(super) enum Ground {
    /// What the store has found, and whether the session may be remembered.
    Loaded(Loaded, bool),
    /// What was saved last.
    Remembered(Basis),
}

/// A session that is being decided on.
struct Open {
    plan: Plan,
    group: Group,
    remembers: bool,
}

/// Decides; it has what the sessions of a queue share.
pub(super) struct Decider {
    pub ids: Ids,
    pub options: Arc<Options>,
    pub outlet: Outlet,
}

impl Decider {
    /// Begins with what is known, and settles what is due at `now`.
    ///
    /// # Errors
    /// `Corrupt` when the stored session cannot be read.
    fn open(&self, sid: Uuid, ground: Ground, now: DateTime<Utc>) -> Result<Open, StoreError> {
        let mut group = Group::of(sid);
        let (plan, remembers) = match ground {
            Ground::Loaded(loaded, remembers) => {
                (Plan::new(read_basis(sid, &loaded)?, Some(self.facts(&loaded)), now), remembers)
            }
            Ground::Remembered(basis) => {
                group.unproven = true;
                (Plan::new(Some(basis), None, now), true)
            }
        };
        Ok(Open { plan, group, remembers })
    }

    /// Decides the jobs of a session, but for those that have to wait for another round, which come back.
    pub fn decide_all(&self, sid: Uuid, jobs: Vec<Job>, ground: Ground, now: DateTime<Utc>) -> (Group, Vec<Job>) {
        let mut open = match self.open(sid, ground, now) {
            Ok(open) => open,
            Err(error) => {
                error!(session.sid = %sid, %error, "a stored session cannot be read");
                return (Group::failed(sid, jobs, &error), Vec::new());
            }
        };
        if jobs.iter().any(|job| !job.doubts.is_empty()) {
            open.plan.touch();
        }
        if open.plan.is_due() {
            if !open.plan.has_changed() {
                let error = StoreError::Corrupt { reference: sid.to_string(), why: "what is due cannot be settled".to_owned() };
                error!(session.sid = %sid, %error, "a large session and its members disagree");
                return (Group::failed(sid, jobs, &error), Vec::new());
            }
            open.group.unsettled = jobs;
            return (self.close(open), Vec::new());
        }
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            let alone = job.alone;
            let waits = self.decide(&mut open, job);
            if alone || waits.is_some() {
                return (self.close(open), waits.into_iter().chain(jobs).collect());
            }
        }
        (self.close(open), Vec::new())
    }

    /// Decides a job, or gives it back if it has to wait for another round.
    fn decide(&self, open: &mut Open, mut job: Job) -> Option<Job> {
        let Open { plan, group, .. } = open;
        job.afresh = !plan.suffices_for(&job.wish);
        if job.afresh || (job.alone && !group.is_empty()) {
            return Some(job);
        }
        let house = House { limits: &self.options.limits };
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
        let Some(answer) = answer else { return Some(job) };
        match (&job.wish, plan.session()) {
            (Wish::Do(asked), None) if answer.is_ok() && matches!(asked.command, Command::Show) => {
                let activity = asked.handle.as_ref().expect("an activity is posted").unbound();
                group.unbound.push((job, activity));
            }
            _ => group.decided.push((job, answer)),
        }
        None
    }

    /// Ends deciding on a session: finds what is to be saved.
    fn close(&self, open: Open) -> Group {
        let Open { plan, mut group, remembers } = open;
        // What nobody but the sweeper has asked for need not push out what others ask for.
        let is_asked_for = group.unproven || group.decided.iter().any(|(job, _)| !matches!(job.wish, Wish::Settle));
        group.finish(plan, remembers && is_asked_for, &self.outlet, self.ids.uuid());
        group
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
}

/// Which version was loaded, if there is a session.
pub(super) fn version_of(loaded: &Loaded) -> Option<Version> {
    loaded.stored.as_ref().map(|stored| Version { branch: stored.session.branch, revision: stored.revision })
}

/// Reads the session that was loaded, if there is one.
///
/// # Errors
/// `Corrupt`.
pub(super) fn read_basis(sid: Uuid, loaded: &Loaded) -> Result<Option<Basis>, StoreError> {
    let Some((stored, version)) = loaded.stored.as_ref().zip(version_of(loaded)) else { return Ok(None) };
    let session = projection::loaded_session(stored)
        .map_err(|error| StoreError::Corrupt { reference: sid.to_string(), why: error.to_string() })?;
    Ok(Some(Basis { version, session, body: Some(Arc::clone(&stored.session.body)), renderer: Renderer::default() }))
}
