//! Who is refused everywhere, in memory: judged on every request, and read again when the list has changed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use tracing::info;

use super::Directory;
use crate::domain::names::Xuid;
use crate::store::{Store, StoreError};

/// Everybody who is banned, as of one revision of the list.
#[derive(Debug, Default)]
pub struct Bans {
    current: RwLock<Arc<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    revision: i64,
    /// When each ban ends, if it does.
    until: HashMap<u64, Option<DateTime<Utc>>>,
}

impl Bans {
    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a user is banned at an instant of real time: a ban that has expired is none.
    #[must_use]
    pub fn hold(&self, xuid: Xuid, real_now: DateTime<Utc>) -> bool {
        self.known().until.get(&xuid.0).is_some_and(|until| until.is_none_or(|until| until > real_now))
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known().until.is_empty()
    }

    /// Reads the list again if the database has another revision than the one in memory.
    pub(super) async fn refresh(&self, store: &Store, real_now: DateTime<Utc>) -> Result<(), StoreError> {
        if store.ban_revision().await? == self.known().revision {
            return Ok(());
        }
        let list = store.load_bans(real_now).await?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Two may read at a time, and the older answer may come later.
        if list.revision > current.revision {
            info!(revision = list.revision, "{} users are banned", list.until.len());
            *current = Arc::new(Known { revision: list.revision, until: list.until.into_iter().collect() });
        }
        Ok(())
    }
}

impl Directory {
    /// Who is banned.
    #[must_use]
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Takes over bans, and ends of bans, that other instances were told of.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn refresh_bans(&self) -> Result<(), StoreError> {
        self.bans.refresh(&self.store, self.clock.real()).await
    }
}
