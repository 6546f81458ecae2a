//! What an operator wants to know about a database before something goes wrong: the server, and how the service lives in it.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use tracing::instrument;

use super::{Store, StoreError};

/// The server behind a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// As in `15.18`.
    pub version: String,
    /// Its major version.
    pub major: i32,
    /// `on` when commits are written to the disk.
    pub fsync: String,
    /// `on` when a torn page can be mended.
    pub full_page_writes: String,
    /// When a commit is acknowledged: `off` means before it is on a disk.
    pub synchronous_commit: String,
    /// How many connections it takes in all.
    pub max_connections: i32,
    /// Whether it only repeats what another server does.
    pub standby: bool,
}

/// How the service lives in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// Service configs that are published.
    pub services: i64,
    /// Session templates of these.
    pub templates: i64,
    /// Instances that gave a sign of life in the last 30 seconds.
    pub living: i64,
    /// Instances that did not.
    pub silent: i64,
    /// Sessions whose timer passed more than a minute ago, counted up to 10,000.
    pub overdue: i64,
    /// Of today and tomorrow (UTC) the days the change log has no partition for.
    pub days_missing: Vec<String>,
}

impl Store {
    /// What the server is and how it keeps what it acknowledges.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.diagnosis.server", level = "debug", skip_all)]
    pub async fn server(&self) -> Result<ServerFacts, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/read_server.sql"))).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let version: String = row.try_get("version")?;
        Ok(ServerFacts {
            version: version.split(' ').next().unwrap_or_default().to_owned(),
            major: row.try_get::<i32, _>("version_number")? / 10_000,
            fsync: row.try_get("fsync")?,
            full_page_writes: row.try_get("full_page_writes")?,
            synchronous_commit: row.try_get("synchronous_commit")?,
            max_connections: row.try_get("max_connections")?,
            standby: row.try_get("standby")?,
        })
    }

    /// How the service lives in this database at the instant `real_now`.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.diagnosis.vitals", level = "debug", skip_all)]
    pub async fn vitals(&self, real_now: DateTime<Utc>) -> Result<Vitals, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/read_vitals.sql")).bind(real_now)).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Vitals {
            services: row.try_get("services")?,
            templates: row.try_get("templates")?,
            living: row.try_get("living")?,
            silent: row.try_get("silent")?,
            overdue: row.try_get("overdue")?,
            days_missing: row.try_get::<Option<Vec<String>>, _>("days_missing")?.unwrap_or_default(),
        })
    }
}
