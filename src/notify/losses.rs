//! What becomes of sockets that are gone, and of instances that are: their connections are marked as lost, and whoever comes to it
//! records that in the sessions of their members (N-40, N-43). Everything that is left to be done is a row, so nobody has to live for it.

use std::collections::HashMap;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::presence::{BEAT, Peers};
use super::tasks::{Common, PAGE, RETRY};
use crate::domain::connection::Lost;
use crate::domain::names::{ConnectionId, Xuid};
use crate::store::StoreError;

/// How often it is looked for lost connections that others have marked.
const CHECK: Duration = Duration::from_secs(1);
/// When a search for members with a lost connection is repeated that came to no end.
const CHECK_AGAIN: TimeDelta = TimeDelta::seconds(5);
/// In how many sessions losses are recorded at a time: writes of clients are to find room in the queues.
const ABREAST: usize = 400;
/// How often connections are forgotten that were lost long ago, and how long ago that is.
const FORGET: TimeDelta = TimeDelta::minutes(10);
const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// Finds out which other instances live, and does what is left to be done for those that do not.
pub async fn watch_peers(common: Common) {
    let (store, clock) = (common.directory.store().clone(), common.directory.clock().clone());
    let mut ticks = interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut peers = Peers::default();
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        let looked = async {
            let rows = store.list_peers(common.hub.instance()).await?;
            common.hub.set_peers(!rows.is_empty());
            let over = peers.look(&rows, last.elapsed());
            last = Instant::now();
            if !over.is_empty() {
                let (instances, connections) = store.bury(&over, clock.real()).await?;
                if instances > 0 {
                    info!("{instances} other instances are gone, with {connections} connections");
                    common.lost.notify_one();
                }
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = looked.await {
            debug!(%error, "failed to look for other instances");
            peers.forgive();
        }
    }
}

/// Marks connections of this instance as lost, as soon as the database takes it, and records it in their sessions.
///
/// An instance that is ending only marks them: the grace period is to begin when somebody is there to come back to (N-43). The others
/// find them within a second, or this one when it has started again.
pub async fn mark(common: Common, mut lost: mpsc::UnboundedReceiver<ConnectionId>) {
    let (store, clock) = (common.directory.store().clone(), common.directory.clock().clone());
    let mut batch = Vec::new();
    while lost.recv_many(&mut batch, PAGE).await > 0 {
        let ids: Vec<Uuid> = batch.drain(..).map(|id| id.0).collect();
        while let Err(error) = store.lose_connections(&ids, clock.real()).await {
            debug!(%error, "failed to mark {} connections as lost", ids.len());
            sleep(RETRY).await;
        }
        search_all(&common).await;
        common.hub.recorded(ids.len());
    }
}

/// Searches for members whose connection is lost, whichever instance had it (N-40).
pub async fn search(common: Common) {
    let (store, clock) = (common.directory.store().clone(), common.directory.clock().clone());
    let mut ticks = interval(CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut forgotten_at = clock.real();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = common.lost.notified() => {}
        }
        search_all(&common).await;
        let now = clock.real();
        if now - forgotten_at > FORGET {
            forgotten_at = now;
            let tidied = async {
                store.lose_stray_connections(now).await?;
                store.forget_connections(now - REMEMBERED).await
            };
            if let Err(error) = tidied.await {
                warn!(%error, "failed to forget connections that were lost long ago");
            }
        }
    }
}

/// Searches for the members of all connections that are known to be lost by now. One searches at a time, so that whoever comes second
/// finds everything recorded.
async fn search_all(common: &Common) {
    let _alone = common.searching.lock().await;
    while !common.hub.is_ending() {
        match search_page(common).await {
            Ok(found) if found < PAGE => break,
            Ok(_) => {}
            Err(error) => {
                debug!(%error, "failed to search for lost connections");
                break;
            }
        }
    }
}

/// Searches for the members of some lost connections, records the losses, and returns for how many it searched.
async fn search_page(common: &Common) -> Result<usize, StoreError> {
    let (store, now) = (common.directory.store(), common.directory.clock().real());
    let page = i64::try_from(PAGE).unwrap_or(i64::MAX);
    let lost = store.take_lost_connections(now, now + CHECK_AGAIN, page).await?;
    let asked: Vec<(Uuid, u64)> = lost.iter().map(|one| (one.id, one.owner)).collect();
    let mut sessions: HashMap<Uuid, Vec<Lost>> = HashMap::new();
    for one in store.find_registrations(&asked).await? {
        sessions.entry(one.sid).or_default().push(Lost { id: ConnectionId(one.connection), owner: Xuid(one.owner) });
    }
    let notes = sessions.into_iter().map(async |(sid, lost)| {
        let noted = common.directory.lose(sid, lost.clone()).await;
        noted.err().map(|error| (sid, lost, error))
    });
    let failed: Vec<_> = stream::iter(notes).buffer_unordered(ABREAST).filter_map(std::future::ready).collect().await;
    let mut done: Vec<Uuid> = asked.into_iter().map(|(id, _)| id).collect();
    for (sid, lost, error) in failed {
        warn!(session.sid = %sid, %error, "failed to record lost connections: trying again");
        done.retain(|id| !lost.iter().any(|one| one.id.0 == *id));
    }
    if !done.is_empty() {
        let straggle = TimeDelta::from_std(common.options.straggle).unwrap_or(TimeDelta::MAX);
        store.note_searched(&done, now, straggle).await?;
    }
    Ok(lost.len())
}
