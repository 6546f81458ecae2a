//! Whose time it is: the database's, which all instances share, and with `--dev` the one process's that may move it.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::interval;
use tracing::warn;
use uuid::Uuid;

use crate::ambient::Clock;
use crate::store::{Store, StoreError};

/// How long the lease of the development clock lasts, and how often it is renewed.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(5);
pub(super) const LEASE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the database's clock is compared with ours.
pub(super) const CLOCK_INTERVAL: Duration = Duration::from_mins(1);

/// Takes over the database's time, which all instances on it share; a large distance is told, at the start and whenever the clocks have
/// moved apart since.
pub(super) async fn follow_clock(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let asked = clock.real();
    let database = store.clock().await?;
    if let Some(moved) = follow(clock, asked, database, clock.real()) {
        warn!(
            ahead_ms = clock.database_offset().num_milliseconds(),
            moved_ms = moved.num_milliseconds(),
            "the clocks of this machine and of the database have moved apart: following the database"
        );
    }
    Ok(())
}

/// Follows what the database answered between two readings of our own clock; returns by how much time jumped, if it is much.
fn follow(clock: &Clock, asked: DateTime<Utc>, database: DateTime<Utc>, answered: DateTime<Utc>) -> Option<TimeDelta> {
    let uncertainty = (answered - asked) / 2;
    let moved = database - (asked + uncertainty);
    // A distance within that is none: the answer was long on its way.
    if moved.abs() <= uncertainty {
        return None;
    }
    clock.set_database_offset(clock.database_offset() + moved);
    (moved.abs() > TimeDelta::seconds(1)).then_some(moved)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_followed_again_and_again() {
        let noon = DateTime::from_timestamp(1_767_268_800, 0).unwrap();
        let clock = Clock::manual(noon);
        let ms = TimeDelta::milliseconds;
        // 100 ms under way: what lies within half of that says nothing.
        let ask = |database: DateTime<Utc>| {
            let asked = clock.real();
            follow(&clock, asked, database, asked + ms(100))
        };
        assert_eq!(ask(noon + ms(550)), None, "half a second is not worth a word");
        assert_eq!((clock.database_offset(), clock.real()), (ms(500), noon + ms(500)));
        assert_eq!(ask(noon + ms(590)), None);
        assert_eq!(clock.database_offset(), ms(500), "it cannot be told from the way of the answer");
        assert_eq!(ask(noon + ms(5550)), Some(ms(5000)), "the database's clock was set");
        assert_eq!(clock.database_offset(), ms(5500), "what was known before counts");
        assert_eq!(ask(noon + ms(50)), Some(ms(-5500)));
        assert_eq!(clock.real(), noon);
    }
}
