//! Tickets for sockets (N-65): put by one instance, taken once by any.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use tracing::instrument;

use super::rows::xuid_to_column;
use super::{Store, StoreError};
use crate::domain::names::Xuid;

/// How many living tickets a user may have: one is used at once, and the rest are those of sockets that were never opened.
const LIVING_MAX: i64 = 16;
/// How many expired tickets go in one statement: few enough for any statement timeout.
const PAGE: i64 = 1000;

/// The SHA-256 of a nonce.
pub type NonceDigest = [u8; 32];

impl Store {
    /// Keeps a user's ticket until `expires_at`, real time, under the digest of its nonce; not if there are as many that live at
    /// `real_now` as there may be. Says whether it did.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.nonce.put", level = "debug", skip_all)]
    pub async fn put_nonce(
        &self,
        digest: NonceDigest,
        owner: Xuid,
        principal: &str,
        real_now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let put = sqlx::query(include_str!("sql/put_nonce.sql"))
            .bind(digest.as_slice())
            .bind(principal)
            .bind(expires_at)
            .bind(xuid_to_column(owner.0))
            .bind(real_now)
            .bind(LIVING_MAX)
            .execute(&self.pool)
            .await?;
        Ok(put.rows_affected() > 0)
    }

    /// Takes tickets away that are asked for by digest and real time, and says for whom each stands; `None` for one that is unknown,
    /// used or expired. Whoever asks first for one has it.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.nonce.take", level = "debug", skip_all)]
    pub async fn take_nonces(&self, asks: &[(NonceDigest, DateTime<Utc>)]) -> Result<Vec<Option<String>>, StoreError> {
        let digests: Vec<&[u8]> = asks.iter().map(|(digest, _)| digest.as_slice()).collect();
        let rows = self.rows(sqlx::query(include_str!("sql/take_nonces.sql")).bind(digests)).await?;
        let mut taken: HashMap<Vec<u8>, (String, DateTime<Utc>)> = HashMap::with_capacity(rows.len());
        for row in rows {
            taken.insert(row.try_get("digest")?, (row.try_get("principal")?, row.try_get("expires_at")?));
        }
        let answers = asks.iter().map(|(digest, real_now)| {
            let (principal, expires_at) = taken.remove(digest.as_slice())?;
            (expires_at > *real_now).then_some(principal)
        });
        Ok(answers.collect())
    }

    /// Removes the tickets that have expired at `real_now`, page by page, and returns how many.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.nonce.delete_expired", level = "debug", skip_all)]
    pub async fn delete_expired_nonces(&self, real_now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let page = sqlx::query(include_str!("sql/delete_expired_nonces.sql"));
            let deleted = page.bind(real_now).bind(PAGE).execute(&self.pool).await?.rows_affected();
            count += deleted;
            if deleted < PAGE.unsigned_abs() {
                return Ok(count);
            }
        }
    }
}
