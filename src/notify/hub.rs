//! Who listens to what on this instance.

use std::sync::Arc;

use tokio::sync::Notify;
use uuid::Uuid;

use super::Outbox;
use crate::ambient::Ids;
use crate::domain::names::{ConnectionId, TitleId, Xuid};
use crate::store::StoreError;

/// Everybody on this instance who listens. One per process.
pub struct Hub {
    ids: Ids,
}

/// While it lives, invites of a user for a title go to a socket.
pub struct Ears {}

/// Wakes whoever follows one session when it may have changed.
pub struct Watch {
    rung: Arc<Notify>,
}

impl Hub {
    /// A hub that nobody listens to yet.
    #[must_use]
    pub fn new(ids: Ids) -> Arc<Self> {
        Arc::new(Self { ids })
    }

    /// Makes a connection id for a socket of a user; it is known to every instance before this returns (N-22).
    ///
    /// # Errors
    /// `Unavailable`, `Database`: to be answered with 1002 (N-67).
    pub async fn open(&self, _xuid: Xuid, _outbox: &Arc<Outbox>) -> Result<ConnectionId, StoreError> {
        Ok(ConnectionId(self.ids.uuid()))
    }

    /// The connection is lost: its socket closed, or the resource was unsubscribed (N-24, N-40). Never waits.
    pub fn lose(&self, _connection: ConnectionId) {}

    /// Lets a socket hear the invites of a user that are for a title (N-60).
    #[must_use]
    pub fn hear(&self, _xuid: Xuid, _title_id: TitleId, _outbox: &Arc<Outbox>) -> Ears {
        Ears {}
    }

    /// Wakes whoever holds the watch when the session may have changed, wherever that was committed.
    #[must_use]
    pub fn watch(&self, _sid: Uuid) -> Watch {
        Watch { rung: Arc::default() }
    }
}

impl Watch {
    /// Waits until the session may have changed since the last call, or for ever. Cancel safe.
    pub async fn rung(&self) {
        self.rung.notified().await;
    }
}
