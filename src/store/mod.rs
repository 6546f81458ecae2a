//! What is kept, in PostgreSQL and nothing else: load, save and find, each of them gathered, so that many requests share one
//! statement and one commit.
//!
//! The store works on rows (`rows`): plain values that mirror the columns, with xuids as the unsigned numbers they are. Every
//! statement is a file under `sql/`. A session is changed by one statement only, the save, which is a compare-and-swap on the
//! version that was loaded; all that is projected from the session changes with it or not at all.
//!
//! Not here: any rule about sessions, the clock (every instant is a parameter), the meaning of `body` and `private`, and NOTIFY,
//! which would make all commits of the database take turns.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, Postgres};
use tokio::time::timeout;

mod administration;
mod bans;
mod columns;
mod connections;
mod decode;
mod diagnosis;
mod distrust;
mod due;
mod error;
mod everything;
mod handles;
mod hints;
mod instances;
mod kept;
mod log;
pub mod migrate;
mod nonces;
pub mod pooler;
pub mod projection;
mod queries;
pub mod rows;
mod save;
mod search;
mod sessions;
mod social;
mod statistics;
mod templates;
#[cfg(test)]
mod tests;
mod verify;

use distrust::Distrust;
use kept::Kept;

pub use administration::{
    AuditAsk, AuditKey, AuditRow, HandlesAsk, Inspected, ListedHandle, ListedSession, Paged, SessionKey, SessionsAsk, TAKE_MAX,
};
pub use bans::{BANS_MAX, BanList, BanPut, BanRow};
pub use diagnosis::{ServerFacts, Vitals};
pub use due::Shard;
pub use error::{AskError, StoreError};
pub use everything::{Holding, Page, StoredFormerMember, StoredKeyword, StoredMember, StoredTimer};
pub use handles::{ActivitiesAsk, Expired, With};
pub use hints::{Heard, Hints, Messenger};
pub use log::{MissedAsk, WriteAsk};
pub use nonces::NonceDigest;
pub use queries::{CandidatesByKeyword, CandidatesByXuid, PageKey, XuidAsk};
pub use save::{
    HandleChange, HandleRemoval, KeywordDiff, MemberDiff, SearchDiff, SearchPlace, SessionLock, SessionSave, TimerChange, Version,
};
pub use search::{Beside, SearchAsk, Searched};
pub use sessions::{FactsAsk, HandleAsk, LoadAsk, ReadAsk};
pub use social::{EdgeKey, EdgeRow, EdgeTable, Neighbourhood};
pub use statistics::Statistics;
pub use templates::{Catalog, Import, Publication, ServicePublication, ServicePut};

/// The most requests that share one statement (design: a batch is what queued up, never more than this).
pub const BATCH_MAX: usize = 64;

/// A connection that idled longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// How long after its timeout a statement is waited for that the server should have ended, and how long a connection may take to show
/// that it lives.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a transaction may at least wait for its next statement: a busy machine takes its time.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// How many connections are kept at hand between statements, and how large a pool must be for that.
const KEPT: usize = 4;
const KEPT_FROM: u32 = 8;

/// How the store reaches its database.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where the database is, and who asks.
    pub connect: PgConnectOptions,
    /// The most connections held at a time.
    pub pool_max: u32,
    /// After which a statement is given up.
    pub statement_timeout: Duration,
    /// How long a caller waits for a free connection.
    pub acquire_timeout: Duration,
}

/// How many connections of the pool are in use.
#[derive(Debug, Clone, Copy)]
pub struct PoolUse {
    /// Those that somebody has.
    pub used: usize,
    /// Those that nobody has.
    pub idle: usize,
    /// How many there may be.
    pub max: usize,
}

/// The database of the service: a pool of connections and the statements for it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    /// How long a statement may take from here: longer than the server gives it. Only a connection that is dead without a word takes
    /// longer.
    patience: Duration,
    /// Shared by all clones.
    distrust: Arc<Distrust>,
    kept: Kept,
}

impl Store {
    /// Opens the pool and one connection, to fail early. The schema must be up to date (`migrate`).
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be reached within the acquire timeout.
    pub async fn connect(options: StoreOptions) -> Result<Self, StoreError> {
        // Half the patience of those who wait for its locks: an instance that stands still in a transaction gives them up in time.
        let idle = (options.statement_timeout / 2).max(IDLE_MIN);
        let connect = options.connect.application_name("openmpsd").options([
            ("statement_timeout", options.statement_timeout.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", idle.as_millis().to_string()),
            // The statements are few and large: plan each once per connection, whatever the number of rows asked for.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("jit", "off".to_owned()),
            // A plan made while a table is small outlives that; every statement has its index. Where a table has no rows at all, reading
            // an index from end to end would still be as cheap as finding a row, so statements do not leave it to the planner: a table
            // is joined row by row (`cross join lateral (… offset 0)`, which is not merged with what surrounds it), or its key is
            // compared with an array.
            ("enable_seqscan", "off".to_owned()),
            // A save decides by what is committed when it gets its locks.
            ("default_transaction_isolation", "read committed".to_owned()),
        ]);
        let pool = pool_options(options.pool_max, options.acquire_timeout).connect_with(connect).await;
        let pool = pool.map_err(|error| StoreError::Unavailable(error.into()))?;
        let kept = Kept::new(if options.pool_max < KEPT_FROM { 0 } else { KEPT });
        Ok(Self { pool, patience: options.statement_timeout + PATIENCE, distrust: Arc::default(), kept })
    }

    /// The same database over a few connections of its own, which live on the runtime that calls this: what is asked there is answered
    /// there, and wakes no other thread. They are opened when they are needed.
    #[must_use]
    pub fn here(&self, connections: u32) -> Self {
        let options = pool_options(connections, self.pool.options().get_acquire_timeout());
        let pool = options.connect_lazy_with((*self.pool.connect_options()).clone());
        Self { pool, patience: self.patience, distrust: Arc::clone(&self.distrust), kept: Kept::new(connections as usize) }
    }

    /// A connection for one statement, or some; `kept.keep` it if all went well.
    async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        match self.kept.take() {
            Some(connection) => Ok(connection),
            None => self.pool.acquire().await,
        }
    }

    /// Runs a statement that any number of callers may wait for: a connection that is dead without a word is given up.
    async fn rows(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut connection = self.connection().await?;
        match timeout(self.patience, query.fetch_all(&mut *connection)).await {
            Ok(rows) => rows.inspect(|_| self.kept.keep(connection)),
            Err(_) => Err(given_up(connection)),
        }
    }

    /// The same for a statement that gives no rows back: how many it touched.
    async fn touched(&self, query: Query<'_, Postgres, PgArguments>) -> Result<u64, sqlx::Error> {
        let mut connection = self.connection().await?;
        match timeout(self.patience, query.execute(&mut *connection)).await {
            Ok(done) => done.inspect(|_| self.kept.keep(connection)).map(|done| done.rows_affected()),
            Err(_) => Err(given_up(connection)),
        }
    }

    /// How many connections there are. Those that are kept at hand are nobody's at the moment.
    #[must_use]
    pub fn pool(&self) -> PoolUse {
        let open = usize::try_from(self.pool.size()).unwrap_or(usize::MAX);
        let idle = (self.pool.num_idle() + self.kept.resting()).min(open);
        let max = usize::try_from(self.pool.options().get_max_connections()).unwrap_or(usize::MAX);
        PoolUse { used: open.saturating_sub(idle), idle, max }
    }

    /// Closes every connection, after the statements under way.
    pub async fn close(&self) {
        self.kept.close();
        self.pool.close().await;
    }

    /// What time the database has: several instances on one database agree on that.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn clock(&self) -> Result<DateTime<Utc>, StoreError> {
        Ok(sqlx::query_scalar(include_str!("sql/read_clock.sql")).fetch_one(&self.pool).await?)
    }

    /// Whether the database answers (readiness).
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        match timeout(PATIENCE, connection.ping()).await {
            Ok(answered) => Ok(answered?),
            Err(_) => Err(given_up(connection).into()),
        }
    }
}

/// A pool that trusts connections which were just used, and tries others before it hands them out.
fn pool_options(most: u32, acquire_timeout: Duration) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(most).acquire_timeout(acquire_timeout).test_before_acquire(false).before_acquire(
        |connection, meta| {
            Box::pin(async move {
                if meta.idle_for <= TRUSTED_IDLE {
                    return Ok(true);
                }
                timeout(PATIENCE, connection.ping()).await.unwrap_or_else(|_| Err(silent())).map(|()| true)
            })
        },
    )
}

/// Takes a connection out of the pool on which nothing comes any more, and says so.
fn given_up(connection: PoolConnection<Postgres>) -> sqlx::Error {
    drop(connection.detach());
    silent()
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer on an open connection"))
}
