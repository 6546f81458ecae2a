//! What instances of the service agree on through the database.

use chrono::{DateTime, Utc};
use tracing::instrument;
use uuid::Uuid;

use super::{Store, StoreError};

impl Store {
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

    /// Gives the lease of the development clock back, if this instance holds it.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.instance.release_dev_lease", level = "debug", skip_all)]
    pub async fn release_dev_lease(&self, instance: Uuid) -> Result<(), StoreError> {
        sqlx::query(include_str!("sql/release_dev_lease.sql")).bind(instance).execute(&self.pool).await?;
        Ok(())
    }
}
