//! Filling a database: the service's own directory is told, in this process, what owners and members would tell it over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use futures_util::StreamExt as _;
use futures_util::future::{OptionFuture, join_all, join3};
use futures_util::stream;
use openmpsd::ambient::{Clock, Ids};
use openmpsd::directory::{Directory, Options, WriteRequest};
use openmpsd::domain::access::Pass;
use openmpsd::domain::command::{Preconditions, Tags, Target, Write};
use openmpsd::domain::decide::Outcome;
use openmpsd::domain::handle::Include;
use openmpsd::domain::limits::Limits;
use openmpsd::domain::principal::Principal;
use openmpsd::domain::template::{Form, Template};
use openmpsd::store::{Store, StoreOptions};
use openmpsd::wire::{handle_request, request};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};

use super::{Sizes, TEMPLATE, body, keywords, members, owner, reference, user};

/// How many sessions are on their way at a time: each of the gatherers has a full batch under way and another one waiting.
const AHEAD: usize = 512;
/// How many tasks gather writes.
const GATHERERS: usize = 4;
/// How deep JSON may be.
const DEPTH: usize = 32;
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);

/// Adds the sessions from number `from` on until there are `sizes.sessions`, and tidies up. The database is one that a service was
/// started on with `bench/services`.
///
/// # Errors
/// When the sizes do not go together, the database cannot be reached or lacks the service config, or one of the sessions is there.
pub async fn fill(connect: PgConnectOptions, sizes: &Sizes, from: u32) -> anyhow::Result<()> {
    sizes.check().map_err(anyhow::Error::msg)?;
    let store = Store::connect(StoreOptions {
        // What is filled in is durable by the checkpoint at the end.
        connect: connect.clone().options([("synchronous_commit", "off")]),
        pool_max: u32::try_from(GATHERERS)? + 1,
        statement_timeout: Duration::from_mins(1),
        acquire_timeout: Duration::from_mins(1),
    })
    .await
    .context("failed to connect to the database to fill")?;
    let filler = Filler::start(&store).await?;
    if from < sizes.sessions {
        filler.check_lacks(from).await?;
    }
    let begun = Instant::now();
    let (mut done, mut told) = (0u32, begun);
    let all = sizes.sessions.saturating_sub(from);
    let mut sessions = stream::iter(from..sizes.sessions).map(|n| filler.session(sizes, n)).buffer_unordered(AHEAD);
    while let Some(made) = sessions.next().await {
        made?;
        done += 1;
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            tell(done, all, begun);
        }
    }
    drop(sessions);
    tell(done, all, begun);
    store.close().await;
    tidy(&connect).await
}

/// Brings the tables into the state that they have after a quiet night: no dead rows, known statistics, nothing left to be written.
async fn tidy(connect: &PgConnectOptions) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut connection = PgConnection::connect_with(connect).await.context("failed to connect to the database to tidy up")?;
    for statement in ["vacuum (analyze)", "checkpoint"] {
        connection
            .execute(statement)
            .await
            .with_context(|| format!("failed to run {statement}: fill the database as a superuser"))?;
    }
    connection.close().await?;
    eprintln!("data set: vacuumed, analyzed and checkpointed in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn tell(done: u32, all: u32, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("data set: {done} of {all} sessions after {seconds:.1} s, {:.0}/s", f64::from(done) / seconds);
}

/// The directory that is told to make sessions.
struct Filler {
    directory: Directory,
    template: Arc<Template>,
}

impl Filler {
    async fn start(store: &Store) -> anyhow::Result<Self> {
        let options = Options {
            // Housekeeping looks again and again at activities that are older than this, although they live on with their sessions.
            limits: Limits { unbound_activity: TimeDelta::days(10), ..Limits::default() },
            everybody_follows: false,
            search_rows: 40_000,
            searches: 1,
            gatherers: GATHERERS,
            queue_per_session: usize::from(u8::MAX),
            queue_total: usize::MAX,
            memory_bytes: 0,
            metrics: Arc::default(),
        };
        let directory = Directory::start(store.clone(), Clock::system(), Ids::random(), options);
        directory.ready().await.context("failed to load the service configs")?;
        let anybody = Principal::User(user(owner(0)));
        let service = directory.catalog().service(&reference(0).scid, &anybody);
        let template = service.and_then(|service| service.template(TEMPLATE).cloned());
        let template =
            template.context("failed to find the data set's template: start the service with --services bench/services")?;
        Ok(Self { directory, template })
    }

    /// Makes sure that session `n` is not there: members would join what somebody else has made.
    async fn check_lacks(&self, n: u32) -> anyhow::Result<()> {
        let owner = Arc::new(Principal::User(user(owner(n))));
        let found = self.directory.read(&reference(n), &owner).await?;
        ensure!(
            found.is_none(),
            "session {n} is there already: fill a new database, or go on from the first number that it lacks"
        );
        Ok(())
    }

    /// Makes session `n` as its members would, all at once: the directory decides them in this order, mostly in one round.
    async fn session(&self, sizes: &Sizes, n: u32) -> anyhow::Result<()> {
        let writes = (0u32..).zip(members(sizes, n)).map(|(k, xuid)| async move {
            match k {
                0 => self.put(n, xuid, body::creation(n, &[], &keywords(sizes, n)), Outcome::Created).await,
                _ => self.put(n, xuid, body::joining(n, k), Outcome::Updated).await,
            }
        });
        let post = |wanted: bool, body: fn(u32) -> String| OptionFuture::from(wanted.then(|| self.post(n, body(n))));
        let (written, shown, found) =
            join3(join_all(writes), post(sizes.is_activity(n), body::activity), post(sizes.is_listed(n), body::listing)).await;
        let outcomes = written.into_iter().chain(shown).chain(found);
        outcomes.collect::<anyhow::Result<()>>().with_context(|| format!("failed to make session {n}"))
    }

    /// Writes session `n` as a user, who creates it only where it is missing.
    async fn put(&self, n: u32, xuid: u64, body: String, expected: Outcome) -> anyhow::Result<()> {
        let if_none_match = (expected == Outcome::Created).then_some(Tags::Any);
        let write = Write {
            delta: request::read_delta(body.as_bytes(), DEPTH)?,
            preconditions: Preconditions { if_none_match, ..Preconditions::default() },
            target: Target::Session,
            form: Form::New,
        };
        let request = WriteRequest {
            reference: reference(n),
            template: Arc::clone(&self.template),
            principal: Arc::new(Principal::User(user(xuid))),
            write,
            nocommit: false,
            pass: Pass::Nothing,
        };
        let outcome = self.directory.write(request).await?.outcome;
        ensure!(outcome == expected, "a write came to {outcome:?} instead of {expected:?}");
        Ok(())
    }

    /// Makes a handle of session `n` as its owner.
    async fn post(&self, n: u32, body: String) -> anyhow::Result<()> {
        let request = handle_request::read(body.as_bytes(), DEPTH)?;
        let principal = Arc::new(Principal::User(user(owner(n))));
        self.directory.create_handle(request, &principal, Include::default()).await?;
        Ok(())
    }
}
