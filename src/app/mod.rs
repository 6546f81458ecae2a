//! The composition root: from settings to a running service, and down again.
//!
//! `Parts` puts the rooms together over a database that is there; `serve` gets that database first, be it an outside one or the
//! private one, and keeps the chores going: the sweeper, the catalog, partitions, the lease of the development clock.

mod banner;
mod chores;
mod clocks;
mod options;
mod parts;
mod tls;
mod warnings;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::ambient::{Clock, Ids};
use crate::auth::{KeySet, Rules as TokenRules, Situation, Verifier};
use crate::embedded::EmbeddedPostgres;
use crate::services;
use crate::settings::{LogFormat, Settings};
use crate::store::{Store, StoreOptions, migrate};

use banner::Banner;
use chores::start_chores;
pub use chores::{House, take_statistics};
use clocks::{follow_clock, take_dev_lease};
use options::{directory_options, embedded_options, request_rules, social_source, socket_options};
pub use parts::{Parts, Running, Seat};
pub use tls::{Certificate, TlsError, TlsFiles};
pub use warnings::{Warning, warnings};

/// How often it is compared with the database what sockets were told.
const RECONCILE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a write may be under way beside its statements: longer than what was loaded may be old when it is saved.
const STRAGGLE: Duration = Duration::from_secs(13);

/// Runs the service until it is asked to end (SIGTERM, SIGINT). `sources` says what the settings are made of.
///
/// # Errors
/// Whatever keeps it from starting, in words for the operator.
pub async fn serve(settings: Settings, sources: String, dev: bool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let prepared = Prepared::new(&settings, dev)?;
    let mut private = None;
    let served = tokio::select! {
        served = start(&mut private, &settings, sources, prepared) => served.map(Some),
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
            // Whoever is still answered is owed what the chores do: timers, new templates, the clock.
            running.drain().await;
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

/// What is made sure of before any database is touched.
struct Prepared {
    dev: bool,
    situation: Situation,
    /// The configured keys; the generated one comes with the data directory.
    keys: Option<KeySet>,
    certificate: Option<Arc<Certificate>>,
    seat: Seat,
}

impl Prepared {
    fn new(settings: &Settings, dev: bool) -> anyhow::Result<Self> {
        let Settings { server, auth, .. } = settings;
        let situation = Situation { dev, outside_database: settings.database.url.is_some(), listen: server.listen };
        situation.check(auth.keys.is_empty())?;
        let keys = if auth.keys.is_empty() { None } else { Some(KeySet::load(&auth.keys)?) };
        let tls = server.tls_cert.clone().zip(server.tls_key.clone());
        let certificate =
            tls.map(|(cert, key)| Certificate::open(TlsFiles { cert, key })).transpose().context("failed to prepare TLS")?;
        Ok(Self { dev, situation, keys, certificate, seat: Seat::take(server.listen)? })
    }
}

/// Gets the database and brings the service up on it. The private one stands in `private` from then on, whatever comes after.
async fn start(
    private: &mut Option<EmbeddedPostgres>,
    settings: &Settings,
    sources: String,
    mut prepared: Prepared,
) -> anyhow::Result<(Running, JoinSet<()>)> {
    let url = if let Some(url) = &settings.database.url {
        url.expose_secret().to_owned()
    } else {
        let started = EmbeddedPostgres::start(embedded_options(settings)).await;
        private.insert(started.context("failed to start the private PostgreSQL")?).connection().url()
    };
    // Only now: with a private database its lock on the data directory is ours, and nobody else is putting another key there.
    let keys = match prepared.keys.take() {
        Some(keys) => keys,
        None => KeySet::open(&settings.auth.keys, &settings.embedded.data_dir, &prepared.situation)?,
    };
    serve_on(&url, settings, sources, keys, prepared).await
}

/// Brings the database up to date and opens it. Returns the migrations that were applied, too.
async fn open_store(url: &str, settings: &Settings) -> anyhow::Result<(Store, Vec<String>)> {
    let migrate_url = settings.database.migrate_url.as_ref().map_or(url, |url| url.expose_secret());
    let applied = migrate::migrate(migrate_url).await.context("failed to bring the database up to date")?;
    let connect = PgConnectOptions::from_str(url).context("database.url is no PostgreSQL URL")?;
    let store = Store::connect(StoreOptions {
        connect,
        pool_max: options::shared_connections(settings),
        statement_timeout: Duration::from_millis(settings.database.statement_timeout_ms),
        acquire_timeout: Duration::from_millis(settings.database.acquire_timeout_ms),
    })
    .await
    .context("failed to connect to the database")?;
    Ok((store, applied))
}

/// Brings the service up on a database that is there.
async fn serve_on(
    url: &str,
    settings: &Settings,
    sources: String,
    keys: KeySet,
    prepared: Prepared,
) -> anyhow::Result<(Running, JoinSet<()>)> {
    let Prepared { dev, situation, certificate, seat, .. } = prepared;
    let private = !situation.outside_database;
    let (store, applied) = open_store(url, settings).await?;
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
    let (server, vitals) = banner::ask(&store, clock.real()).await.context("failed to ask the database what it is")?;

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
        rules: request_rules(settings, dev),
        sockets: socket_options(&settings.sockets),
        seat,
        certificate: certificate.clone(),
        workers: settings.server.workers,
        readers: options::readers(settings),
        queries_each: options::queries_each(settings),
        drain: Duration::from_millis(settings.server.drain_ms),
        shutdown: Duration::from_millis(settings.server.shutdown_ms),
        head_timeout: Duration::from_millis(settings.server.head_timeout_ms),
        keep_alive: Duration::from_millis(settings.server.keep_alive_ms),
        reconcile: RECONCILE_INTERVAL,
        alone: private,
        straggle: STRAGGLE + Duration::from_millis(settings.database.statement_timeout_ms + settings.database.acquire_timeout_ms),
    };
    let running = parts.start().await?;
    let tls = certificate.is_some();
    let mut chores = start_chores(&running.directory, settings, private, dev.then_some(instance));
    if let Some(certificate) = certificate {
        chores.spawn(certificate.keep_fresh());
    }
    let banner = Banner {
        sources,
        database: banner::place(url, private.then_some(settings.embedded.data_dir.as_path())),
        server,
        applied,
        vitals,
        services: settings.services.directory.display().to_string(),
        address: running.address,
        tls,
    };
    banner.show(settings.telemetry.format);
    for Warning { key, says } in warnings(settings, dev) {
        match settings.telemetry.format {
            LogFormat::Pretty => warn!("{key}: {says}"),
            LogFormat::Json => warn!(key, "{says}"),
        }
    }
    let scheme = if tls { "https" } else { "http" };
    info!("openmpsd {} listens on {scheme}://{}", env!("CARGO_PKG_VERSION"), running.address);
    Ok((running, chores))
}
