//! Sessions by their id: documents to show, records to decide on, and the facts that access asks for.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use tokio::time::timeout;
use tracing::instrument;
use uuid::Uuid;

use super::columns::Slices;
use super::decode::place;
use super::distrust::Distrust;
use super::rows::{
    AccessFacts, Edge, HandleReadRow, KnownConnection, Loaded, ReadRow, StoredSession, xuid_from_column, xuid_to_column,
};
use super::{Store, StoreError, given_up};

/// A document to show to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAsk {
    /// The session.
    pub sid: Uuid,
    /// Who asks; a server is no user.
    pub caller: Option<u64>,
}

/// A handle to follow for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandleAsk {
    /// The handle.
    pub id: Uuid,
    /// Who asks; a server is no user.
    pub caller: Option<u64>,
}

/// A stranger at the door of a restricted session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsAsk {
    /// The session.
    pub sid: Uuid,
    /// Who asks.
    pub caller: u64,
    /// The device of the caller's token.
    pub device_id: Option<String>,
}

/// A record to decide on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadAsk {
    /// The session.
    pub sid: Uuid,
    /// Every user whose command is queued for it.
    pub callers: Vec<u64>,
    /// Every member that one of those commands names by its index.
    pub indices: Vec<i32>,
    /// Whether one of those commands writes a restriction: then edges are looked up whatever the stored restrictions are.
    pub writes_restriction: bool,
    /// Every connection that one of those commands registers.
    pub connections: Vec<Uuid>,
    /// Whether one of those commands registers a connection or makes a member active or ready: then it is looked up what is known of
    /// the connections.
    pub engages: bool,
}

impl LoadAsk {
    /// Asks for a session and nothing beside it.
    #[must_use]
    pub fn plain(sid: Uuid) -> Self {
        Self { sid, callers: Vec::new(), indices: Vec::new(), writes_restriction: false, connections: Vec::new(), engages: false }
    }

    /// Whether it asks for nothing beside the session.
    fn is_plain(&self) -> bool {
        *self == Self::plain(self.sid)
    }
}

impl Store {
    /// Reads documents, in the order of the asks; `None` where there is no session.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.session.read", level = "debug", skip_all, fields(asks = asks.len()))]
    pub async fn read_sessions(&self, asks: &[ReadAsk]) -> Result<Vec<Option<ReadRow>>, StoreError> {
        let sids: Vec<Uuid> = asks.iter().map(|ask| ask.sid).collect();
        let callers: Vec<Option<i64>> = asks.iter().map(|ask| ask.caller.map(xuid_to_column)).collect();
        let rows = self.rows(sqlx::query(include_str!("sql/read_sessions.sql")).bind(sids).bind(callers)).await?;
        let mut answers = vec![None; asks.len()];
        for row in &rows {
            answers[place(row)?] = Some(ReadRow::read(row)?);
        }
        Ok(answers)
    }

    /// Reads handles with the sessions they lead to, in the order of the asks; `None` where the handle is unknown or expired at `now`.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.handle.read", level = "debug", skip_all, fields(asks = asks.len()))]
    pub async fn read_by_handles(
        &self,
        asks: &[HandleAsk],
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<HandleReadRow>>, StoreError> {
        let ids: Vec<Uuid> = asks.iter().map(|ask| ask.id).collect();
        let callers: Vec<Option<i64>> = asks.iter().map(|ask| ask.caller.map(xuid_to_column)).collect();
        let rows = self.rows(sqlx::query(include_str!("sql/read_by_handles.sql")).bind(ids).bind(callers).bind(now)).await?;
        let mut answers = vec![None; asks.len()];
        for row in &rows {
            answers[place(row)?] = Some(HandleReadRow::read(row)?);
        }
        Ok(answers)
    }

    /// Looks up what restricted sessions ask about strangers, in the order of the asks.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.session.access", level = "debug", skip_all, fields(asks = asks.len()))]
    pub async fn access_facts(&self, asks: &[FactsAsk]) -> Result<Vec<AccessFacts>, StoreError> {
        let sids: Vec<Uuid> = asks.iter().map(|ask| ask.sid).collect();
        let callers: Vec<i64> = asks.iter().map(|ask| xuid_to_column(ask.caller)).collect();
        let devices: Vec<Option<&str>> = asks.iter().map(|ask| ask.device_id.as_deref()).collect();
        let rows = self.rows(sqlx::query(include_str!("sql/access_facts.sql")).bind(sids).bind(callers).bind(devices)).await?;
        let mut answers = vec![AccessFacts::default(); asks.len()];
        for row in &rows {
            let at = place(row)?;
            answers[at] = AccessFacts { followed: row.try_get("followed")?, local: row.try_get("local")? };
            self.distrust.facts(&[asks[at].caller], &mut answers[at]);
        }
        Ok(answers)
    }

    /// Loads records to decide on at `now`, in the order of the asks. Of a large session those members come along that the commands
    /// can concern: the callers, those named, the owners, up to 500 that are due, and who would inherit from the owners.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.session.load", level = "debug", skip_all, fields(asks = asks.len()))]
    pub async fn load_sessions(&self, asks: &[LoadAsk], now: DateTime<Utc>) -> Result<Vec<Loaded>, StoreError> {
        let mut connection = self.connection().await?;
        match timeout(self.patience, load_on(&mut connection, asks, now, &self.distrust)).await {
            Ok(loaded) => loaded.inspect(|_| self.kept.keep(connection)),
            Err(_) => Err(given_up(connection).into()),
        }
    }
}

/// Loads records over one connection; those that turn out to be large once more, with their members, and what is found then counts.
pub(super) async fn load_on(
    connection: &mut PgConnection,
    asks: &[LoadAsk],
    now: DateTime<Utc>,
    distrust: &Distrust,
) -> Result<Vec<Loaded>, StoreError> {
    let mut answers = load_as_stored(connection, asks, now).await?;
    for loaded in &mut answers {
        distrust.follows(&mut loaded.follows);
    }
    Ok(answers)
}

async fn load_as_stored(connection: &mut PgConnection, asks: &[LoadAsk], now: DateTime<Utc>) -> Result<Vec<Loaded>, StoreError> {
    let plain = asks.iter().all(LoadAsk::is_plain);
    let query = if plain {
        let sids: Vec<Uuid> = asks.iter().map(|ask| ask.sid).collect();
        sqlx::query(include_str!("sql/load_plain_sessions.sql")).bind(sids)
    } else {
        LoadColumns::of(asks.iter()).bind(sqlx::query(include_str!("sql/load_sessions.sql")))
    };
    let rows = query.fetch_all(&mut *connection).await?;
    let nothing = Loaded { stored: None, follows: Vec::new(), blocks: Vec::new(), connections: Vec::new() };
    let mut answers = vec![nothing; asks.len()];
    let mut large = Vec::new();
    for row in &rows {
        let at = place(row)?;
        let stored = StoredSession::read(row)?;
        if stored.as_ref().is_some_and(|stored| stored.session.large) {
            large.push(at);
        } else if plain {
            answers[at].stored = stored;
        } else {
            answers[at] = loaded(row, stored)?;
        }
    }
    if large.is_empty() {
        return Ok(answers);
    }
    let query = LoadColumns::of(large.iter().map(|at| &asks[*at])).bind(sqlx::query(include_str!("sql/load_large_sessions.sql")));
    let rows = query.bind(now).fetch_all(connection).await?;
    for row in &rows {
        answers[large[place(row)?]] = loaded(row, StoredSession::read_large(row)?)?;
    }
    Ok(answers)
}

/// The parameters that both statements have.
#[derive(Default)]
struct LoadColumns {
    sids: Vec<Uuid>,
    restrictions: Vec<bool>,
    callers: Vec<i64>,
    caller_slices: Slices,
    indices: Vec<i32>,
    index_slices: Slices,
    connections: Vec<Uuid>,
    connection_slices: Slices,
    engages: Vec<bool>,
}

impl LoadColumns {
    fn of<'a>(asks: impl Iterator<Item = &'a LoadAsk>) -> Self {
        let mut columns = Self::default();
        for ask in asks {
            columns.sids.push(ask.sid);
            columns.restrictions.push(ask.writes_restriction);
            columns.callers.extend(ask.callers.iter().copied().map(xuid_to_column));
            columns.caller_slices.end_at(columns.callers.len());
            columns.indices.extend(&ask.indices);
            columns.index_slices.end_at(columns.indices.len());
            columns.connections.extend(&ask.connections);
            columns.connection_slices.end_at(columns.connections.len());
            columns.engages.push(ask.engages);
        }
        columns
    }

    fn bind(self, query: Query<'static, Postgres, PgArguments>) -> Query<'static, Postgres, PgArguments> {
        let (callers, indices, connections) = (self.caller_slices, self.index_slices, self.connection_slices);
        let query = query.bind(self.sids).bind(callers.first).bind(callers.last).bind(self.restrictions).bind(self.callers);
        let query = query.bind(self.indices).bind(indices.first).bind(indices.last);
        query.bind(self.connections).bind(connections.first).bind(connections.last).bind(self.engages)
    }
}

/// A record with the edges that came along.
fn loaded(row: &PgRow, stored: Option<StoredSession>) -> Result<Loaded, StoreError> {
    Ok(Loaded {
        stored,
        follows: edges(row, "followers", "followed")?,
        blocks: edges(row, "blockers", "blocked")?,
        connections: known_connections(row)?,
    })
}

/// Connections that came in arrays.
fn known_connections(row: &PgRow) -> Result<Vec<KnownConnection>, sqlx::Error> {
    let Some(ids) = row.try_get::<Option<Vec<Uuid>>, _>("connections")? else { return Ok(Vec::new()) };
    let owners: Vec<i64> = row.try_get("connection_owners")?;
    let alive: Vec<bool> = row.try_get("connections_alive")?;
    let elsewhere: Vec<i64> = row.try_get("connections_elsewhere")?;
    let known = ids.into_iter().zip(owners).zip(alive).zip(elsewhere);
    Ok(known
        .map(|(((id, owner), alive), elsewhere)| KnownConnection { id, owner: xuid_from_column(owner), alive, elsewhere })
        .collect())
}

/// Edges that came in two arrays.
fn edges(row: &PgRow, from: &str, to: &str) -> Result<Vec<Edge>, sqlx::Error> {
    let column = |name: &str| row.try_get::<Option<Vec<i64>>, _>(name).map(Option::unwrap_or_default);
    let pairs = column(from)?.into_iter().zip(column(to)?);
    Ok(pairs.map(|(from, to)| Edge { from: xuid_from_column(from), to: xuid_from_column(to) }).collect())
}
