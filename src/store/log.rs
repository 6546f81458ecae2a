//! The change log: what became of a write, the history of a session, and the days the log is kept in.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use tracing::instrument;
use uuid::Uuid;

use super::decode::place;
use super::rows::{ChangeRow, MissedRow, RightsRow};
use super::{Store, StoreError};

/// The advisory lock of whoever makes or forgets days; the functions in the database take it as well.
const FORGET_LOCK: i64 = 0x6f70_656e_666f_7267;

/// A save whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteAsk {
    /// The session it saved.
    pub sid: Uuid,
    /// The id it was saved under.
    pub write_id: Uuid,
    /// The id of an activity it made, if it made one: such a save may leave no row in the log.
    pub handle: Option<Uuid>,
}

/// Asks what happened to a session since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedAsk {
    /// The session.
    pub sid: Uuid,
    /// One life of it.
    pub branch: Uuid,
    /// The number of the last change that is known.
    pub after: i64,
}

impl Store {
    /// Tells which saves were committed, in the order of the asks.
    ///
    /// A save that changed no document and made no handle leaves nothing to find; deciding it again is harmless (W-34).
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.log.find_writes", level = "debug", skip_all, fields(asks = asks.len()))]
    pub async fn find_writes(&self, asks: &[WriteAsk]) -> Result<Vec<bool>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(include_str!("sql/find_writes.sql"))
                    .bind(asks.iter().map(|ask| ask.sid).collect::<Vec<_>>())
                    .bind(asks.iter().map(|ask| ask.write_id).collect::<Vec<_>>())
                    .bind(asks.iter().map(|ask| ask.handle).collect::<Vec<_>>()),
            )
            .await?;
        let mut found = vec![false; asks.len()];
        for row in &rows {
            found[place(row)?] = true;
        }
        Ok(found)
    }

    /// Loads the first changes of a session that are still kept: branch after branch, in the order of their numbers.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.log.load", level = "debug", skip_all)]
    pub async fn load_changes(&self, sid: Uuid, limit: i64) -> Result<Vec<ChangeRow>, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/load_changes.sql")).bind(sid).bind(limit)).await?;
        rows.iter().map(|row| Ok(ChangeRow::read(row)?)).collect()
    }

    /// Reads what happened to sessions after the given numbers of the given branches, in the order of the asks and of the numbers.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.log.read_missed", level = "debug", skip_all, fields(asks = asks.len()))]
    pub async fn read_missed(&self, asks: &[MissedAsk]) -> Result<Vec<Vec<MissedRow>>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(include_str!("sql/read_missed.sql"))
                    .bind(asks.iter().map(|ask| ask.sid).collect::<Vec<_>>())
                    .bind(asks.iter().map(|ask| ask.branch).collect::<Vec<_>>())
                    .bind(asks.iter().map(|ask| ask.after).collect::<Vec<_>>()),
            )
            .await?;
        let mut found = vec![Vec::new(); asks.len()];
        for row in &rows {
            found[place(row)?].push(MissedRow {
                change_number: row.try_get("change_number")?,
                at: row.try_get("at")?,
                kinds: row.try_get("kinds")?,
                exempt: row.try_get("exempt")?,
                departed: row.try_get("departed")?,
                deleted: row.try_get("deleted")?,
            });
        }
        Ok(found)
    }

    /// Reads what one branch of a session went through after the number `after` and up to `last`, in the order of the numbers, at most
    /// `limit` changes. What is no longer kept is missing.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.log.read", level = "debug", skip_all)]
    pub async fn read_changes(
        &self,
        sid: Uuid,
        branch: Uuid,
        (after, last): (i64, i64),
        limit: i64,
    ) -> Result<Vec<ChangeRow>, StoreError> {
        let query = sqlx::query(include_str!("sql/read_changes.sql")).bind(sid).bind(branch).bind(after).bind(last).bind(limit);
        let rows = self.rows(query).await?;
        rows.iter().map(|row| Ok(ChangeRow::read(row)?)).collect()
    }

    /// Reads which changes of one branch of a session after the number `after` and up to `last` may have touched who can read it: the
    /// first one, and those of some kinds (bits). In the order of the numbers, at most `limit`.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.log.read_rights", level = "debug", skip_all)]
    pub async fn read_rights(
        &self,
        sid: Uuid,
        branch: Uuid,
        (after, last): (i64, i64),
        kinds: u32,
        limit: i64,
    ) -> Result<Vec<RightsRow>, StoreError> {
        let query = sqlx::query(include_str!("sql/read_rights.sql")).bind(sid).bind(branch).bind(after).bind(last);
        let rows = query.bind(kinds.cast_signed()).bind(limit).fetch_all(&self.pool).await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(RightsRow {
                change_number: row.try_get("change_number")?,
                delta: row.try_get("delta")?,
                departed: row.try_get("departed")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Lists the branches of a session that the log still knows of, in the order in which they lived. Costs a few index
    /// probes for each of them, however long they were.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.log.list_lives", level = "debug", skip_all)]
    pub async fn list_lives(&self, sid: Uuid) -> Result<Vec<Uuid>, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/list_lives.sql")).bind(sid)).await?;
        rows.iter().map(|row| Ok(row.try_get("branch")?)).collect()
    }

    /// Tells the branch and change number of sessions, in the order of the asks; `None` where there is no session.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.session.probe", level = "debug", skip_all, fields(asks = sids.len()))]
    pub async fn probe_sessions(&self, sids: &[Uuid]) -> Result<Vec<Option<(Uuid, i64)>>, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/probe_sessions.sql")).bind(sids)).await?;
        let mut states = vec![None; sids.len()];
        for row in &rows {
            states[place(row)?] = Some((row.try_get("branch")?, row.try_get("change_number")?));
        }
        Ok(states)
    }

    /// Makes the partitions from yesterday to three days ahead of `now` that are missing, and returns how many. To be called at start
    /// and every few hours; a day without its partition costs nothing but a slower end.
    ///
    /// # Errors
    /// `Unavailable`, also when somebody holds a lock on the log for longer than a moment; `Database`.
    #[instrument(name = "db.log.ensure_partitions", level = "debug", skip_all)]
    pub async fn ensure_partitions(&self, now: DateTime<Utc>) -> Result<i64, StoreError> {
        Ok(sqlx::query(include_str!("sql/ensure_changes_partitions.sql"))
            .bind(now)
            .fetch_one(&self.pool)
            .await?
            .try_get("made")?)
    }

    /// Forgets all days before the UTC day of `before`, and returns how many partitions went; none when another instance is at it.
    ///
    /// # Errors
    /// `Unavailable`, also when somebody holds a lock on the log for longer than a moment; `Database`.
    #[instrument(name = "db.log.drop_partitions", level = "debug", skip_all)]
    pub async fn drop_partitions(&self, before: DateTime<Utc>) -> Result<i32, StoreError> {
        Ok(sqlx::query(include_str!("sql/drop_changes_partitions.sql"))
            .bind(before)
            .bind(FORGET_LOCK)
            .fetch_one(&self.pool)
            .await?
            .try_get("dropped")?)
    }
}
