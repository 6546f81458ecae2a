//! The save: decided sessions, with all that follows from them, in one statement and one commit.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, Postgres, Row as _, Transaction};
use tokio::time::timeout;
use tracing::{instrument, warn};
use uuid::Uuid;

use super::columns::{SaveColumns, Scope, SearchColumns};
use super::distrust::Distrust;
use super::error::{Kind, kind};
use super::rows::{ChangeRow, HandleRow, Loaded, MemberRow, SearchValueRow, SessionRow, handle_code};
use super::sessions::load_on;
use super::{BATCH_MAX, LoadAsk, Store, StoreError, given_up};

/// How often a save is repeated when the database chose it as the victim of a deadlock.
const ATTEMPTS: u32 = 5;

/// What a save expects to find: the branch, because a session that was deleted and created again counts revisions from 1 again, and
/// the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The branch that was loaded.
    pub branch: Uuid,
    /// The revision that was loaded.
    pub revision: i64,
}

/// One session's way from what was loaded to what was decided. Its revision rises by one, whatever else changes.
///
/// A session that was deleted and created again while it was decided on is one save, an update to the final state: `members` then
/// says how the rows differ, `keywords` names the old ones as removed and the new ones as added, and handles go as on deletion.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSave {
    /// The session.
    pub sid: Uuid,
    /// What must be stored for the save to win; `None`: nothing.
    pub expected: Option<Version>,
    /// What shall be stored; `None`: nothing, which also removes every satellite row but the keywords (those are named in `keywords`).
    pub after: Option<SessionRow>,
    /// For the log, oldest first; empty when the document did not change.
    pub changes: Vec<ChangeRow>,
    /// Finds this save in the log, should its outcome be unknown.
    pub write_id: Uuid,
    /// How the member rows change.
    pub members: MemberDiff,
    /// How the keyword rows change.
    pub keywords: KeywordDiff,
    /// How the timer row changes.
    pub timer: TimerChange,
    /// Xuids that became former members of the branch; repeating one is harmless.
    pub former_members: Vec<u64>,
    /// Handles that end with this change.
    pub handles_removed: HandleRemoval,
    /// Activities, invites and transfer handles that begin with it. An activity replaces the owner's former one in the service config
    /// under a new id (H-20).
    pub handles: Vec<HandleRow>,
    /// How changes what a listed session is found by, its search handle included.
    pub search: Option<Box<SearchDiff>>,
}

/// How changes what a session is found by; no key is both removed and put.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchDiff {
    /// What the rows repeat of the session.
    pub place: SearchPlace,
    /// What becomes of its search handle.
    pub handle: HandleChange,
    /// Attributes that go.
    pub removed_values: Vec<String>,
    /// Values that are new or different.
    pub values: Vec<SearchValueRow>,
    /// Terms that go.
    pub removed_terms: Vec<String>,
    /// Terms that are new or stand elsewhere in the order.
    pub terms: Vec<String>,
}

/// Where a listed session stands among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPlace {
    /// Its service config.
    pub scid: Uuid,
    /// Its template in lower case.
    pub template_key: String,
    /// When its search handle was made.
    pub posted_at: DateTime<Utc>,
}

/// What becomes of a search handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandleChange {
    /// It stays, or there is none.
    Keep,
    /// It is new, or in place of the former one (H-62).
    Put(Box<HandleRow>),
    /// It goes.
    Remove,
}

/// How the member rows of a session change; no index is in both parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberDiff {
    /// Indices that go.
    pub removed: Vec<i32>,
    /// Rows that are new or different.
    pub put: Vec<MemberRow>,
}

/// How the keyword rows of a session change, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeywordDiff {
    /// Keywords of the stored session that go.
    pub removed: Vec<String>,
    /// Keywords that are new.
    pub added: Vec<String>,
}

/// What happens to the timer row of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimerChange {
    /// The next timer is the one that is stored.
    #[default]
    Keep,
    /// The next timer is due at this instant.
    Set(DateTime<Utc>),
    /// No timer is pending.
    Clear,
}

/// Handles that end with a change of their session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandleRemoval {
    /// The activities of these owners for this session: they left or became inactive (H-22).
    ActivitiesOf(Vec<u64>),
    /// All but invites: the session ended, even if another one follows in the same save (W-62).
    AllButInvites,
}

impl Default for HandleRemoval {
    fn default() -> Self {
        Self::ActivitiesOf(Vec::new())
    }
}

impl Store {
    /// Saves sessions and answers for each, in order.
    ///
    /// No two saves share a session, and no two name an activity of the same owner and service config. The saves are committed
    /// together, or, if the database refuses one for its content, in parts, so that only that one fails. Up to 64 share a statement.
    ///
    /// # Errors
    /// For each save on its own: `LostRace` when something else than `expected` is stored; then the save has left no trace. `Unknown`
    /// when the connection broke around the commit. `Unavailable`. `Database` when this save is refused for its content.
    #[instrument(name = "db.session.save", level = "debug", skip_all, fields(saves = saves.len()))]
    pub async fn save_sessions(&self, saves: &[SessionSave]) -> Vec<Result<(), StoreError>> {
        debug_assert!(are_disjoint(saves), "two saves of one batch share a session or an activity");
        let mut outcomes = vec![Ok(()); saves.len()];
        let mut pending: Vec<_> = (0..saves.len()).step_by(BATCH_MAX).map(|at| at..saves.len().min(at + BATCH_MAX)).collect();
        while let Some(range) = pending.pop() {
            match self.save_batch(&saves[range.clone()]).await {
                Ok(won) => {
                    for at in range.filter(|&at| !won.contains(&saves[at].sid)) {
                        outcomes[at] = Err(StoreError::LostRace);
                    }
                }
                Err(StoreError::Database(error)) if range.len() > 1 => {
                    warn!(saves = range.len(), %error, "the database refused a batch of saves: looking for the one at fault");
                    let middle = range.start + range.len() / 2;
                    pending.extend([range.start..middle, middle..range.end]);
                }
                Err(error) => outcomes[range].fill(Err(error)),
            }
        }
        outcomes
    }

    /// Runs the statements once, or again while the database asks for it, and returns the sessions that won.
    async fn save_batch(&self, saves: &[SessionSave]) -> Result<HashSet<Uuid>, StoreError> {
        let mut attempt = 1;
        loop {
            let mut connection = self.connection().await?;
            // Two statements where sessions are listed.
            let tried = match timeout(self.patience * 2, try_batch(&mut connection, saves)).await {
                Ok(tried) => tried.inspect(|_| self.kept.keep(connection)),
                Err(_) => Err(given_up(connection)),
            };
            match tried {
                Ok(won) => return Ok(won),
                Err(error) if kind(&error) == Kind::Conflict && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Takes a session for a while in which nobody else saves it, for whoever has lost too many races. One that does not exist yet
    /// is not taken.
    ///
    /// # Errors
    /// `Unavailable`, also when the session is not given within the statement timeout. `Database`.
    #[instrument(name = "db.session.lock", level = "debug", skip_all)]
    pub async fn lock_session(&self, sid: Uuid) -> Result<SessionLock, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(include_str!("sql/lock_session.sql")).bind(sid).execute(&mut *transaction).await?;
        Ok(SessionLock { transaction, distrust: Arc::clone(&self.distrust) })
    }
}

/// A session that nobody else can save. Dropped, it is given back unchanged.
#[derive(Debug)]
pub struct SessionLock {
    transaction: Transaction<'static, Postgres>,
    distrust: Arc<Distrust>,
}

impl SessionLock {
    /// Loads the record to decide on at `now`.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn load(&mut self, ask: &LoadAsk, now: DateTime<Utc>) -> Result<Loaded, StoreError> {
        let loaded = load_on(&mut self.transaction, std::slice::from_ref(ask), now, &self.distrust).await?;
        Ok(loaded.into_iter().next().expect("every ask is answered"))
    }

    /// Saves the session and gives it back.
    ///
    /// # Errors
    /// As for one of [`Store::save_sessions`]; `LostRace` also when the database chose this save as the victim of a deadlock.
    pub async fn save(mut self, save: &SessionSave) -> Result<(), StoreError> {
        let saves = std::slice::from_ref(save);
        match save_all(&mut self.transaction, saves).await {
            Ok(won) if won.is_empty() => Err(StoreError::LostRace),
            Ok(_) => self.transaction.commit().await.map_err(failed),
            Err(error) if kind(&error) == Kind::Conflict => Err(StoreError::LostRace),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Saves, then, where sessions are listed, what they are found by: two statements in a transaction, because few are listed and the
/// others are not to wait for parts they do not need.
async fn try_batch(connection: &mut PgConnection, saves: &[SessionSave]) -> Result<HashSet<Uuid>, sqlx::Error> {
    if !saves.iter().any(|save| save.search.is_some()) {
        return try_save(connection, saves).await;
    }
    let mut transaction = connection.begin().await?;
    let won = save_all(&mut transaction, saves).await?;
    transaction.commit().await?;
    Ok(won)
}

/// Runs the save itself and returns the sessions that won.
async fn try_save(connection: &mut PgConnection, saves: &[SessionSave]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let rows = SaveColumns::of(saves).into_query(Scope::of(saves)).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get("sid")).collect()
}

/// Runs the save, then saves what those sessions are found by that won.
async fn save_all(connection: &mut PgConnection, saves: &[SessionSave]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let won = try_save(&mut *connection, saves).await?;
    let winners: Vec<&SessionSave> = saves.iter().filter(|save| save.search.is_some() && won.contains(&save.sid)).collect();
    if !winners.is_empty() {
        SearchColumns::of(&winners).into_query().execute(connection).await?;
    }
    Ok(won)
}

/// What a save comes to that the database did not do, or may not have done.
fn failed(error: sqlx::Error) -> StoreError {
    match kind(&error) {
        Kind::Conflict | Kind::Busy => StoreError::Unavailable(Arc::new(error)),
        Kind::Broken => StoreError::Unknown(Arc::new(error)),
        Kind::Refused => StoreError::Database(Arc::new(error)),
    }
}

/// Whether no two saves touch the same session or the same owner's activity.
fn are_disjoint(saves: &[SessionSave]) -> bool {
    let mut sids = HashSet::new();
    let mut activities = HashSet::new();
    saves.iter().all(|save| {
        let mut shown = save.handles.iter().filter(|handle| handle.kind == handle_code::ACTIVITY);
        sids.insert(save.sid) && shown.all(|handle| activities.insert((handle.owner, handle.reference.scid)))
    })
}
