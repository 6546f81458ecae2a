//! Connections that are kept at hand between statements.
//!
//! A pool hands out the connection that has rested longest, and takes one back in a task of its own. That is fair and slow: each of the
//! server's processes then runs every so many statements, with nothing of what it needs in the processor's caches. Whoever runs one
//! statement after another is better served by the connection that has just done the last one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use super::TRUSTED_IDLE;

/// A few connections, the one used last on top. To the pool they are in use; whoever finds none here asks the pool.
#[derive(Debug, Clone)]
pub(super) struct Kept(Arc<Mutex<Stack>>);

#[derive(Debug)]
struct Stack {
    resting: Vec<Resting>,
    most: usize,
}

#[derive(Debug)]
struct Resting {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

impl Kept {
    /// Room for so many.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Stack { resting: Vec::new(), most })))
    }

    /// The connection used last, unless it has rested for so long that it has to be tried first: then all go back to the pool, which
    /// does that.
    pub fn take(&self) -> Option<PoolConnection<Postgres>> {
        let mut stack = self.lock();
        let last = stack.resting.pop()?;
        if last.since.elapsed() <= TRUSTED_IDLE {
            return Some(last.connection);
        }
        stack.resting.clear();
        None
    }

    /// Keeps a connection that has done what it was asked for; one too many goes back to the pool.
    pub fn keep(&self, connection: PoolConnection<Postgres>) {
        let mut stack = self.lock();
        if stack.resting.len() < stack.most {
            stack.resting.push(Resting { connection, since: Instant::now() });
        }
    }

    /// Gives all of them back and keeps none any more, so that the pool can close.
    pub fn close(&self) {
        let mut stack = self.lock();
        stack.most = 0;
        stack.resting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Stack> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
