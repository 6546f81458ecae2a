//! Whose time it is: the database's, which all instances share, and with `--dev` the one process's that may move it.

use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use tokio::time::interval;
use tracing::warn;
use uuid::Uuid;

use crate::ambient::Clock;
use crate::store::{Store, StoreError};

/// How long the lease of the development clock lasts, and how often it is renewed.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(5);
pub(super) const LEASE_INTERVAL: Duration = Duration::from_secs(1);

/// Takes over the database's time, which all instances on it share; a large distance is told.
pub(super) async fn follow_clock(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let asked = clock.real();
    let database = store.clock().await?;
    let ahead = database - (asked + (clock.real() - asked) / 2);
    if ahead.abs() > TimeDelta::seconds(1) {
        warn!(
            ahead_ms = ahead.num_milliseconds(),
            "the clocks of this machine and of the database differ: following the database"
        );
    }
    clock.set_database_offset(ahead);
    Ok(())
}

/// Takes the lease of the development clock: of all instances on one database only one may move time.
///
/// The private database has no other instance, so a lease there belongs to a process that is gone. Elsewhere it is waited for as
/// long as a lease lasts.
pub(super) async fn take_dev_lease(store: &Store, clock: &Clock, instance: Uuid, private: bool) -> anyhow::Result<()> {
    let mut tries = interval(LEASE_INTERVAL);
    for _ in 0..=LEASE.num_seconds() + 1 {
        tries.tick().await;
        let now = clock.real();
        let seen_from = if private { now + LEASE * 2 } else { now };
        if store.hold_dev_lease(instance, seen_from, now + LEASE).await.context("failed to take the development clock's lease")? {
            return Ok(());
        }
    }
    anyhow::bail!("another instance runs with --dev on this database: only one may move its clock")
}
