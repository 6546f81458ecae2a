//! The jobs of one session in one round: how they were decided, what is saved for them, and what becomes of them then.

use std::collections::HashSet;

use uuid::Uuid;

use super::DirectoryError;
use super::announce::{Announcement, Outlet};
use super::plan::{Basis, Plan};
use super::queue::{Answer, Doubt, Job, Wish, retry};
use crate::store::rows::{HandleRow, handle_code};
use crate::store::{SessionSave, Version, WriteAsk};

/// The jobs of one session in one round, with what they come to once the save is through.
pub(super) struct Group {
    pub sid: Uuid,
    pub decided: Vec<(Job, Answer)>,
    /// Activities whose session does not exist.
    pub unbound: Vec<(Job, HandleRow)>,
    /// Those that are decided when what is due is settled to the end: this save takes only a part of it.
    pub unsettled: Vec<Job>,
    pub save: Option<SessionSave>,
    /// How that save is recognized; `None` if there is none.
    pub claim: Option<Claim>,
    /// What is told once the save is through.
    pub announcement: Option<Announcement>,
    /// What is remembered once the save is through.
    pub left: Option<Left>,
    /// Whether it was decided on what was remembered.
    pub from_memory: bool,
}

/// How a save is recognized whose outcome is unknown.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    /// How it is found in the log; a handle keeps its id when its job is decided again, so it is asked for only where the log has
    /// nothing to say.
    pub ask: WriteAsk,
    /// Whether it makes the session.
    pub creates: bool,
}

impl Claim {
    fn of(save: &SessionSave) -> Self {
        let handle = save.handles.first().filter(|_| save.changes.is_empty()).map(|handle| handle.id);
        Self { ask: WriteAsk { sid: save.sid, write_id: save.write_id, handle }, creates: save.expected.is_none() }
    }
}

/// How a session is left.
pub(super) struct Left {
    pub version: Version,
    /// `None` where it is not to be remembered.
    pub basis: Option<Basis>,
    /// How many bytes its text has.
    pub text: usize,
}

impl Group {
    /// One without jobs.
    pub fn of(sid: Uuid) -> Self {
        Self {
            sid,
            decided: Vec::new(),
            unbound: Vec::new(),
            unsettled: Vec::new(),
            save: None,
            claim: None,
            announcement: None,
            left: None,
            from_memory: false,
        }
    }

    /// Notes what is to be saved, what is to be told of it, and what is to be remembered.
    pub fn finish(&mut self, mut plan: Plan, remembers: bool, outlet: &Outlet, write_id: Uuid) {
        self.announcement = if outlet.is_connected() { plan.announcement(self.sid) } else { None };
        self.save = plan.save(self.sid, write_id);
        self.claim = self.save.as_ref().map(Claim::of);
        let text = self.save.as_ref().and_then(|save| save.after.as_ref()).map(|after| after.body.len());
        self.left = text.zip(plan.into_basis()).map(|(text, basis)| Left {
            version: basis.version,
            basis: remembers.then_some(basis),
            text,
        });
    }

    /// How many jobs were decided.
    pub fn len(&self) -> usize {
        self.decided.len() + self.unbound.len()
    }

    /// Whether nothing has been decided yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its jobs in their order.
    pub fn into_jobs(self) -> impl Iterator<Item = Job> {
        let decided = self.decided.into_iter().map(|(job, _)| job);
        decided.chain(self.unbound.into_iter().map(|(job, _)| job)).chain(self.unsettled)
    }

    /// Makes the jobs remember a save that may yet be committed, with what they are answered then.
    ///
    /// The server goes on with a statement whose client is gone: asked at once, the log may not know it yet. The next save of the
    /// session settles it, because only one of the two can win.
    pub fn doubt(&mut self, ask: WriteAsk) {
        for (job, answer) in &mut self.decided {
            if matches!(job.wish, Wish::Do(_)) {
                let answer = std::mem::replace(answer, Err(DirectoryError::Broken));
                job.doubts.push(Doubt { ask, answer });
            }
        }
    }

    /// Lets each job be decided by itself.
    pub fn split(&mut self) {
        let jobs = self.decided.iter_mut().map(|(job, _)| job).chain(self.unbound.iter_mut().map(|(job, _)| job));
        jobs.for_each(|job| job.alone = true);
    }

    /// Hands the jobs back, before those of the session that were handed back already because they come after these.
    pub fn hand_back(self, again: &mut Vec<Job>) {
        let behind = again.iter().position(|job| job.sid == self.sid).unwrap_or(again.len());
        let tail = again.split_off(behind);
        self.into_jobs().for_each(|job| retry(job, again));
        again.extend(tail);
    }
}

/// Splits the groups that save something into batches in which no two touch one owner's activity in one service config.
pub(super) fn disjoint(groups: &[Group]) -> Vec<Vec<usize>> {
    let mut batches: Vec<(ActivityKeys, Vec<usize>)> = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let Some(save) = &group.save else { continue };
        let keys = activity_keys(save);
        match batches.iter_mut().find(|(taken, _)| taken.is_disjoint(&keys)) {
            Some((taken, batch)) => {
                taken.extend(keys);
                batch.push(at);
            }
            None => batches.push((keys, vec![at])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// Activities, by owner and service config.
type ActivityKeys = HashSet<(u64, Uuid)>;

/// The activities a save binds.
fn activity_keys(save: &SessionSave) -> ActivityKeys {
    let activities = save.handles.iter().filter(|handle| handle.kind == handle_code::ACTIVITY);
    activities.filter_map(|activity| Some((activity.owner?, activity.reference.scid))).collect()
}
