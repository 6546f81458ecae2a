//! Reads that arrive together share one statement; queries have each their own, some at a time.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::gather::Gather;
use super::{DirectoryError, turn};
use crate::ambient::Clock;
use crate::metrics::{Metrics, size};
use crate::store::rows::{HandleReadRow, ReadRow};
use crate::store::{HandleAsk, ReadAsk, Store};

/// The connections that a thread's reads of single sessions take: one for sessions, one for handles. No query ever has them.
pub const READER_CONNECTIONS: u32 = 2;

/// The longest answer, in sessions, that is made on a thread which reads for itself: its other requests wait while it is made.
const HERE_MAX: usize = 2000;

/// The entrance to the tasks that gather reads of sessions and of handles; they live where it was started.
#[derive(Clone)]
pub struct Reader {
    sessions: Gather<ReadAsk, Option<ReadRow>>,
    handles: Gather<HandleAsk, Option<HandleReadRow>>,
    queries: Option<Queries>,
}

/// What queries run over: the store, and turns at it, so that they take no more of its connections than they should.
#[derive(Clone)]
pub struct Queries {
    store: Store,
    turns: Arc<Semaphore>,
}

impl Queries {
    pub(super) fn over(store: &Store, at_a_time: usize) -> Self {
        Self { store: store.clone(), turns: Arc::new(Semaphore::new(at_a_time)) }
    }

    /// The store, when it is this query's turn.
    pub(super) async fn turn(&self) -> Result<(&Store, SemaphorePermit<'_>), DirectoryError> {
        Ok((&self.store, turn(&self.turns).await?))
    }
}

impl Reader {
    /// Starts the tasks; so many queries at a time may use the store, too. Must be called inside the runtime that the store's connections
    /// belong to.
    pub(super) fn start(store: &Store, clock: &Clock, metrics: &Arc<Metrics>, queries: u32) -> Self {
        let (of_sessions, counted) = (store.clone(), Arc::clone(metrics));
        let sessions = Gather::start(move |asks: Vec<ReadAsk>| {
            counted.read_batch.observe(size(asks.len()));
            let store = of_sessions.clone();
            async move { store.read_sessions(&asks).await }
        });
        let (of_handles, clock, counted) = (store.clone(), clock.clone(), Arc::clone(metrics));
        let handles = Gather::start(move |asks: Vec<HandleAsk>| {
            counted.read_batch.observe(size(asks.len()));
            let (store, now) = (of_handles.clone(), clock.now());
            async move { store.read_by_handles(&asks, now).await }
        });
        let queries = (queries > 0).then(|| Queries::over(store, queries as usize));
        Self { sessions, handles, queries }
    }

    /// Reads a session; `None` when there is none.
    pub(super) async fn session(&self, ask: ReadAsk) -> Result<Option<ReadRow>, DirectoryError> {
        Ok(self.sessions.ask(ask).await.ok_or(DirectoryError::Busy)??)
    }

    /// What a query of this thread runs over; `None` where it has no connections for that, or where the answer may be long.
    #[must_use]
    pub fn queries(&self, most: usize) -> Option<&Queries> {
        self.queries.as_ref().filter(|_| most <= HERE_MAX)
    }

    /// Follows a handle; `None` when it is unknown or has expired.
    pub(super) async fn handle(&self, ask: HandleAsk) -> Result<Option<HandleReadRow>, DirectoryError> {
        Ok(self.handles.ask(ask).await.ok_or(DirectoryError::Busy)??)
    }
}
