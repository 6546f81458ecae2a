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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Options;
    use super::super::queue::{Counts, Wish};
    use super::*;
    use crate::domain::limits::Limits;
    use crate::metrics::Metrics;

    /// A job of a session; how often it was tried tells it from others.
    fn job(session: u128, name: u32) -> Job {
        let options = Options {
            limits: Limits::default(),
            everybody_follows: false,
            search_rows: 1,
            searches: 1,
            queries: 1,
            gatherers: 1,
            queue_per_session: 1,
            queue_total: 1,
            memory_bytes: 0,
            metrics: Arc::new(Metrics::new()),
        };
        let sid = Uuid::from_u128(session);
        let place = Counts::take(&Arc::default(), sid, &options).expect("nobody else waits");
        let (mut job, _) = Job::new(sid, Wish::Settle, place);
        job.attempt = name;
        job
    }

    fn names(round: &[(Uuid, Vec<Job>)]) -> Vec<(u128, Vec<u32>)> {
        round.iter().map(|(sid, jobs)| (sid.as_u128(), jobs.iter().map(|job| job.attempt).collect())).collect()
    }

    #[test]
    fn a_round_has_each_session_once_in_the_order_of_first_jobs() {
        let mut waiting = Waiting::default();
        for (session, name) in [(7, 0), (5, 1), (7, 2), (6, 3), (5, 4)] {
            waiting.push(job(session, name));
        }
        assert_eq!(names(&waiting.take_round()), [(7, vec![0, 2]), (5, vec![1, 4]), (6, vec![3])]);
        assert!(waiting.is_empty() && waiting.take_round().is_empty());
    }

    #[test]
    fn what_is_put_back_comes_before_what_came_in_meanwhile() {
        let mut waiting = Waiting::default();
        for (session, name) in [(1, 2), (2, 3), (1, 4)] {
            waiting.push(job(session, name));
        }
        waiting.push_first(vec![job(3, 0), job(2, 1), job(2, 2)]);
        assert_eq!(names(&waiting.take_round()), [(3, vec![0]), (1, vec![2, 4]), (2, vec![1, 2, 3])]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_round_has_as_many_sessions_as_one_statement_saves() {
        let mut waiting = Waiting::default();
        let sessions = u32::try_from(BATCH_MAX).expect("a batch is small") + 3;
        (0..sessions).for_each(|session| waiting.push(job(session.into(), session)));
        assert_eq!(waiting.take_round().len(), BATCH_MAX);
        waiting.push(job(0, 0));
        let rest: Vec<u128> = names(&waiting.take_round()).into_iter().map(|(session, _)| session).collect();
        assert_eq!(rest, [64, 65, 66, 0]);
    }
}
