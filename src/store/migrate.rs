//! Brings the schema up to date.
//!
//! refinery has no sqlx driver and takes no lock, so this opens one connection of its own, holds a session advisory lock on it, and
//! closes it. The connection must reach PostgreSQL itself: a transaction pooler cannot hold the lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use refinery::error::Kind;
use refinery::{Migration, Target};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use tracing::info;

use super::{AskError, StoreError};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The advisory lock that migrations and changes of the catalog go through, one after another.
pub(super) const SCHEMA_LOCK: i64 = 0x6d70_7364;

/// Gives the role for readers what a dump has lost.
const SETTLE_READERS: &str = include_str!("sql/settle_readers.sql");

/// The schema was made by a program that is newer than this one, or of another line.
#[derive(Debug, thiserror::Error)]
#[error(
    "{migration} was applied by a program that is newer than this one, or of another line: run the version that made the schema, or a newer one"
)]
struct Foreign {
    /// The first migration that does not fit.
    migration: String,
}

/// Applies the migrations that are missing and returns their names, in order, as their files are called (`V001__sessions`).
///
/// Waits for another process that is migrating.
///
/// # Errors
/// `Migration` when the database cannot be reached, when it was migrated by a newer service, when an applied migration differs from
/// ours, or when one fails; what was applied before it stays.
pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
    migrate_to(url, Target::Latest).await
}

/// The same up to one version.
pub(super) async fn migrate_to(url: &str, target: Target) -> Result<Vec<String>, StoreError> {
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(failed)?;
    let driver = tokio::spawn(connection);
    let applied = apply(&mut client, target).await;
    drop(client);
    // The lock goes with the connection; waiting for its end means that the next process need not wait for us.
    let _ = driver.await;
    applied
}

/// A fingerprint of all migrations this service brings: equal fingerprints mean equal schemas.
#[must_use]
pub fn fingerprint() -> String {
    use std::fmt::Write as _;

    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    migrations.sort();
    migrations.iter().fold(String::new(), |mut text, migration| {
        let _ = write!(text, "{:016x}", migration.checksum());
        text
    })
}

/// A migration, and whether a database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// As its file is called: `V001__sessions`.
    pub name: String,
    /// Whether it was applied.
    pub standing: Standing,
}

/// How a migration stands in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was applied at this time.
    Applied(String),
    /// It is missing.
    Pending,
    /// Another one of this number was applied at this time: the database was made by a service of another line.
    Divergent(String),
    /// It was applied at this time, and this service does not know it: a newer one was here.
    Unknown(String),
}

/// How every migration stands in a database, in their order. Nothing is changed and nobody is waited for.
///
/// # Errors
/// When the database cannot be reached, or is none.
pub async fn status(url: &str) -> Result<Vec<State>, AskError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    // Without a name for the statement, which a transaction pooler might lose.
    let found = client.query_typed(include_str!("sql/read_migrations.sql"), &[]).await;
    drop(client);
    let _ = driver.await;
    let rows = match found {
        Ok(rows) => rows,
        // Nothing was ever applied.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut applied = BTreeMap::new();
    for row in rows {
        let text = |column: &str| row.try_get::<_, Option<String>>(column).map(Option::unwrap_or_default);
        let version: i64 = row.try_get("version")?;
        applied.insert(version, (text("name")?, text("applied_on")?, text("checksum")?));
    }
    let mut known = embedded::migrations::runner().get_migrations().clone();
    known.sort();
    let mut states = Vec::new();
    for migration in &known {
        let standing = match applied.remove(&i64::from(migration.version())) {
            None => Standing::Pending,
            Some((name, at, sum)) if name == migration.name() && sum == migration.checksum().to_string() => Standing::Applied(at),
            Some((_, at, _)) => Standing::Divergent(at),
        };
        states.push(State { name: name_of(migration), standing });
    }
    states.extend(
        applied
            .into_iter()
            .map(|(version, (name, at, _))| State { name: format!("V{version:03}__{name}"), standing: Standing::Unknown(at) }),
    );
    Ok(states)
}

/// Makes of a restored database what migrations would have made: a dump leaves out what not every build of PostgreSQL has, and roles
/// with their rights.
///
/// # Errors
/// When the database cannot be reached, or has no schema of ours.
pub async fn settle_restored(url: &str) -> Result<(), AskError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    let settled = async {
        client.batch_execute(include_str!("sql/choose_compression.sql")).await?;
        client.batch_execute(SETTLE_READERS).await
    }
    .await;
    drop(client);
    let _ = driver.await;
    Ok(settled?)
}

/// The last migration this service brings: what its schema is called.
#[must_use]
pub fn latest() -> String {
    embedded::migrations::runner().get_migrations().iter().max().map(name_of).unwrap_or_default()
}

/// As its file is called.
fn name_of(migration: &Migration) -> String {
    format!("V{:03}__{}", migration.version(), migration.name())
}

async fn apply(client: &mut tokio_postgres::Client, target: Target) -> Result<Vec<String>, StoreError> {
    let free = client.query_one("select pg_try_advisory_lock($1)", &[&SCHEMA_LOCK]).await.map_err(failed)?;
    if !free.get::<_, bool>(0) {
        info!(
            "waiting for whoever holds the lock of migrations (advisory lock {SCHEMA_LOCK} in pg_locks): another start, or a migration"
        );
        client.execute("select pg_advisory_lock($1)", &[&SCHEMA_LOCK]).await.map_err(failed)?;
    }
    let runner = embedded::migrations::runner().set_abort_divergent(true).set_abort_missing(true).set_target(target);
    let report = runner.run_async(client).await.map_err(|error| match error.kind() {
        Kind::MissingVersion(migration) | Kind::DivergentVersion(migration, _) => {
            failed(Foreign { migration: name_of(migration) })
        }
        _ => failed(error),
    })?;
    // Also when nothing was missing: the database may have been restored from a dump by hand.
    client.batch_execute(SETTLE_READERS).await.map_err(failed)?;
    Ok(report.applied_migrations().iter().map(name_of).collect())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Migration(Arc::new(error))
}
