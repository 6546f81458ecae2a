//! The sweeper: evaluates sessions whose timer has passed, so that taps are sent and dead sessions leave queries (M-27).

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::Directory;
use crate::store::rows::DueRow;
use crate::store::{Shard, StoreError};

/// How many due sessions are found at a time.
const PASS: i64 = 10_000;
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
        let mut count = 0;
        loop {
            let now = self.clock.now();
            let due = self.store.find_due(now, PASS, Shard::WHOLE).await?;
            for row in &due {
                metrics.late(now - row.due_at);
            }
            let full = i64::try_from(due.len()).is_ok_and(|found| found == PASS);
            let settle = |row: DueRow| self.settle(row.sid).map(move |settled| (row, settled));
            let mut all = stream::iter(due).map(settle).buffer_unordered(AT_ONCE);
            while let Some((row, settled)) = all.next().await {
                match settled {
                    Ok(settled) if settled.next_timer_at.is_some_and(|next| next <= now) => {
                        self.put_off(row, "its timer is due still").await?;
                    }
                    Ok(settled) if settled.was_due => count += 1,
                    // Somebody else has settled it meanwhile, or the timer has no session to go with: then it is still there.
                    Ok(_) => self.put_off(row, "its timer does not belong to it").await?,
                    Err(failure) => self.put_off(row, &failure.to_string()).await?,
                }
            }
            if !full {
                metrics.sweep_seconds.observe(begun.elapsed().as_secs_f64());
                metrics.swept_sessions.inc_by(u64::try_from(count).unwrap_or(0));
                if count > 0 {
                    debug!("settled {count} sessions");
                }
                return Ok(count);
            }
        }
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
