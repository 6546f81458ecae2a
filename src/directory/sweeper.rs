//! The sweeper: evaluates sessions whose timer has passed, so that taps are sent and dead sessions leave queries (M-27).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::Directory;
use crate::domain::principal::Principal;
use crate::domain::timers;
use crate::store::rows::DueRow;
use crate::store::{Shard, StoreError};

/// How many due sessions are found at a time.
const PASS: i64 = 2000;
/// How many of them are in the queues at a time: enough to fill rounds, few enough for those who wait behind them.
const AT_ONCE: usize = 256;
/// How many expired handles are looked at in one statement.
const EXPIRED_AT_ONCE: i64 = 1000;

impl Directory {
    /// Evaluates everything that is due by now and returns how many sessions were.
    ///
    /// Only one sweep runs at a time. A session that cannot be settled is put off, further each time, and does not hold up others.
    ///
    /// # Errors
    /// `Unavailable`, `Database`, when what is due cannot be found.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let _alone = self.sweeping.lock().await;
        let (metrics, begun) = (self.metrics(), Instant::now());
        let sweeper = Arc::new(Principal::Admin { name: "sweeper".to_owned() });
        let mut settled = 0;
        loop {
            let now = self.clock.now();
            let due = self.store.find_due(now, PASS, Shard::WHOLE).await?;
            for row in &due {
                metrics.late(now - row.due_at);
            }
            let full = i64::try_from(due.len()).is_ok_and(|found| found == PASS);
            let view = |row: DueRow| self.view(row.sid, &sweeper).map(move |view| (row, view));
            let mut views = stream::iter(due.iter().copied()).map(view).buffer_unordered(AT_ONCE);
            while let Some((row, view)) = views.next().await {
                match view {
                    Ok(view) if view.session.as_ref().and_then(timers::next).is_none_or(|next| next > now) => settled += 1,
                    Ok(_) => self.put_off(row, "its timer is due still").await?,
                    Err(failure) => self.put_off(row, &failure.to_string()).await?,
                }
            }
            settled -= self.put_off_leftovers(&due, now).await?;
            if !full {
                metrics.sweep_seconds.observe(begun.elapsed().as_secs_f64());
                metrics.swept_sessions.inc_by(u64::try_from(settled).unwrap_or(0));
                if settled > 0 {
                    debug!("settled {settled} sessions");
                }
                return Ok(settled);
            }
        }
    }

    /// A timer that is still there after its session was settled has no session to go with: it is put off and told.
    ///
    /// Returns how many there were.
    async fn put_off_leftovers(&self, due: &[DueRow], now: DateTime<Utc>) -> Result<usize, StoreError> {
        if due.is_empty() {
            return Ok(0);
        }
        let mut found = 0;
        let still = self.store.find_due(now, PASS, Shard::WHOLE).await?;
        for row in still.iter().filter(|row| due.iter().any(|old| old.sid == row.sid && old.due_at == row.due_at)) {
            self.put_off(*row, "its timer does not belong to it").await?;
            found += 1;
        }
        Ok(found)
    }

    async fn put_off(&self, row: DueRow, why: &str) -> Result<(), StoreError> {
        let sid = row.sid;
        match self.store.postpone_due(row, self.clock.now()).await? {
            // Somebody saved the session meanwhile: its timer is another one.
            0 => {}
            failures @ 1..=3 => warn!(session.sid = %sid, failures, why, "failed to settle a session; it is put off"),
            failures => error!(session.sid = %sid, failures, why, "a session cannot be settled"),
        }
        Ok(())
    }

    /// Removes handles that have expired, some at a time, and returns how many.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn drop_expired_handles(&self) -> Result<u64, StoreError> {
        let (now, mut removed) = (self.clock.now(), 0);
        loop {
            let found = self.store.delete_expired_handles(now, EXPIRED_AT_ONCE).await?;
            removed += found.deleted;
            if found.looked_at < EXPIRED_AT_ONCE.cast_unsigned() {
                return Ok(removed);
            }
        }
    }
}
