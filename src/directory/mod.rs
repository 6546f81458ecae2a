//! The use cases: load, decide, save, answer.
//!
//! A read is one gathered statement; a write is a command in a queue, decided together with whatever else waits for the same
//! session and committed together with whatever else is ready (`writer`). Whoever calls gets plain values back: documents as text,
//! outcomes, refusals with the session they may show. Gathering runs in tasks of its own, so a caller that goes away changes
//! nothing.
//!
//! What is *not* here: HTTP, sockets, SQL, and rules about sessions.

mod activities;
mod administration;
mod announce;
mod bans;
pub mod catalog;
mod error;
pub mod feed;
mod gather;
mod group;
mod handles;
mod memory;
mod plan;
mod queries;
mod queue;
mod reader;
mod search;
mod sessions;
mod social;
mod sweeper;
#[cfg(test)]
pub(crate) mod tests;
mod tickets;
mod unreadable;
mod writer;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{OnceCell, mpsc};
use uuid::Uuid;

use crate::ambient::{Clock, Ids};
use crate::domain::decide::Outcome;
use crate::domain::limits::Limits;
use crate::domain::names::ETag;
use crate::domain::principal::{Principal, ServerFor};
use crate::metrics::Metrics;
use crate::store::rows::AccessFacts;
use crate::store::{FactsAsk, NonceDigest, Store, StoreError};

pub use administration::{Deed, Unaudited};
use announce::Outlet;
pub use announce::{Announcement, Told};
pub use bans::Bans;
pub use error::DirectoryError;
pub(crate) use gather::Gather;
pub use queries::Found;
pub use reader::Reader;
pub use search::FoundListings;
pub use sessions::WriteRequest;
pub use social::ExportKey;
use writer::Writer;

/// How many tasks gather writes: enough to keep the database busy, few enough for batches to form.
pub const GATHERERS: usize = 2;

/// How the directory works; plain values from the settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bounds of documents.
    pub limits: Limits,
    /// Everybody counts as following everybody.
    pub everybody_follows: bool,
    /// How many sessions one search may look at.
    pub search_rows: i64,
    /// How many searches run at a time: they take longer than anything else, and the connections are needed for writes.
    pub searches: usize,
    /// How many tasks gather writes.
    pub gatherers: usize,
    /// How many writes may wait for one session.
    pub queue_per_session: usize,
    /// How many writes may wait in all.
    pub queue_total: usize,
    /// How many bytes may be used for remembering sessions that were just written.
    pub memory_bytes: usize,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
}

/// A session's document, ready to be sent.
#[derive(Debug, Clone)]
pub struct Document {
    /// The path-only form of its reference.
    pub location: String,
    /// Its strong validator (W-40).
    pub etag: ETag,
    /// When its next timer is due.
    pub next_timer_at: Option<DateTime<Utc>>,
    /// The 107 rendering, shared by all who are answered with it.
    pub body: Arc<String>,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub struct Written {
    /// What happened.
    pub outcome: Outcome,
    /// The session afterwards, if there is one.
    pub document: Option<Document>,
    /// The tag of what is stored: of the document, or, after a write that only asked what would happen, of what is still there.
    pub etag: Option<ETag>,
    /// Whether a member that the request names by its index is not there afterwards; the document of a large session does not tell.
    pub lacks_named: bool,
}

/// The directory: one per process, shared by all that serve requests.
pub struct Directory {
    store: Store,
    clock: Clock,
    ids: Ids,
    options: Arc<Options>,
    catalog: Arc<catalog::Catalog>,
    bans: Bans,
    reader: Reader,
    doorkeeper: Gather<FactsAsk, AccessFacts>,
    prober: Gather<Uuid, Option<(Uuid, i64)>>,
    ticketer: Gather<(NonceDigest, DateTime<Utc>), Option<String>>,
    writer: Writer,
    outlet: Outlet,
    sweeping: tokio::sync::Mutex<()>,
    searching: tokio::sync::Semaphore,
    /// Whoever reads all members of a large session.
    inspecting: tokio::sync::Semaphore,
    started: OnceCell<()>,
}

impl Directory {
    /// Starts the gathering tasks. Must be called inside the runtime that they shall live in.
    #[must_use]
    pub fn start(store: Store, clock: Clock, ids: Ids, options: Options) -> Self {
        let options = Arc::new(options);
        let searches = options.searches.max(1);
        let outlet = Outlet::default();
        let facts = store.clone();
        let doorkeeper = Gather::start(move |asks: Vec<FactsAsk>| {
            let store = facts.clone();
            async move { store.access_facts(&asks).await }
        });
        let states = store.clone();
        let prober = Gather::start(move |sids: Vec<Uuid>| {
            let store = states.clone();
            async move { store.probe_sessions(&sids).await }
        });
        let tickets = store.clone();
        let ticketer = Gather::start(move |asks: Vec<(NonceDigest, DateTime<Utc>)>| {
            let store = tickets.clone();
            async move { store.take_nonces(&asks).await }
        });
        Self {
            doorkeeper,
            prober,
            ticketer,
            reader: Reader::start(&store, &clock, &options.metrics),
            writer: Writer::start(&store, &clock, &ids, &options, &outlet),
            outlet,
            catalog: Arc::default(),
            bans: Bans::default(),
            sweeping: tokio::sync::Mutex::default(),
            searching: tokio::sync::Semaphore::new(searches),
            inspecting: tokio::sync::Semaphore::new(1),
            started: OnceCell::new(),
            store,
            clock,
            ids,
            options,
        }
    }

    /// Reads for one thread, gathered and answered on it: what is asked there is answered without waking another. They take so many
    /// connections beside those of the store. Must be called inside that thread's runtime.
    #[must_use]
    pub fn reader(&self, connections: u32) -> Reader {
        Reader::start(&self.store.here(connections), &self.clock, self.metrics())
    }

    /// The reads of all threads that have no reader of their own.
    #[must_use]
    pub fn shared_reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Loads the catalog and the bans for the first time; later calls of `refresh_catalog` and `refresh_bans` keep them current.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let start = async || {
            self.refresh_bans().await?;
            self.catalog.refresh(&self.store).await
        };
        self.started.get_or_try_init(start).await.map(drop)
    }

    /// Takes over service configs and templates that were published since (checked each second).
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn refresh_catalog(&self) -> Result<(), StoreError> {
        self.catalog.refresh(&self.store).await
    }

    /// The service configs and templates.
    #[must_use]
    pub fn catalog(&self) -> &catalog::Catalog {
        &self.catalog
    }

    /// The store, for administration and checks.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Lets somebody hear of everything that is committed from now on; `None` if somebody does already.
    #[must_use]
    pub fn announcements(&self) -> Option<mpsc::UnboundedReceiver<Announcement>> {
        self.outlet.connect()
    }

    /// Where it is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.options.metrics
    }

    /// How many writes wait or are under way.
    #[must_use]
    pub fn writes_waiting(&self) -> usize {
        self.writer.waiting()
    }

    /// Where ids come from.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The service's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// The actor of a change, as the log names it: `xuid:1`, `svc:name`.
#[must_use]
pub fn actor(principal: &Principal) -> String {
    match principal {
        Principal::User(user) => format!("xuid:{}", user.xuid),
        Principal::Server(server) | Principal::ServerFor(ServerFor { server, .. }) => format!("svc:{}", server.name),
        Principal::Admin { name } => format!("admin:{name}"),
    }
}
