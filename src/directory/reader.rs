//! Reads that arrive together share one statement.

use std::sync::Arc;

use super::DirectoryError;
use super::gather::Gather;
use crate::ambient::Clock;
use crate::metrics::{Metrics, size};
use crate::store::rows::{HandleReadRow, ReadRow};
use crate::store::{HandleAsk, ReadAsk, Store};

/// The entrance to the tasks that gather reads of sessions and of handles; they live where it was started.
#[derive(Clone)]
pub struct Reader {
    sessions: Gather<ReadAsk, Option<ReadRow>>,
    handles: Gather<HandleAsk, Option<HandleReadRow>>,
}

impl Reader {
    /// Starts the tasks. Must be called inside the runtime that the store's connections belong to.
    pub(super) fn start(store: &Store, clock: &Clock, metrics: &Arc<Metrics>) -> Self {
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
        Self { sessions, handles }
    }

    /// Reads a session; `None` when there is none.
    pub(super) async fn session(&self, ask: ReadAsk) -> Result<Option<ReadRow>, DirectoryError> {
        Ok(self.sessions.ask(ask).await.ok_or(DirectoryError::Busy)??)
    }

    /// Follows a handle; `None` when it is unknown or has expired.
    pub(super) async fn handle(&self, ask: HandleAsk) -> Result<Option<HandleReadRow>, DirectoryError> {
        Ok(self.handles.ask(ask).await.ok_or(DirectoryError::Busy)??)
    }
}
