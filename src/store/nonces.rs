//! Tickets for sockets (N-65): put by one instance, taken once by any.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use tracing::instrument;

use super::{Store, StoreError};

impl Store {
    /// Keeps a ticket until `expires_at`, real time, under the digest of its nonce.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.nonce.put", level = "debug", skip_all)]
    pub async fn put_nonce(&self, digest: [u8; 32], principal: &str, expires_at: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query(include_str!("sql/put_nonce.sql"))
            .bind(digest.as_slice())
            .bind(principal)
            .bind(expires_at)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Takes a ticket that is good at `real_now` away and says for whom it stands; `None` if it is unknown, used or expired.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.nonce.take", level = "debug", skip_all)]
    pub async fn take_nonce(&self, digest: [u8; 32], real_now: DateTime<Utc>) -> Result<Option<String>, StoreError> {
        let row = sqlx::query(include_str!("sql/take_nonce.sql"))
            .bind(digest.as_slice())
            .bind(real_now)
            .fetch_optional(&self.pool)
            .await?;
        match row {
            Some(row) if row.try_get("good")? => Ok(Some(row.try_get("principal")?)),
            _ => Ok(None),
        }
    }

    /// Removes the tickets that have expired at `real_now`, and returns how many.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.nonce.delete_expired", level = "debug", skip_all)]
    pub async fn delete_expired_nonces(&self, real_now: DateTime<Utc>) -> Result<u64, StoreError> {
        let deleted = sqlx::query(include_str!("sql/delete_expired_nonces.sql")).bind(real_now).execute(&self.pool).await?;
        Ok(deleted.rows_affected())
    }
}
