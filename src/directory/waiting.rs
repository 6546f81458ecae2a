//! Jobs that wait for a round, by session.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use super::queue::Job;
use crate::store::BATCH_MAX;

/// Sessions in the order in which their first jobs came in, each with its jobs in theirs.
#[derive(Default)]
pub(super) struct Waiting {
    jobs: HashMap<Uuid, VecDeque<Job>>,
    order: VecDeque<Uuid>,
}

impl Waiting {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether a session has jobs that wait.
    pub fn holds(&self, sid: Uuid) -> bool {
        self.jobs.contains_key(&sid)
    }

    /// Puts a job behind all others.
    pub fn push(&mut self, job: Job) {
        let sid = job.sid;
        let jobs = self.jobs.entry(sid).or_default();
        if jobs.is_empty() {
            self.order.push_back(sid);
        }
        jobs.push_back(job);
    }

    /// Puts jobs, in their order, before all others.
    pub fn push_first(&mut self, jobs: Vec<Job>) {
        for job in jobs.into_iter().rev() {
            let sid = job.sid;
            let waiting = self.jobs.entry(sid).or_default();
            if waiting.is_empty() {
                self.order.push_front(sid);
            }
            waiting.push_front(job);
        }
    }

    /// Takes the jobs of up to [`BATCH_MAX`] sessions, but of none that `is_busy`.
    pub fn take_round(&mut self, is_busy: impl Fn(Uuid) -> bool) -> Vec<(Uuid, Vec<Job>)> {
        let mut round = Vec::new();
        let mut rest = VecDeque::new();
        while round.len() < BATCH_MAX
            && let Some(sid) = self.order.pop_front()
        {
            if is_busy(sid) {
                rest.push_back(sid);
            } else if let Some(jobs) = self.jobs.remove(&sid) {
                round.push((sid, jobs.into()));
            }
        }
        rest.append(&mut self.order);
        self.order = rest;
        round
    }
}
