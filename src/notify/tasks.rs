//! What keeps the hub and the other instances informed: small tasks, each with one loop, that end with the process.
//!
//! Everything told between instances may be lost. What is lost is found by comparing with the database, every half second.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::banned;
use super::hint::{Hint, SealKey, pack, unpack};
use super::hub::Hub;
use super::losses;
use super::presence::BEAT;
use super::state::{Lives, Seen};
use crate::directory::{Announcement, Directory, Told};
use crate::domain::change::Kinds;
use crate::domain::names::{Branch, HandleId, Xuid};
use crate::domain::subscription;
use crate::store::rows::{HandleRow, MissedRow};
use crate::store::{BATCH_MAX, HandleAsk, Heard, LoadAsk, Messenger, MissedAsk, StoreError, projection};
use crate::wire::departed;

/// How long commits are gathered before others are told.
const HINT_PAUSE: Duration = Duration::from_millis(4);
/// How many hints may wait; what does not fit is found by comparing.
const HINTS_MAX: usize = 16_384;
/// How long a statement on the connection for hints may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after a failure it is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(250);
/// How many connections are compared, searched for or marked in one statement.
pub(super) const PAGE: usize = 1000;
/// How often an instance without peers compares: nobody changes anything unheard.
const ALONE: Duration = Duration::from_secs(5);
/// How far back it is looked for invites that were not told.
const INVITES_BACK: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// How notifications work; plain values from the settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often what was told is compared with the database.
    pub reconcile: Duration,
    /// What only one process at a time can hold: its address on its machine. Another instance that was in the same place is over.
    pub place: Option<String>,
    /// Whether no other instance can be on this database.
    pub alone: bool,
    /// After which time a write has certainly been committed, or has failed.
    pub straggle: Duration,
}

/// The hub with all that keeps it going. Dropped, all of that ends.
pub struct Notifier {
    hub: Arc<Hub>,
    directory: Arc<Directory>,
    tasks: JoinSet<()>,
}

/// What the tasks share.
#[derive(Clone)]
pub(super) struct Common {
    pub hub: Arc<Hub>,
    pub directory: Arc<Directory>,
    pub options: Arc<Options>,
    /// What hints are sealed with.
    seal: SealKey,
    /// Rung when hints may have been lost.
    compare: Arc<Notify>,
    /// Rung when connections were lost.
    pub lost: Arc<Notify>,
    /// Held by whoever searches for members of lost connections.
    pub searching: Arc<Mutex<()>>,
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
        let (hub, lost) = Hub::new(store, clock, ids, directory.metrics(), instance);
        let common = Common {
            hub: Arc::clone(&hub),
            directory: Arc::clone(directory),
            options: Arc::new(options),
            seal: SealKey::new(&store.hint_key().await?),
            compare: Arc::default(),
            lost: Arc::default(),
            searching: Arc::default(),
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
        tasks.spawn(banned::watch(common.clone()));
        tasks.spawn(losses::watch_peers(common.clone()));
        tasks.spawn(losses::mark(common.clone(), lost));
        tasks.spawn(losses::search(common));
        Ok(Self { hub, directory: Arc::clone(directory), tasks })
    }

    /// Who listens here.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Waits until one of the tasks has ended, which none does unless it panics. Cancel safe.
    pub async fn failed(&mut self) {
        match self.tasks.join_next().await {
            Some(Err(error)) => error!(%error, "a task of notifications panicked; the message stands above"),
            Some(Ok(())) => error!("a task of notifications ended by itself"),
            None => std::future::pending().await,
        }
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
                deliver(&common, xuid, invite, false);
                if common.hub.has_peers() {
                    let _ = hints.try_send(Hint::Invited { xuid, handle: HandleId(invite.id) });
                }
            }
        }
    }
}

/// Hands an invite, which was perhaps found by searching, to whoever listens for it here (N-60).
fn deliver(common: &Common, xuid: Xuid, invite: &HandleRow, found: bool) {
    common.hub.invite(xuid, (invite.id, invite.created_at), found, |title| {
        common.directory.invite_for_title(invite, xuid, title).map(Arc::from)
    });
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
                give_sign_of_life(&common, &mut messenger).await;
            }
            received = hints.recv_many(&mut batch, HINTS_MAX) => {
                if received == 0 {
                    return;
                }
                sleep(HINT_PAUSE).await;
                while let Ok(hint) = hints.try_recv() {
                    batch.push(hint);
                }
                let merged = merged(batch.drain(..));
                common.hub.metrics().hints_sent.inc_by(u64::try_from(merged.len()).unwrap_or(0));
                let messages = pack(&common.seal, common.hub.instance(), &merged);
                with_messenger(&common, &mut messenger, async |messenger, _| messenger.send(&messages).await).await;
            }
        }
    }
}

/// Gives a sign of life over the connection for hints, or over another one as long as there is none, and begins anew when others have
/// taken this instance for dead.
async fn give_sign_of_life(common: &Common, messenger: &mut Option<Messenger>) {
    let (instance, now) = (common.hub.instance(), common.directory.clock().real());
    let had_one = messenger.is_some();
    let mut alive = with_messenger(common, messenger, async |messenger, _| messenger.beat(instance, now).await).await;
    match (had_one, messenger.is_some()) {
        (true, false) => {
            warn!("the connection for hints is gone: other instances learn of changes here by comparing until it is back");
        }
        (false, true) => debug!("the connection for hints is open"),
        _ => {}
    }
    if alive.is_none() {
        alive = common.directory.store().beat_aside(instance, now).await.ok();
    }
    // Whoever is ending may have been taken over at its address already.
    if alive == Some(false) && !common.hub.is_ending() {
        begin_anew(common).await;
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

/// Others took this instance for dead: it becomes another one, and sends whoever is connected to connect again.
async fn begin_anew(common: &Common) {
    let (store, clock, id) = (common.directory.store(), common.directory.clock(), common.directory.ids().uuid());
    warn!(instance = %id, "other instances took this one for dead: it closes its sockets and starts anew");
    while let Err(error) = store.enroll(id, common.options.place.as_deref(), common.options.alone, clock.real()).await {
        warn!(%error, "failed to join the other instances again");
        sleep(RETRY).await;
    }
    common.hub.start_anew(id);
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
                    Heard::Hint(message) => match unpack(&common.seal, &message) {
                        Some((sender, _)) if sender == common.hub.instance() => {}
                        Some((_, hints)) => take(&common, hints).await,
                        None => debug!("a hint came in that no instance of this version has sealed"),
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
                    Ok(rows) => rows.into_iter().flatten().for_each(|row| deliver(common, xuid, &row.handle, false)),
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

/// Reads the changes first and the sessions after them, so that what comes in between is found later and not missed. Where there is no
/// session any more, its changes are read again: the last of them may have come in between.
async fn look_up(common: &Common, behind: &[(Uuid, Lives)]) -> Result<(), StoreError> {
    let store = common.directory.store();
    let ask =
        |(sid, (branch, after)): &(Uuid, (Branch, u64))| MissedAsk { sid: *sid, branch: branch.0, after: after.cast_signed() };
    let lives: Vec<(Uuid, (Branch, u64))> =
        behind.iter().flat_map(|(sid, lives)| lives.iter().map(|life| (*sid, *life))).collect();
    let mut missed = store.read_missed(&lives.iter().map(ask).collect::<Vec<_>>()).await?;
    let at = common.directory.clock().now();
    let sids: Vec<LoadAsk> = behind.iter().map(|(sid, _)| LoadAsk::plain(*sid)).collect();
    let loaded = store.load_sessions(&sids, at).await?;
    let mut seen: HashMap<Uuid, Seen> = HashMap::new();
    let mut unreadable: HashSet<Uuid> = HashSet::new();
    for (ask, loaded) in sids.iter().zip(&loaded) {
        let Some(stored) = &loaded.stored else { continue };
        match projection::loaded_session(stored) {
            Ok(session) => {
                let resource = session.reference.to_string().into();
                let listeners = subscription::listeners(&session);
                let (branch, change_number) = (session.branch, session.change_number);
                seen.insert(ask.sid, Seen { resource, branch, change_number, at, listeners });
            }
            Err(error) => {
                error!(session.sid = %ask.sid, %error, "a stored session cannot be read");
                common.hub.give_up(ask.sid);
                unreadable.insert(ask.sid);
            }
        }
    }
    let gone: Vec<usize> = (0..lives.len()).filter(|at| !seen.contains_key(&lives[*at].0)).collect();
    if !gone.is_empty() {
        let again = store.read_missed(&gone.iter().map(|at| ask(&lives[*at])).collect::<Vec<_>>()).await?;
        for (at, rows) in gone.into_iter().zip(again) {
            missed[at] = rows;
        }
    }
    for ((sid, life), rows) in lives.into_iter().zip(missed).filter(|((sid, _), _)| !unreadable.contains(sid)) {
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

/// Compares what sockets here were told with what is stored, again and again; an instance without peers does so seldom, because it hears
/// of everything that it commits itself.
async fn reconcile(common: Common) {
    let mut ticks = interval(common.options.reconcile);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut horizon, mut last) = (None, Instant::now());
    loop {
        let asked = tokio::select! {
            _ = ticks.tick() => false,
            () = common.compare.notified() => true,
        };
        if !asked && !common.hub.has_peers() && last.elapsed() < ALONE {
            continue;
        }
        last = Instant::now();
        if let Err(error) = compare(&common, &mut horizon, asked).await {
            horizon = None;
            debug!(%error, "failed to compare what was told with what is stored");
        }
    }
}

/// Compares once, unless nothing has been committed since the last time.
async fn compare(common: &Common, horizon: &mut Option<String>, asked: bool) -> Result<(), StoreError> {
    let listening = common.hub.listening();
    if common.hub.sockets() == 0 && listening.is_empty() {
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
    if !listening.is_empty() {
        let service_now = common.directory.clock().now();
        for invite in store.find_new_invites(&listening, service_now - INVITES_BACK, service_now).await? {
            if let Some(xuid) = invite.invited.map(Xuid) {
                deliver(common, xuid, &invite, true);
            }
        }
    }
    *horizon = now;
    Ok(())
}
