//! What instances of the service agree on through the database.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use tracing::instrument;
use uuid::Uuid;

use super::rows::PeerRow;
use super::{Store, StoreError};

impl Store {
    /// Makes an instance known to its peers. What was known of another one in the same place is over: its connections are lost (N-43).
    /// `alone` says that no other instance can be on this database: then all others are over.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.instance.enroll", level = "debug", skip_all)]
    pub async fn enroll(
        &self,
        instance: Uuid,
        place: Option<&str>,
        alone: bool,
        real_now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.touched(sqlx::query(include_str!("sql/enroll_instance.sql")).bind(instance).bind(place).bind(alone).bind(real_now))
            .await?;
        Ok(())
    }

    /// The other instances that are known.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.instance.list_peers", level = "debug", skip_all)]
    pub async fn list_peers(&self, instance: Uuid) -> Result<Vec<PeerRow>, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/list_peers.sql")).bind(instance)).await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(PeerRow { id: row.try_get("id")?, beat: row.try_get("beat")?, attached: row.try_get("attached")? })
        };
        rows.iter().map(read).collect()
    }

    /// Forgets instances that are over, unless their beat has risen since it was seen, and marks their connections as lost. Returns how
    /// many instances and connections that were.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.instance.bury", level = "debug", skip_all)]
    pub async fn bury(&self, instances: &[(Uuid, Option<i64>)], real_now: DateTime<Utc>) -> Result<(i64, i64), StoreError> {
        let rows = self
            .rows(
                sqlx::query(include_str!("sql/bury_instances.sql"))
                    .bind(instances.iter().map(|(id, _)| *id).collect::<Vec<_>>())
                    .bind(instances.iter().map(|(_, beat)| *beat).collect::<Vec<_>>())
                    .bind(real_now),
            )
            .await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok((row.try_get("instances")?, row.try_get("connections")?))
    }

    /// Marks living connections as lost that belong to no known instance, and returns how many there were.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.instance.lose_strays", level = "debug", skip_all)]
    pub async fn lose_stray_connections(&self, real_now: DateTime<Utc>) -> Result<u64, StoreError> {
        let done = self.touched(sqlx::query(include_str!("sql/lose_stray_connections.sql")).bind(real_now)).await?;
        Ok(done)
    }

    /// Takes or renews the lease of the development clock until `expires_at`, and says whether this instance holds it. `now` is real
    /// time: a moved clock must not end the lease that protects it.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.instance.hold_dev_lease", level = "debug", skip_all)]
    pub async fn hold_dev_lease(
        &self,
        instance: Uuid,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let held = sqlx::query(include_str!("sql/hold_dev_lease.sql"))
            .bind(instance)
            .bind(now)
            .bind(expires_at)
            .fetch_optional(&self.pool)
            .await?;
        Ok(held.is_some())
    }

    /// Gives a sign of life over any connection, where the one that ends with the process is gone: then others do not look for that one.
    /// `false` when the instance is known no more.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.instance.beat_aside", level = "debug", skip_all)]
    pub async fn beat_aside(&self, instance: Uuid, real_now: DateTime<Utc>) -> Result<bool, StoreError> {
        let done = self.touched(sqlx::query(include_str!("sql/beat_aside.sql")).bind(instance).bind(real_now)).await?;
        Ok(done > 0)
    }

    /// Gives the lease of the development clock back, if this instance holds it.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.instance.release_dev_lease", level = "debug", skip_all)]
    pub async fn release_dev_lease(&self, instance: Uuid) -> Result<(), StoreError> {
        self.touched(sqlx::query(include_str!("sql/release_dev_lease.sql")).bind(instance)).await?;
        Ok(())
    }
}
