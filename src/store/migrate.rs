//! Brings the schema up to date.
//!
//! refinery has no sqlx driver and takes no lock, so this opens one connection of its own, holds a session advisory lock on it, and
//! closes it. The connection must reach PostgreSQL itself: a transaction pooler cannot hold the lock.

use std::sync::Arc;

use refinery::{Migration, Target};
use tokio_postgres::NoTls;

use super::StoreError;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The advisory lock that migrations and changes of the catalog go through, one after another.
pub(super) const SCHEMA_LOCK: i64 = 0x6d70_7364;

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

async fn apply(client: &mut tokio_postgres::Client, target: Target) -> Result<Vec<String>, StoreError> {
    client.execute("select pg_advisory_lock($1)", &[&SCHEMA_LOCK]).await.map_err(failed)?;
    let runner = embedded::migrations::runner().set_abort_divergent(true).set_abort_missing(true).set_target(target);
    let report = runner.run_async(client).await.map_err(failed)?;
    let name = |migration: &Migration| format!("V{:03}__{}", migration.version(), migration.name());
    Ok(report.applied_migrations().iter().map(name).collect())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Migration(Arc::new(error))
}
