//! Timers that have passed.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use tracing::instrument;

use super::rows::DueRow;
use super::{Store, StoreError};

/// The part of all sessions that one instance sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 0.
    pub number: i32,
    /// How many parts there are, at least 1.
    pub of: i32,
}

impl Shard {
    /// All sessions.
    pub const WHOLE: Self = Self { number: 0, of: 1 };
}

impl Store {
    /// Finds sessions whose next timer has passed at `now`, those that wait longest first.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.timer.find_due", level = "debug", skip_all)]
    pub async fn find_due(&self, now: DateTime<Utc>, limit: i64, shard: Shard) -> Result<Vec<DueRow>, StoreError> {
        let rows = self
            .rows(sqlx::query(include_str!("sql/find_due.sql")).bind(now).bind(limit).bind(shard.of).bind(shard.number))
            .await?;
        rows.iter().map(|row| Ok(DueRow { sid: row.try_get("sid")?, due_at: row.try_get("due_at")? })).collect()
    }

    /// Moves a session that cannot be settled back, so that it does not stand in the way of others: a second, then twice as long with
    /// every failure in a row, an hour at most. Returns the failures so far; 0 when the timer is no longer the one that was found.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.timer.postpone", level = "debug", skip_all)]
    pub async fn postpone_due(&self, found: DueRow, now: DateTime<Utc>) -> Result<i16, StoreError> {
        let row = sqlx::query(include_str!("sql/postpone_due.sql"))
            .bind(found.sid)
            .bind(now)
            .bind(found.due_at)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("failures")).transpose()?.unwrap_or(0))
    }
}
