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
use crate::http::{FeedRules, Patience, Rules};
use crate::services;
use crate::settings::{LogFormat, Settings};
use crate::store::{Store, StoreOptions, migrate};

use banner::Banner;
use chores::start_chores;
pub use chores::{House, take_statistics};
use clocks::{follow_clock, take_dev_lease};
use options::{directory_options, embedded_options, social_source, socket_options, throttle_rules};
pub use parts::{Parts, Running};
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
    let outside = settings.database.url.as_ref().map(|url| url.expose_secret().to_owned());
    let situation = Situation { dev, outside_database: outside.is_some(), listen: settings.server.listen };
    let keys = KeySet::open(&settings.auth.keys, &settings.embedded.data_dir, &situation)?;
    let private = match outside {
        None => {
            Some(EmbeddedPostgres::start(embedded_options(&settings)).await.context("failed to start the private PostgreSQL")?)
        }
        Some(_) => None,
    };
    let url = outside.unwrap_or_else(|| private.as_ref().map(|private| private.connection().url()).unwrap_or_default());
    let served = tokio::select! {
        served = serve_on(&url, &settings, sources, dev, keys, private.is_some()) => served,
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
    sources: String,
    dev: bool,
    keys: KeySet,
    private: bool,
) -> anyhow::Result<Option<(Running, JoinSet<()>)>> {
    let migrate_url = settings.database.migrate_url.as_ref().map_or(url, |url| url.expose_secret());
    let applied = migrate::migrate(migrate_url).await.context("failed to bring the database up to date")?;
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
    let (server, vitals) = banner::ask(&store, clock.real()).await.context("failed to ask the database what it is")?;

    let tls = settings.server.tls_cert.clone().zip(settings.server.tls_key.clone());
    let certificate =
        tls.map(|(cert, key)| Certificate::open(TlsFiles { cert, key })).transpose().context("failed to prepare TLS")?;
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
            header_bytes: settings.limits.header_bytes,
            patience: Patience {
                request: Duration::from_millis(settings.server.request_timeout_ms),
                body: Duration::from_millis(settings.server.body_timeout_ms),
                slow: Duration::from_millis(settings.telemetry.slow_request_ms),
            },
            metrics_bearer: settings.telemetry.metrics_bearer.clone(),
            banned: settings.access.banned_xuids.clone(),
            feeds: FeedRules {
                open_max: settings.feeds.open_max,
                per_caller_max: settings.feeds.per_caller_max,
                poll: Duration::from_millis(settings.feeds.poll_ms),
                heartbeat: Duration::from_millis(settings.feeds.heartbeat_ms),
                lifetime: Duration::from_secs(settings.feeds.lifetime_s),
            },
            throttle: throttle_rules(&settings.throttle),
            dev,
        },
        sockets: socket_options(&settings.sockets),
        listen: settings.server.listen,
        certificate: certificate.clone(),
        workers: settings.server.workers,
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
    let mut chores = start_chores(&running.directory, settings, dev.then_some(instance));
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
    Ok(Some((running, chores)))
}
