//! Sockets with a connection id: which live, which are lost, and which sessions members are registered in with them.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Row as _;
use tracing::instrument;
use uuid::Uuid;

use super::rows::{LostConnection, Registration, xuid_from_column, xuid_to_column};
use super::{Store, StoreError};

/// The most connections forgotten in one statement.
const FORGET_PAGE: u64 = 5000;

impl Store {
    /// Makes connection ids known, each with the user of its socket.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.connection.open", level = "debug", skip_all, fields(connections = connections.len()))]
    pub async fn open_connections(
        &self,
        instance: Uuid,
        connections: &[(Uuid, u64)],
        real_now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.touched(
            sqlx::query(include_str!("sql/open_connections.sql"))
                .bind(connections.iter().map(|(id, _)| *id).collect::<Vec<_>>())
                .bind(connections.iter().map(|(_, xuid)| xuid_to_column(*xuid)).collect::<Vec<_>>())
                .bind(instance)
                .bind(real_now),
        )
        .await?;
        Ok(())
    }

    /// Marks connections as lost, to be searched for at once; those that were lost already are searched for anew.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.connection.lose", level = "debug", skip_all, fields(connections = connections.len()))]
    pub async fn lose_connections(&self, connections: &[Uuid], real_now: DateTime<Utc>) -> Result<(), StoreError> {
        self.touched(sqlx::query(include_str!("sql/lose_connections.sql")).bind(connections).bind(real_now)).await?;
        Ok(())
    }

    /// Takes up to `limit` lost connections that are to be searched for, and puts them off until `again_at`, should the one who takes
    /// them not come to an end. No two takers get the same.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.connection.take_lost", level = "debug", skip_all)]
    pub async fn take_lost_connections(
        &self,
        real_now: DateTime<Utc>,
        again_at: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<LostConnection>, StoreError> {
        let rows = self
            .rows(sqlx::query(include_str!("sql/take_lost_connections.sql")).bind(real_now).bind(again_at).bind(limit))
            .await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(LostConnection { id: row.try_get("id")?, owner: xuid_from_column(row.try_get("xuid")?) })
        };
        rows.iter().map(read).collect()
    }

    /// Notes that lost connections were searched for at an instant. They are searched for once more when `straggle` has passed since their
    /// loss: a write that still took them for living ones has been committed by then.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.connection.note_searched", level = "debug", skip_all)]
    pub async fn note_searched(
        &self,
        connections: &[Uuid],
        searched_at: DateTime<Utc>,
        straggle: TimeDelta,
    ) -> Result<(), StoreError> {
        self.touched(
            sqlx::query(include_str!("sql/note_searched_connections.sql"))
                .bind(connections)
                .bind(searched_at)
                .bind(straggle.num_milliseconds()),
        )
        .await?;
        Ok(())
    }

    /// Forgets connections that were lost before an instant; they are unknown from then on (M-32).
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.connection.forget", level = "debug", skip_all)]
    pub async fn forget_connections(&self, lost_before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            let page = sqlx::query(include_str!("sql/forget_connections.sql")).bind(lost_before).bind(FORGET_PAGE.cast_signed());
            let count = page.execute(&self.pool).await?.rows_affected();
            forgotten += count;
            if count < FORGET_PAGE {
                return Ok(forgotten);
            }
        }
    }

    /// Finds where users that are active or ready are registered with connections of theirs, each with what is stored of the session.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.connection.find_registrations", level = "debug", skip_all, fields(connections = connections.len()))]
    pub async fn find_registrations(&self, connections: &[(Uuid, u64)]) -> Result<Vec<Registration>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(include_str!("sql/find_registrations.sql"))
                    .bind(connections.iter().map(|(id, _)| *id).collect::<Vec<_>>())
                    .bind(connections.iter().map(|(_, xuid)| xuid_to_column(*xuid)).collect::<Vec<_>>()),
            )
            .await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(Registration {
                connection: row.try_get("connection")?,
                owner: xuid_from_column(row.try_get("xuid")?),
                sid: row.try_get("sid")?,
                branch: row.try_get("branch")?,
                change_number: row.try_get("change_number")?,
            })
        };
        rows.iter().map(read).collect()
    }
}
