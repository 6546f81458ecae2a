//! What instances tell each other past the tables: hints that something was committed, which may get lost, and signs of life.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use super::{Store, StoreError};

/// The channel of the hints.
const CHANNEL: &str = "openmpsd";

/// A connection of its own, for hints to others and signs of life. It ends with the process, which is how others learn of that soon.
#[derive(Debug)]
pub struct Messenger(PgConnection);

/// The hints of others.
#[derive(Debug)]
pub struct Hints(PgListener);

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A hint.
    Hint(String),
    /// The connection was gone for a while: hints may have been lost. It has been opened again.
    Gap,
}

impl Store {
    /// What hints are sealed with, which only the service can read.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn hint_key(&self) -> Result<Vec<u8>, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/read_hint_key.sql"))).await?;
        Ok(rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get("key")?)
    }

    /// Opens a connection for hints to others and signs of life.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn messenger(&self) -> Result<Messenger, StoreError> {
        Ok(Messenger(PgConnection::connect_with(&self.aside()).await?))
    }

    /// Opens a connection on which the hints of others arrive.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn hints(&self) -> Result<Hints, StoreError> {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(self.aside());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.ignore_pool_close_event(true);
        listener.listen(CHANNEL).await?;
        Ok(Hints(listener))
    }

    /// Where transactions stand; the same answer twice means that nothing was committed in between. `None` while one is under way.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn horizon(&self) -> Result<Option<String>, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/read_horizon.sql"))).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let (from, to): (String, String) = (row.try_get("xmin")?, row.try_get("xmax")?);
        Ok((from == to).then_some(to))
    }

    /// As the pool connects, but commits without waiting for the disk: what is lost here is told again.
    fn aside(&self) -> PgConnectOptions {
        let options = (*self.pool.connect_options()).clone();
        options.application_name("openmpsd hints").options([("synchronous_commit", "off")])
    }
}

impl Messenger {
    /// Sends hints, of at most 7,900 bytes each.
    ///
    /// # Errors
    /// `Unavailable`, `Database`: the connection is of no more use then.
    pub async fn send(&mut self, hints: &[String]) -> Result<(), StoreError> {
        sqlx::query(include_str!("sql/send_hints.sql")).bind(hints).execute(&mut self.0).await?;
        Ok(())
    }

    /// Gives a sign of life; `false` when the instance is known no more, because others took it for dead.
    ///
    /// # Errors
    /// `Unavailable`, `Database`: the connection is of no more use then.
    pub async fn beat(&mut self, instance: Uuid, real_now: DateTime<Utc>) -> Result<bool, StoreError> {
        let done = sqlx::query(include_str!("sql/beat.sql")).bind(instance).bind(real_now).execute(&mut self.0).await?;
        Ok(done.rows_affected() > 0)
    }
}

impl Hints {
    /// Waits for the next hint. Cancel safe.
    ///
    /// # Errors
    /// `Unavailable` when the connection is gone and cannot be opened again just now.
    pub async fn next(&mut self) -> Result<Heard, StoreError> {
        Ok(self.0.try_recv().await?.map_or(Heard::Gap, |hint| Heard::Hint(hint.payload().to_owned())))
    }
}
