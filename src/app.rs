//! The composition root: from settings to a running service, and down again.
//!
//! `Parts` puts the rooms together over a database that is there; `serve` gets that database first, be it an outside one or the
//! private one, and keeps the chores going: the sweeper, the catalog, partitions, the lease of the development clock.

use std::net::{SocketAddr, TcpListener};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use chrono::TimeDelta;
use secrecy::ExposeSecret;
use socket2::SockRef;
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use crate::ambient::{Clock, Ids};
use crate::auth::{KeySet, Rules as TokenRules, Situation, Verifier};
use crate::directory::{self, Directory};
use crate::domain::limits::{Limits, UnknownFields};
use crate::embedded::{EmbeddedOptions, EmbeddedPostgres};
use crate::http::{self, FeedRules, Feeds, Rules, Service};
use crate::notify::{self, Notifier};
use crate::rta;
use crate::services;
use crate::settings::{self, Settings, SocialSettings, SocialSource, SocketSettings};
use crate::social::{self, HttpOptions};
use crate::store::{Store, StoreError, StoreOptions, migrate};

/// How long an idle connection is kept: game clients come back every half minute or so.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How often it is compared with the database what sockets were told.
const RECONCILE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a write may be under way beside its statements: longer than what was loaded may be old when it is saved.
const STRAGGLE: Duration = Duration::from_secs(13);
/// How often the catalog is compared with the database.
const CATALOG_INTERVAL: Duration = Duration::from_secs(1);
/// How often partitions are made ahead, old ones dropped, and expired handles removed.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_mins(10);
/// How long the lease of the development clock lasts, and how often it is renewed.
const LEASE: TimeDelta = TimeDelta::seconds(5);
const LEASE_INTERVAL: Duration = Duration::from_secs(1);
/// How many searches run at a time where connections abound.
const SEARCHES_MAX: usize = 6;
/// The most connections of the private server: the pool, and room for people with psql.
const SPARE_CONNECTIONS: u32 = 20;

/// What a service is made of once it has a database.
pub struct Parts {
    /// The database, migrated.
    pub store: Store,
    /// Both clocks.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    /// Who callers are.
    pub verifier: Verifier,
    /// Where it is known who follows and blocks whom.
    pub social: social::Source,
    /// How the directory works.
    pub options: directory::Options,
    /// What the installation decides about requests.
    pub rules: Rules,
    /// And about sockets.
    pub sockets: rta::Options,
    /// Where requests come in; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// How long running requests may take at shutdown.
    pub shutdown: Duration,
    /// How often it is compared with the database what sockets were told.
    pub reconcile: Duration,
    /// Whether no other instance can be on the database.
    pub alone: bool,
    /// After which time a write has certainly been committed, or has failed.
    pub straggle: Duration,
}

/// A service that answers requests.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The use cases.
    pub directory: Arc<Directory>,
    /// Who listens to what.
    pub notifier: Notifier,
    /// Says to what never ends by itself that the service ends.
    ending: watch::Sender<bool>,
    server: ServerHandle,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Parts {
    /// Starts answering requests. Must be called inside the runtime that the directory shall live in.
    ///
    /// # Errors
    /// When the catalog cannot be loaded or the address is taken.
    pub async fn start(self) -> anyhow::Result<Running> {
        let social = social::open(self.social, &self.store, &self.clock).context("social.url is no URL")?;
        let ending = watch::Sender::new(false);
        let directory = Arc::new(Directory::start(self.store, self.clock.clone(), self.ids, self.options));
        directory.ready().await.context("failed to load the service configs")?;
        let listener = TcpListener::bind(self.listen).with_context(|| format!("failed to listen on {}", self.listen))?;
        let address = listener.local_addr()?;
        // Accepted connections inherit it: a client that takes nothing must not hold a connection for ever, however alive it is.
        let stall = Some(self.sockets.idle);
        SockRef::from(&listener).set_tcp_user_timeout(stall).context("failed to bound how long clients may stall")?;
        let notify =
            notify::Options { reconcile: self.reconcile, place: place(address), alone: self.alone, straggle: self.straggle };
        let notifier = Notifier::start(&directory, notify).await.context("failed to join other instances")?;
        let service = web::Data::new(Service {
            directory: Arc::clone(&directory),
            verifier: self.verifier,
            social,
            clock: self.clock,
            runtime: Handle::current(),
            hub: Arc::clone(notifier.hub()),
            feeds: Feeds::new(&self.rules.feeds, ending.subscribe()),
            rules: self.rules,
            sockets: self.sockets,
        });
        let mut server = HttpServer::new(move || App::new().app_data(service.clone()).configure(http::configure))
            .disable_signals()
            .backlog(4096)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(self.shutdown.as_secs().max(1));
        if self.workers > 0 {
            server = server.workers(self.workers);
        }
        let server = server.listen(listener)?.run();
        let handle = server.handle();
        Ok(Running { address, directory, notifier, ending, server: handle, served: tokio::spawn(server) })
    }
}

impl Running {
    /// Stops accepting, closes sockets and feeds, lets running requests finish, and closes the pool.
    pub async fn stop(self) {
        self.ending.send_replace(true);
        self.notifier.hub().close_all();
        self.server.stop(true).await;
        if let Ok(Err(error)) = self.served.await {
            error!(%error, "the server did not end well");
        }
        self.notifier.stop().await;
        self.directory.store().close().await;
    }
}

/// Runs the service until it is asked to end (SIGTERM, SIGINT).
///
/// # Errors
/// Whatever keeps it from starting, in words for the operator.
pub async fn serve(settings: Settings, dev: bool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let outside = settings.database.url.as_ref().map(|url| url.expose_secret().to_owned());
    let situation = Situation { dev, outside_database: outside.is_some(), listen: settings.server.listen };
    let keys = KeySet::open(&settings.auth.keys, &settings.embedded.data_dir, &situation)?;
    if keys.is_generated() {
        warn!("tokens are signed with a generated key, good for development: list your own public keys in auth.keys");
    }
    let private = match outside {
        None => {
            Some(EmbeddedPostgres::start(embedded_options(&settings)).await.context("failed to start the private PostgreSQL")?)
        }
        Some(_) => None,
    };
    let url = outside.unwrap_or_else(|| private.as_ref().map(|private| private.connection().url()).unwrap_or_default());
    let served = tokio::select! {
        served = serve_on(&url, &settings, dev, keys, private.is_some()) => served,
        _ = terminate.recv() => Ok(None),
        _ = interrupt.recv() => Ok(None),
    };
    let ended = match served {
        Ok(Some((mut running, mut chores))) => {
            let mut ended = Ok(());
            let failed = || anyhow::anyhow!("a part of the service has failed: the log says which");
            tokio::select! {
                _ = terminate.recv() => info!("asked to end (SIGTERM)"),
                _ = interrupt.recv() => info!("asked to end (SIGINT)"),
                Some(chore) = chores.join_next() => {
                    error!(?chore, "a chore of the service ended by itself");
                    ended = Err(failed());
                }
                () = running.notifier.failed() => {
                    ended = Err(failed());
                }
            }
            chores.shutdown().await;
            running.stop().await;
            ended
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Some(private) = private {
        private.stop().await;
    }
    info!("ended");
    ended
}

/// Brings the service up on a database that is there.
async fn serve_on(
    url: &str,
    settings: &Settings,
    dev: bool,
    keys: KeySet,
    private: bool,
) -> anyhow::Result<Option<(Running, JoinSet<()>)>> {
    let migrate_url = settings.database.migrate_url.as_ref().map_or(url, |url| url.expose_secret());
    let applied = migrate::migrate(migrate_url).await.context("failed to bring the database up to date")?;
    if !applied.is_empty() {
        info!("brought the schema up to date: {}", applied.join(", "));
    }
    let connect = PgConnectOptions::from_str(url).context("database.url is no PostgreSQL URL")?;
    let store = Store::connect(StoreOptions {
        connect,
        pool_max: settings.database.pool_max,
        statement_timeout: Duration::from_millis(settings.database.statement_timeout_ms),
        acquire_timeout: Duration::from_millis(settings.database.acquire_timeout_ms),
    })
    .await
    .context("failed to connect to the database")?;
    let (clock, ids) = (Clock::system(), Ids::random());
    if !private {
        follow_clock(&store, &clock).await.context("failed to compare clocks with the database")?;
    }
    if let Err(error) = store.ensure_partitions(clock.now()).await {
        warn!(%error, "failed to make partitions of the change log ahead: its default partition takes what comes until they are made");
    }
    let instance = ids.uuid();
    if dev {
        take_dev_lease(&store, &clock, instance, private).await?;
    }
    let imported = services::import(&store, &settings.services.directory).await;
    imported.with_context(|| format!("failed to import the service configs of {}", settings.services.directory.display()))?;

    let rules = TokenRules {
        issuer: settings.auth.issuer.clone(),
        audience: settings.auth.audience.clone(),
        leeway: TimeDelta::seconds(settings.auth.leeway_s.into()),
    };
    let parts = Parts {
        store: store.clone(),
        clock: clock.clone(),
        ids,
        verifier: Verifier::new(keys, rules, settings.auth.cache_bytes),
        social: social_source(&settings.social),
        options: directory_options(settings),
        rules: Rules {
            body_bytes: settings.limits.request_body_bytes,
            import_bytes: settings.limits.import_bytes,
            json_depth: settings.limits.json_depth,
            banned: settings.access.banned_xuids.clone(),
            feeds: FeedRules {
                open_max: settings.feeds.open_max,
                per_caller_max: settings.feeds.per_caller_max,
                poll: Duration::from_millis(settings.feeds.poll_ms),
                heartbeat: Duration::from_millis(settings.feeds.heartbeat_ms),
                lifetime: Duration::from_secs(settings.feeds.lifetime_s),
            },
            dev,
        },
        sockets: socket_options(&settings.sockets),
        listen: settings.server.listen,
        workers: settings.server.workers,
        shutdown: Duration::from_millis(settings.server.shutdown_ms),
        reconcile: RECONCILE_INTERVAL,
        alone: private,
        straggle: STRAGGLE + Duration::from_millis(settings.database.statement_timeout_ms + settings.database.acquire_timeout_ms),
    };
    let running = parts.start().await?;
    let chores = start_chores(&running.directory, settings, dev.then_some(instance));
    info!("openmpsd {} listens on http://{}", env!("CARGO_PKG_VERSION"), running.address);
    Ok(Some((running, chores)))
}

/// What only one process at a time can hold: its listening address in the network of a running machine. A process that finds itself
/// there knows that whoever was there before is gone.
fn place(address: SocketAddr) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let network = std::fs::read_link("/proc/self/ns/net").ok()?;
    Some(format!("{}/{}/{address}", boot.trim(), network.display()))
}

fn embedded_options(settings: &Settings) -> EmbeddedOptions {
    EmbeddedOptions {
        data_dir: settings.embedded.data_dir.clone(),
        binaries: settings.embedded.binaries.clone(),
        durable: true,
        max_connections: settings.database.pool_max + SPARE_CONNECTIONS,
        extra: vec![("shared_buffers".to_owned(), format!("{}MB", settings.embedded.shared_buffers_mb))],
    }
}

fn social_source(settings: &SocialSettings) -> social::Source {
    match settings.source {
        SocialSource::Table => social::Source::Table,
        SocialSource::Http => social::Source::Http(HttpOptions {
            url: settings.url.clone().unwrap_or_default(),
            bearer: settings.bearer.clone(),
            timeout: Duration::from_millis(settings.timeout_ms),
            cache: TimeDelta::seconds(settings.cache_s.into()),
        }),
    }
}

fn socket_options(settings: &SocketSettings) -> rta::Options {
    let ping_interval = Duration::from_millis(settings.ping_interval_ms);
    rta::Options {
        tick: rta::tick(ping_interval),
        ping_interval,
        idle: Duration::from_millis(settings.idle_ms),
        lifetime: Duration::from_secs(settings.lifetime_s),
        subscriptions_max: settings.subscriptions_max,
        frame_bytes: settings.frame_bytes,
        send_timeout: Duration::from_millis(settings.send_timeout_ms),
    }
}

fn directory_options(settings: &Settings) -> directory::Options {
    let limits = &settings.limits;
    directory::Options {
        limits: Limits {
            session_custom_bytes: limits.session_custom_bytes,
            member_custom_bytes: limits.member_custom_bytes,
            session_bytes: limits.session_bytes,
            array_entries: limits.system_array_entries,
            change_types: limits.change_types,
            keywords: limits.keywords,
            unknown_fields: match settings.sessions.unknown_system_fields {
                settings::UnknownFields::Reject => UnknownFields::Reject,
                settings::UnknownFields::Ignore => UnknownFields::Ignore,
            },
            weak_device_types: settings.access.weak_device_types.clone(),
            invite: TimeDelta::seconds(settings.handles.invite_ttl_s.into()),
            grace: TimeDelta::milliseconds(settings.timers.grace_ms.into()),
            unbound_activity: TimeDelta::seconds(settings.handles.unbound_activity_ttl_s.into()),
        },
        everybody_follows: settings.social.everybody_follows_everybody,
        search_rows: settings.search.rows_max.into(),
        searches: (settings.database.pool_max as usize / 2).min(SEARCHES_MAX),
        gatherers: directory::GATHERERS,
        queue_per_session: settings.queues.per_session,
        queue_total: settings.queues.total,
    }
}

/// Takes over the database's time, which all instances on it share; a large distance is told.
async fn follow_clock(store: &Store, clock: &Clock) -> Result<(), StoreError> {
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
async fn take_dev_lease(store: &Store, clock: &Clock, instance: Uuid, private: bool) -> anyhow::Result<()> {
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

/// Starts what has to be done again and again. A chore that fails is logged and tried again.
fn start_chores(directory: &Arc<Directory>, settings: &Settings, dev: Option<Uuid>) -> JoinSet<()> {
    let mut chores = JoinSet::new();
    let sweep = Duration::from_millis(settings.timers.sweep_interval_ms);
    chores.spawn(repeat("sweep due timers", sweep, Arc::clone(directory), async |directory| directory.sweep().await.map(drop)));
    chores.spawn(repeat("reload the service configs", CATALOG_INTERVAL, Arc::clone(directory), async |directory| {
        directory.refresh_catalog().await
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
