//! An endpoint of the operator's that is asked about each user: `GET {url}/{xuid}` (docs/social.md).
//!
//! An answer is good for a while, a failure for a short one. Whoever asks about a user who is being asked about waits for that answer.
//! Only so many calls are under way at a time, and only one answer is written: neither the endpoint nor the database, which has other
//! things to do, is ever asked by everybody at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use reqwest::header::ACCEPT;
use reqwest::{Client, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::Social;
use crate::ambient::Clock;
use crate::domain::names::Xuid;
use crate::domain::refusal::Refusal;
use crate::store::{Neighbourhood, Store, StoreError};
use crate::wire::social::{Neighbours, read_neighbours};

/// The largest answer, in bytes.
const ANSWER_MAX: usize = 1 << 20;
/// How long a failure is good at most.
const FAILURE_MAX: TimeDelta = TimeDelta::seconds(5);
/// How many answers are written through at a time. Most change nothing and are only compared; of those that do one waits for the other.
const WRITES_MAX: usize = 3;
/// After which time without failures the endpoint counts as working, even if nobody who failed was asked about again.
const QUIET: TimeDelta = TimeDelta::minutes(1);
/// Of how many users it is remembered when they were asked about.
const USERS_MAX: usize = 100_000;
/// Of how many it still is after room was made, so that it is not made for each new one.
const USERS_KEPT: usize = USERS_MAX / 10 * 9;
/// How many calls are under way at a time.
const CALLS_MAX: usize = 32;
/// How long a request waits until an answer is written, before it goes on without.
const WRITE_MAX: Duration = Duration::from_secs(2);

/// How the endpoint is asked.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// What a user's xuid is appended to, behind a slash. It may hold a password and is not shown.
    pub url: SecretString,
    /// A bearer token to send along.
    pub bearer: Option<SecretString>,
    /// How long a call may take in all.
    pub timeout: Duration,
    /// How long an answer is good.
    pub cache: TimeDelta,
}

/// The endpoint's URL is none; it may hold a password and is not told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(String);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It took too long, the connection broke, or there was none.
    #[error("{0}")]
    Transport(String),
    /// Neither 200 nor 404.
    #[error("status {0}")]
    Status(u16),
    /// More than [`ANSWER_MAX`].
    #[error("the answer is larger than {ANSWER_MAX} bytes")]
    TooLarge,
    /// It is not what was agreed upon.
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] Refusal),
    /// Too many calls are under way, and have been for as long as a call may take.
    #[error("too many users are asked about at once")]
    Crowded,
    /// There is an answer, but it does not get into the tables.
    #[error("the answer cannot be written: {0}")]
    Unwritten(#[from] StoreError),
    /// The same, because it takes longer than [`WRITE_MAX`].
    #[error("the answer could not be written in time")]
    Late,
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Transport("no answer in time".to_owned());
        }
        // The words that matter stand in the causes.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Transport(text)
    }
}

/// What is known of one user.
#[derive(Debug, Clone, Copy)]
struct Known {
    learned: DateTime<Utc>,
    good_until: DateTime<Utc>,
    failed: bool,
}

/// One user. Whoever holds it asks; the others wait.
type Slot = Arc<tokio::sync::Mutex<Option<Known>>>;

/// The endpoint, and of whom it was asked when.
pub struct Endpoint(Arc<Inner>);

struct Inner {
    options: HttpOptions,
    /// The URL without a slash at its end.
    url: String,
    client: Client,
    store: Store,
    clock: Clock,
    calls: Semaphore,
    /// Held while an answer is written. Writers take turns in the database as well, but there each has a connection of the pool.
    writing: Arc<Semaphore>,
    users: Mutex<HashMap<Xuid, Slot>>,
    trouble: Mutex<Trouble>,
}

/// Whether the operator was told that the endpoint fails, and when it last did.
#[derive(Default)]
struct Trouble {
    told: bool,
    last: DateTime<Utc>,
}

impl Endpoint {
    /// Gets ready to ask; nothing is asked yet.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn open(options: HttpOptions, store: Store, clock: Clock) -> Result<Self, BadUrl> {
        let url = options.url.expose_secret().trim_end_matches('/').to_owned();
        Url::parse(&url).map_err(|error| BadUrl(error.to_string()))?;
        let client = Client::builder()
            .timeout(options.timeout)
            // The settings say where to ask; neither the answer nor the environment does.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("openmpsd/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| BadUrl(error.without_url().to_string()))?;
        Ok(Self(Arc::new(Inner {
            options,
            url,
            client,
            store,
            clock,
            calls: Semaphore::new(CALLS_MAX),
            writing: Arc::new(Semaphore::new(WRITES_MAX)),
            users: Mutex::default(),
            trouble: Mutex::default(),
        })))
    }
}

impl Social for Endpoint {
    fn refresh(&self, xuids: &[Xuid]) -> Option<BoxFuture<'static, ()>> {
        let now = self.0.clock.real();
        let is_good = |slot: &Slot| slot.try_lock().is_ok_and(|known| known.is_some_and(|known| now < known.good_until));
        let stale: Vec<(Xuid, Slot)> = {
            let mut users = self.0.users.lock().expect("nobody panics while holding the users");
            let slots = xuids.iter().map(|xuid| (*xuid, slot_of(&mut users, *xuid, now)));
            slots.filter(|(_, slot)| !is_good(slot)).collect()
        };
        if stale.is_empty() {
            return None;
        }
        let refresh = |(xuid, slot)| {
            let inner = Arc::clone(&self.0);
            async move { inner.refresh(xuid, slot).await }
        };
        let refreshed: Vec<_> = stale.into_iter().map(refresh).collect();
        Some(join_all(refreshed).map(drop).boxed())
    }

    fn is_administered(&self) -> bool {
        false
    }
}

/// The slot of a user, made if need be. When there are too many, those that are good no longer go, and if need be some of the others
/// that nobody uses: forgetting costs no more than asking again.
fn slot_of(users: &mut HashMap<Xuid, Slot>, xuid: Xuid, now: DateTime<Utc>) -> Slot {
    if users.len() >= USERS_MAX && !users.contains_key(&xuid) {
        let is_used = |slot: &Slot| Arc::strong_count(slot) > 1;
        users.retain(|_, slot| {
            is_used(slot) || slot.try_lock().is_ok_and(|known| known.is_some_and(|known| now < known.good_until))
        });
        let mut surplus = users.len().saturating_sub(USERS_KEPT);
        users.retain(|_, slot| {
            let goes = surplus > 0 && !is_used(slot);
            surplus -= usize::from(goes);
            !goes
        });
    }
    Arc::clone(users.entry(xuid).or_default())
}

impl Inner {
    /// Asks about a user and writes through what is said, unless somebody else has just done so.
    async fn refresh(&self, xuid: Xuid, slot: Slot) {
        let mut known = slot.lock().await;
        if known.is_some_and(|known| self.clock.real() < known.good_until) {
            return;
        }
        let failed_before = known.is_some_and(|known| known.failed);
        let (failed, good) = match self.learn(xuid).await {
            Ok(changed) => {
                self.store.trust_follows(xuid.0);
                debug!(principal.xuid = %xuid, changed, "the social source spoke about a user");
                self.tell_success(failed_before);
                (false, self.options.cache)
            }
            // The endpoint has not failed, there is a crowd here: what it said a moment ago is better than nothing.
            Err(failure @ (Failure::Crowded | Failure::Late)) if known.is_some_and(|known| self.was_good_lately(known)) => {
                self.tell_failure(xuid, &failure);
                let Some(known) = known.as_mut() else { return };
                known.good_until = self.clock.real() + self.options.cache.min(FAILURE_MAX);
                return;
            }
            Err(failure) => {
                // What the tables say was good once. They stay as they are, for the endpoint will probably say the same again.
                self.store.distrust_follows(xuid.0, self.clock.real());
                self.tell_failure(xuid, &failure);
                (true, self.options.cache.min(FAILURE_MAX))
            }
        };
        let learned = self.clock.real();
        *known = Some(Known { learned, good_until: learned + good, failed });
    }

    /// Whether what is known of a user was good until a while ago, no longer than it is good for.
    fn was_good_lately(&self, known: Known) -> bool {
        !known.failed && self.clock.real() < known.learned + self.options.cache * 2
    }

    /// Asks about a user and writes through what is said; returns how many edges changed.
    async fn learn(&self, xuid: Xuid) -> Result<i64, Failure> {
        let neighbours = {
            let turn = timeout(self.options.timeout, self.calls.acquire()).await;
            let _turn = turn.map_err(|_| Failure::Crowded)?.expect("nobody closes it");
            self.ask(xuid).await?
        };
        self.write(rows(xuid, &neighbours)).await
    }

    /// Writes with few others at a time, before anybody who comes later. What has begun is finished though nobody waits for it any more: a connection is
    /// not free before, and so no other is taken.
    async fn write(&self, around: Neighbourhood) -> Result<i64, Failure> {
        let deadline = Instant::now() + WRITE_MAX;
        let turn = timeout_at(deadline, Arc::clone(&self.writing).acquire_owned()).await;
        let turn = turn.map_err(|_| Failure::Late)?.expect("nobody closes it");
        let store = self.store.clone();
        let written = tokio::spawn(async move {
            let written = store.put_neighbours(&around).await;
            drop(turn);
            written
        });
        let written = timeout_at(deadline, written).await.map_err(|_| Failure::Late)?;
        // At the end of the service nothing is finished.
        Ok(written.map_err(|_| Failure::Late)??)
    }

    async fn ask(&self, xuid: Xuid) -> Result<Neighbours, Failure> {
        let mut call = self.client.get(format!("{}/{xuid}", self.url)).header(ACCEPT, "application/json");
        if let Some(bearer) = &self.options.bearer {
            call = call.bearer_auth(bearer.expose_secret());
        }
        let mut answer = call.send().await?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(Neighbours::default()),
            other => return Err(Failure::Status(other)),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(read_neighbours(xuid, &body)?)
    }

    /// Tells the operator that the endpoint fails, unless that is known.
    fn tell_failure(&self, xuid: Xuid, failure: &Failure) {
        let mut trouble = self.trouble.lock().expect("nobody panics while holding it");
        trouble.last = self.clock.real();
        if trouble.told {
            debug!(principal.xuid = %xuid, %failure, "the social source still fails");
        } else {
            trouble.told = true;
            warn!(
                principal.xuid = %xuid, %failure,
                "failed to ask the social source: whom it cannot tell about follows nobody and is followed by nobody"
            );
        }
    }

    /// Tells the operator that the endpoint works again, where it answers about a user it failed about, or has not failed for a while.
    fn tell_success(&self, failed_before: bool) {
        let mut trouble = self.trouble.lock().expect("nobody panics while holding it");
        if trouble.told && (failed_before || self.clock.real() - trouble.last > QUIET) {
            trouble.told = false;
            info!("the social source works again");
        }
    }
}

fn rows(xuid: Xuid, neighbours: &Neighbours) -> Neighbourhood {
    let list = |xuids: &std::collections::BTreeSet<Xuid>| xuids.iter().map(|xuid| xuid.0).collect();
    Neighbourhood {
        xuid: xuid.0,
        follows: neighbours.follows.iter().map(|(xuid, favorite)| (xuid.0, *favorite)).collect(),
        followers: list(&neighbours.followers),
        blocks: list(&neighbours.blocks),
        blocked_by: list(&neighbours.blocked_by),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a40_only_so_many_users_are_remembered() {
        let now = DateTime::UNIX_EPOCH;
        let good = |seconds| {
            Arc::new(tokio::sync::Mutex::new(Some(Known {
                learned: now,
                good_until: now + TimeDelta::seconds(seconds),
                failed: false,
            })))
        };
        let mut users: HashMap<Xuid, Slot> =
            (1..=USERS_MAX as u64).map(|xuid| (Xuid(xuid), good(i64::from(xuid % 2 == 0)))).collect();
        slot_of(&mut users, Xuid(1), now);
        assert_eq!(users.len(), USERS_MAX, "who is known needs no room");
        let asked = Arc::clone(&users[&Xuid(3)]);
        slot_of(&mut users, Xuid(0), now);
        assert_eq!(users.len(), USERS_MAX / 2 + 2, "the stale ones go, but for one that is just asked about");
        assert!(Arc::ptr_eq(&asked, &users[&Xuid(3)]));

        drop(asked);
        users.extend((1..=USERS_MAX as u64).map(|xuid| (Xuid(1 << 32 | xuid), good(1))));
        let asked = slot_of(&mut users, Xuid(1 << 32 | 7), now);
        slot_of(&mut users, Xuid(u64::MAX), now);
        assert_eq!(users.len(), USERS_KEPT + 1, "if all are good, some go, so that there is room for a while");
        assert!(Arc::ptr_eq(&asked, &users[&Xuid(1 << 32 | 7)]), "but none that is in use");
    }
}
