//! What has to be done again and again beside answering requests.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::clocks::{CLOCK_INTERVAL, LEASE, LEASE_INTERVAL, follow_clock};
use crate::directory::Directory;
use crate::metrics::Table;
use crate::settings::Settings;
use crate::store::StoreError;

/// How often the catalog is compared with the database.
const CATALOG_INTERVAL: Duration = Duration::from_secs(1);
/// How often partitions are made ahead, old ones dropped, and expired handles removed.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_mins(10);

/// Starts what has to be done again and again. A chore that fails is logged and tried again.
///
/// `private` when the database runs on this machine, by the same clock; `dev` is the instance that may move it.
pub(super) fn start_chores(directory: &Arc<Directory>, settings: &Settings, private: bool, dev: Option<Uuid>) -> JoinSet<()> {
    let mut chores = JoinSet::new();
    let sweep = Duration::from_millis(settings.timers.sweep_interval_ms);
    chores.spawn(repeat("sweep due timers", sweep, Arc::clone(directory), async |directory| directory.sweep().await.map(drop)));
    chores.spawn(repeat("reload the service configs", CATALOG_INTERVAL, Arc::clone(directory), async |directory| {
        directory.refresh_catalog().await
    }));
    let statistics = Duration::from_millis(settings.telemetry.statistics_interval_ms);
    chores.spawn(repeat("ask the database for statistics", statistics, Arc::clone(directory), async |directory| {
        take_statistics(&directory).await
    }));
    let mut house = House::new(TimeDelta::days(settings.log.keep_days.into()));
    let kept = Arc::clone(directory);
    chores.spawn(async move {
        let mut ticks = ticks(HOUSEKEEPING_INTERVAL);
        loop {
            ticks.tick().await;
            house.keep(&kept).await;
        }
    });
    if !private {
        chores.spawn(repeat("follow the database's clock", CLOCK_INTERVAL, Arc::clone(directory), async |directory| {
            follow_clock(directory.store(), directory.clock()).await
        }));
    }
    if let Some(instance) = dev {
        chores.spawn(repeat(
            "renew the development clock's lease",
            LEASE_INTERVAL,
            Arc::clone(directory),
            async move |directory| {
                let now = directory.clock().real();
                if !directory.store().hold_dev_lease(instance, now, now + LEASE).await? {
                    error!("another instance has taken the development clock of this database");
                }
                Ok(())
            },
        ));
    }
    chores
}

/// Takes over into the metrics what the database tells of itself.
///
/// # Errors
/// `Unavailable`, `Database`.
pub async fn take_statistics(directory: &Directory) -> Result<(), StoreError> {
    let metrics = directory.metrics();
    let asked = directory.store().read_statistics().await;
    metrics.database_up.set(i64::from(asked.is_ok()));
    let statistics = asked?;
    metrics.ghosts.set(statistics.ghosts);
    metrics.instances.set(statistics.instances);
    for (table, rows, bytes) in statistics.tables {
        let table = Table { table };
        metrics.table_rows.get_or_create(&table).set(rows);
        metrics.table_bytes.get_or_create(&table).set(bytes);
    }
    Ok(())
}

/// Does something at every tick, never twice at once. What fails is told once, and once more when it works again.
async fn repeat<Work>(what: &'static str, every: Duration, directory: Arc<Directory>, work: Work)
where
    Work: AsyncFn(Arc<Directory>) -> Result<(), StoreError>,
{
    let (mut ticks, mut chore) = (ticks(every), Chore::new(what));
    loop {
        ticks.tick().await;
        chore.note(&work(Arc::clone(&directory)).await);
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Something done again and again, and whether it worked the last time.
#[derive(Debug)]
struct Chore {
    what: &'static str,
    failing: bool,
}

impl Chore {
    const fn new(what: &'static str) -> Self {
        Self { what, failing: false }
    }

    /// Tells the first failure, and the first success after it.
    fn note<T>(&mut self, result: &Result<T, StoreError>) {
        let what = self.what;
        match result {
            Ok(_) if self.failing => info!("managed again to {what}"),
            Ok(_) => {}
            Err(error) if self.failing => debug!(%error, "still failing to {what}"),
            Err(error) => warn!(%error, "failed to {what}: trying again"),
        }
        self.failing = result.is_err();
    }
}

/// What has to be tidied up now and then. No step depends on another: whatever fails is told, and the rest is done.
#[derive(Debug)]
pub struct House {
    log_kept: TimeDelta,
    days_ahead: Chore,
    tickets: Chore,
    handles: Chore,
    old_days: Chore,
}

impl House {
    /// For a change log that is kept so long.
    #[must_use]
    pub const fn new(log_kept: TimeDelta) -> Self {
        Self {
            log_kept,
            days_ahead: Chore::new("make partitions of the change log ahead"),
            tickets: Chore::new("remove expired tickets"),
            handles: Chore::new("remove expired handles"),
            old_days: Chore::new("forget old days of the change log"),
        }
    }

    /// Tidies up once.
    pub async fn keep(&mut self, directory: &Directory) {
        let (store, clock) = (directory.store(), directory.clock());
        self.days_ahead.note(&store.ensure_partitions(clock.now()).await);
        self.tickets.note(&store.delete_expired_nonces(clock.real()).await);
        self.handles.note(&directory.drop_expired_handles().await);
        // By real time: a development clock that was moved ahead must not take the history of a minute ago for old.
        self.old_days.note(&store.drop_partitions(clock.real() - self.log_kept).await);
    }
}
