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

    /// Takes the jobs of up to [`BATCH_MAX`] sessions.
    pub fn take_round(&mut self) -> Vec<(Uuid, Vec<Job>)> {
        let sids = self.order.drain(..self.order.len().min(BATCH_MAX));
        sids.filter_map(|sid| Some((sid, self.jobs.remove(&sid)?.into()))).collect()
    }
}
