//! Tickets for sockets (N-65): whoever brings one is nobody yet, so all who do share one connection to the database.

use chrono::{DateTime, Utc};

use super::{Directory, DirectoryError};
use crate::domain::names::Xuid;
use crate::store::NonceDigest;

impl Directory {
    /// Keeps a user's ticket under the digest of its nonce, from `real_now` until `expires_at`, both real time.
    ///
    /// # Errors
    /// `Busy` when the user has as many unused ones as there may be: one of them will have expired in a minute at most.
    pub async fn keep_ticket(
        &self,
        digest: NonceDigest,
        owner: Xuid,
        principal: &str,
        real_now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<(), DirectoryError> {
        let is_kept = self.store.put_nonce(digest, owner, principal, real_now, expires_at).await?;
        if is_kept { Ok(()) } else { Err(DirectoryError::Busy) }
    }

    /// Takes a ticket that is good at `real_now` away and says for whom it stands; `None` if it is unknown, used or expired.
    ///
    /// # Errors
    /// `Busy` when too many ask, and what the store says.
    pub async fn take_ticket(&self, digest: NonceDigest, real_now: DateTime<Utc>) -> Result<Option<String>, DirectoryError> {
        Ok(self.ticketer.ask((digest, real_now)).await.ok_or(DirectoryError::Busy)??)
    }
}
