//! What keeps the hub and the other instances informed: small tasks, each with one loop, that end with the process.
//!
//! Everything told between instances may be lost. What is lost is found by comparing with the database, every half second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::followed::Seen;
use super::hint::{Hint, pack, unpack};
use super::hub::Hub;
use super::presence::{BEAT, Peers};
use crate::directory::{Announcement, Directory, Told};
use crate::domain::change::Kinds;
use crate::domain::connection::Lost;
use crate::domain::names::{Branch, ConnectionId, HandleId, Xuid};
use crate::domain::subscription;
use crate::store::rows::{HandleRow, MissedRow, Registration};
use crate::store::{BATCH_MAX, HandleAsk, Heard, LoadAsk, Messenger, MissedAsk, StoreError, projection};
use crate::wire::departed;

/// How long commits are gathered before others are told.
const HINT_PAUSE: Duration = Duration::from_millis(2);
/// How many hints may wait; what does not fit is found by comparing.
const HINTS_MAX: usize = 16_384;
/// How long a statement on the connection for hints may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How many connections are compared, searched for or marked in one statement.
const PAGE: usize = 1000;
/// How often it is looked for lost connections that others have marked.
const CHECK: Duration = Duration::from_secs(1);
/// When a search for members with a lost connection is repeated that came to no end.
const CHECK_AGAIN: chrono::TimeDelta = chrono::TimeDelta::seconds(5);
/// After which time a write has certainly been committed that took a connection for a living one.
const STRAGGLE: chrono::TimeDelta = chrono::TimeDelta::seconds(15);
/// How long a lost connection is remembered.
const REMEMBERED: chrono::TimeDelta = chrono::TimeDelta::hours(24);

/// How notifications work; plain values from the settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often what was told is compared with the database.
    pub reconcile: Duration,
    /// What only one process at a time can hold: its address on its machine. Another instance that was in the same place is over.
    pub place: Option<String>,
    /// Whether no other instance can be on this database.
    pub alone: bool,
}

/// The hub with all that keeps it going. Dropped, all of that ends.
pub struct Notifier {
    hub: Arc<Hub>,
    directory: Arc<Directory>,
    tasks: JoinSet<()>,
}

/// What the tasks share.
#[derive(Clone)]
struct Common {
    hub: Arc<Hub>,
    directory: Arc<Directory>,
    options: Arc<Options>,
    /// Rung when hints may have been lost.
    compare: Arc<Notify>,
    /// Rung when connections were lost.
    lost: Arc<Notify>,
}

impl Notifier {
    /// Makes this process known to its peers and begins to listen. Must be called inside the runtime that the tasks shall live in.
    ///
    /// # Errors
    /// `Unavailable`, `Database`, when the process cannot be made known.
    pub async fn start(directory: &Arc<Directory>, options: Options) -> Result<Self, StoreError> {
        let (store, clock, ids) = (directory.store(), directory.clock(), directory.ids());
        let instance = ids.uuid();
        store.enroll(instance, options.place.as_deref(), options.alone, clock.real()).await?;
        let (hub, losses) = Hub::new(store, clock, ids, instance);
        let common = Common {
            hub: Arc::clone(&hub),
            directory: Arc::clone(directory),
            options: Arc::new(options),
            compare: Arc::default(),
            lost: Arc::default(),
        };
        let mut tasks = JoinSet::new();
        let (hints, waiting) = mpsc::channel(HINTS_MAX);
        if let Some(news) = directory.announcements() {
            tasks.spawn(announce(common.clone(), news, hints));
        }
        tasks.spawn(tell_others(common.clone(), waiting));
        tasks.spawn(listen(common.clone()));
        tasks.spawn(catch_up(common.clone()));
        tasks.spawn(reconcile(common.clone()));
        tasks.spawn(watch_peers(common.clone()));
        tasks.spawn(mark_lost(common.clone(), losses));
        tasks.spawn(search_lost(common));
        Ok(Self { hub, directory: Arc::clone(directory), tasks })
    }

    /// Who listens here.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Takes leave of the peers, once all sockets are closed: what still has a connection id here has lost it.
    pub async fn stop(mut self) {
        let instance = self.hub.instance();
        self.tasks.shutdown().await;
        match self.directory.store().bury(&[(instance, None)], self.directory.clock().real()).await {
            Ok((_, connections)) if connections > 0 => debug!("left {connections} connections behind"),
            Ok(_) => {}
            Err(error) => warn!(%error, "failed to take leave of other instances: they will notice"),
        }
    }
}

/// Hears of every commit of this process.
async fn announce(common: Common, mut news: mpsc::UnboundedReceiver<Announcement>, hints: mpsc::Sender<Hint>) {
    let mut batch = Vec::new();
    while news.recv_many(&mut batch, 256).await > 0 {
        for one in batch.drain(..) {
            if let Some(hint) = common.hub.hear_of(&one) {
                // One that does not fit is lost; comparing finds out.
                let _ = hints.try_send(hint);
            }
            for invite in &one.invites {
                let Some(xuid) = invite.invited.map(Xuid) else { continue };
                deliver(&common, xuid, invite);
                if common.hub.has_peers() {
                    let _ = hints.try_send(Hint::Invited { xuid, handle: HandleId(invite.id) });
                }
            }
        }
    }
}

/// Hands an invite to whoever listens for it here (N-60).
fn deliver(common: &Common, xuid: Xuid, invite: &HandleRow) {
    common.hub.invite(xuid, |title| common.directory.invite_for_title(invite, xuid, title).map(Arc::from));
}

/// Tells other instances what was committed here, a few milliseconds' worth at a time, and gives signs of life.
async fn tell_others(common: Common, mut hints: mpsc::Receiver<Hint>) {
    let mut messenger: Option<Messenger> = None;
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            _ = beat.tick() => {
                let alive = with_messenger(&common, &mut messenger, async |messenger, common| {
                    messenger.beat(common.hub.instance(), common.directory.clock().real()).await
                });
                if alive.await == Some(false) {
                    begin_anew(&common).await;
                }
            }
            received = hints.recv_many(&mut batch, HINTS_MAX) => {
                if received == 0 {
                    return;
                }
                sleep(HINT_PAUSE).await;
                while let Ok(hint) = hints.try_recv() {
                    batch.push(hint);
                }
                let messages = pack(common.hub.instance(), &merged(batch.drain(..)));
                with_messenger(&common, &mut messenger, async |messenger, _| messenger.send(&messages).await).await;
            }
        }
    }
}

/// Hints of one session that follow upon each other become one.
fn merged(hints: impl Iterator<Item = Hint>) -> Vec<Hint> {
    let mut merged: Vec<Hint> = Vec::new();
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    for hint in hints {
        if let Hint::Changed(changed) = &hint {
            if let Some(Hint::Changed(before)) = places.get(&changed.sid).map(|at| &mut merged[*at])
                && before.extend(changed)
            {
                continue;
            }
            places.insert(changed.sid, merged.len());
        }
        merged.push(hint);
    }
    merged
}

/// Does something over the connection for hints, which is opened when there is none; `None` when that failed.
async fn with_messenger<T>(
    common: &Common,
    messenger: &mut Option<Messenger>,
    work: impl AsyncFnOnce(&mut Messenger, &Common) -> Result<T, StoreError>,
) -> Option<T> {
    let done = timeout(PATIENCE, async {
        let mut open = match messenger.take() {
            Some(open) => open,
            None => common.directory.store().messenger().await?,
        };
        let done = work(&mut open, common).await?;
        *messenger = Some(open);
        Ok::<_, StoreError>(done)
    });
    match done.await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            debug!(%error, "the connection for hints broke");
            None
        }
        Err(_) => {
            debug!("the connection for hints hangs");
            None
        }
    }
}

/// Others took this instance for dead: whoever is connected has lost the connection, and is sent to connect again.
async fn begin_anew(common: &Common) {
    let id = common.hub.start_anew();
    warn!(instance = %id, "other instances took this one for dead: it closes its sockets and starts anew");
    let (store, clock) = (common.directory.store(), common.directory.clock());
    while let Err(error) = store.enroll(id, common.options.place.as_deref(), common.options.alone, clock.real()).await {
        warn!(%error, "failed to join the other instances again");
        sleep(RETRY).await;
    }
}

/// Takes the hints of others.
async fn listen(common: Common) {
    loop {
        let listening = async {
            let mut hints = common.directory.store().hints().await?;
            common.compare.notify_one();
            loop {
                match hints.next().await? {
                    Heard::Gap => common.compare.notify_one(),
                    Heard::Hint(message) => match unpack(&message) {
                        Some((sender, _)) if sender == common.hub.instance() => {}
                        Some((_, hints)) => take(&common, hints).await,
                        None => debug!("a hint of another form came in"),
                    },
                }
            }
        };
        let ended: Result<(), StoreError> = listening.await;
        if let Err(error) = ended {
            debug!(%error, "hints of other instances cannot be heard just now");
        }
        sleep(RETRY).await;
    }
}

async fn take(common: &Common, hints: Vec<Hint>) {
    for hint in hints {
        match hint {
            Hint::Changed(changed) => common.hub.take_hint(&changed),
            Hint::Invited { xuid, handle } if common.hub.hears(xuid) => {
                let ask = HandleAsk { id: handle.0, caller: None };
                match common.directory.store().read_by_handles(&[ask], common.directory.clock().now()).await {
                    Ok(rows) => rows.into_iter().flatten().for_each(|row| deliver(common, xuid, &row.handle)),
                    Err(error) => warn!(%error, "an invite is not delivered: it cannot be read"),
                }
            }
            Hint::Invited { .. } => {}
        }
    }
}

/// Looks up what hints did not tell.
async fn catch_up(common: Common) {
    loop {
        common.hub.fallen_behind().await;
        loop {
            let behind = common.hub.take_behind(BATCH_MAX);
            if behind.is_empty() {
                break;
            }
            if let Err(error) = look_up(&common, &behind).await {
                debug!(%error, "failed to look up what has changed");
                common.hub.put_back(behind);
                sleep(RETRY).await;
            }
        }
    }
}

/// Reads the changes first and the sessions after them, so that whatever comes in between is found later, and not missed.
async fn look_up(common: &Common, behind: &[(Uuid, Vec<(Branch, u64)>)]) -> Result<(), StoreError> {
    let store = common.directory.store();
    let ask = |sid: Uuid, (branch, after): (Branch, u64)| MissedAsk { sid, branch: branch.0, after: after.cast_signed() };
    let lives: Vec<(Uuid, (Branch, u64))> =
        behind.iter().flat_map(|(sid, lives)| lives.iter().map(|life| (*sid, *life))).collect();
    let asks: Vec<MissedAsk> = lives.iter().map(|(sid, life)| ask(*sid, *life)).collect();
    let missed = store.read_missed(&asks).await?;
    let at = common.directory.clock().now();
    let sids: Vec<LoadAsk> = behind.iter().map(|(sid, _)| LoadAsk::plain(*sid)).collect();
    let loaded = store.load_sessions(&sids, at).await?;
    let mut seen: HashMap<Uuid, Seen> = HashMap::new();
    for (ask, loaded) in sids.iter().zip(&loaded) {
        let Some(stored) = &loaded.stored else { continue };
        match projection::loaded_session(stored) {
            Ok(session) => {
                let resource = session.reference.to_string().into();
                let listeners = subscription::listeners(&session);
                let (branch, change_number) = (session.branch, session.change_number);
                seen.insert(ask.sid, Seen { resource, branch, change_number, at, listeners });
            }
            Err(error) => error!(session.sid = %ask.sid, %error, "a stored session cannot be read"),
        }
    }
    for ((sid, life), rows) in lives.into_iter().zip(missed) {
        let missed: Vec<Told> = rows.iter().map(|row| told(life.0, row)).collect();
        common.hub.catch_up(sid, life, &missed, seen.get(&sid));
    }
    Ok(())
}

fn told(branch: Branch, row: &MissedRow) -> Told {
    Told {
        branch,
        change_number: row.change_number.cast_unsigned(),
        at: row.at,
        kinds: Kinds(row.kinds.cast_unsigned()),
        exempt: row.exempt.and_then(|index| index.try_into().ok()),
        deleted: row.deleted,
        departed: row.departed.as_deref().and_then(|text| departed::listeners(text).ok()).unwrap_or_default(),
    }
}

/// Compares what sockets here were told with what is stored, again and again.
async fn reconcile(common: Common) {
    let mut ticks = interval(common.options.reconcile);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut horizon = None;
    loop {
        let asked = tokio::select! {
            _ = ticks.tick() => false,
            () = common.compare.notified() => true,
        };
        match compare(&common, &mut horizon, asked).await {
            Ok(()) => {}
            Err(error) => {
                horizon = None;
                debug!(%error, "failed to compare what was told with what is stored");
            }
        }
    }
}

async fn compare(common: &Common, horizon: &mut Option<String>, asked: bool) -> Result<(), StoreError> {
    if common.hub.sockets() == 0 {
        *horizon = None;
        return Ok(());
    }
    let store = common.directory.store();
    let now = store.horizon().await?;
    if !asked && now.is_some() && now == *horizon {
        return Ok(());
    }
    let connections = common.hub.begin_search();
    for page in connections.chunks(PAGE) {
        common.hub.found(&store.find_registrations(page).await?);
    }
    common.hub.end_search();
    *horizon = now;
    Ok(())
}

/// Finds out which other instances live, and does what is left to be done for those that do not.
async fn watch_peers(common: Common) {
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
        }
    }
}

/// Marks connections of this instance as lost, as soon as the database takes it.
async fn mark_lost(common: Common, mut losses: mpsc::UnboundedReceiver<ConnectionId>) {
    let (store, clock) = (common.directory.store().clone(), common.directory.clock().clone());
    let mut batch = Vec::new();
    while losses.recv_many(&mut batch, PAGE).await > 0 {
        let ids: Vec<Uuid> = batch.drain(..).map(|id| id.0).collect();
        while let Err(error) = store.lose_connections(&ids, clock.real()).await {
            debug!(%error, "failed to mark {} connections as lost", ids.len());
            sleep(RETRY).await;
        }
        common.lost.notify_one();
    }
}

/// Searches for members whose connection is lost, whichever instance had it (N-40).
async fn search_lost(common: Common) {
    let (store, clock) = (common.directory.store().clone(), common.directory.clock().clone());
    let mut ticks = interval(CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut forgotten_at = clock.real();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = common.lost.notified() => {}
        }
        // Whoever ends leaves its members to its peers, or to the one that starts next: they have time to come back from then on.
        while !common.hub.is_ending()
            && let Some(found) = search_page(&common).await
        {
            if found < PAGE {
                break;
            }
        }
        let now = clock.real();
        if now - forgotten_at > chrono::TimeDelta::minutes(10) {
            forgotten_at = now;
            let tidied = async {
                store.lose_stray_connections(now).await?;
                store.forget_connections(now - REMEMBERED).await
            };
            if let Err(error) = tidied.await {
                debug!(%error, "failed to forget connections that were lost long ago");
            }
        }
    }
}

/// Searches for the members of some lost connections and returns for how many; `None` when it failed.
async fn search_page(common: &Common) -> Option<usize> {
    let (store, now) = (common.directory.store(), common.directory.clock().real());
    let searched = async {
        let page = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let lost = store.take_lost_connections(now, now + CHECK_AGAIN, page).await?;
        let mut done: Vec<Uuid> = lost.iter().map(|one| one.id).collect();
        let found = store.find_registrations(&done).await?;
        let mut sessions: HashMap<Uuid, Vec<Lost>> = HashMap::new();
        let is_own = |one: &&Registration| lost.iter().any(|lost| (lost.id, lost.owner) == (one.connection, one.owner));
        for one in found.iter().filter(is_own) {
            sessions.entry(one.sid).or_default().push(Lost { id: ConnectionId(one.connection), owner: Xuid(one.owner) });
        }
        let notes = sessions.into_iter().map(async |(sid, lost)| {
            let noted = common.directory.lose(sid, lost.clone()).await;
            noted.err().map(|error| (sid, lost, error))
        });
        for (sid, lost, error) in join_all(notes).await.into_iter().flatten() {
            warn!(session.sid = %sid, %error, "failed to record lost connections: trying again");
            done.retain(|id| !lost.iter().any(|one| one.id.0 == *id));
        }
        if !done.is_empty() {
            store.note_checked(&done, now + STRAGGLE).await?;
        }
        Ok::<_, StoreError>(lost.len())
    };
    searched.await.inspect_err(|error| debug!(%error, "failed to search for lost connections")).ok()
}
