//! Sessions with all their satellite rows, page by page, for a check that compares them with what the documents say.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use tracing::instrument;
use uuid::Uuid;

use super::rows::{HandleRow, MemberRow, SearchValueRow, SessionRow, xuid_from_column};
use super::{SearchPlace, Store, StoreError};

/// All rows of one `sid`. Rows without a session are leftovers, but for handles: those may lead to a session that does not exist.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Holding {
    /// The session.
    pub session: Option<SessionRow>,
    /// By index.
    pub members: Vec<StoredMember>,
    /// In the order of their keyword.
    pub keywords: Vec<StoredKeyword>,
    /// The timer.
    pub timer: Option<StoredTimer>,
    /// Of any branch.
    pub former_members: Vec<StoredFormerMember>,
    /// Of any type.
    pub handles: Vec<HandleRow>,
    /// By attribute, each with where it stands.
    pub search_values: Vec<(SearchValueRow, SearchPlace)>,
    /// By term, each with where it stands.
    pub search_terms: Vec<(String, SearchPlace)>,
}

/// A member row with the columns that repeat the session's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMember {
    /// The member.
    pub member: MemberRow,
    /// The service config of its session.
    pub scid: Uuid,
    /// The template of its session in lower case.
    pub template_key: String,
}

/// A keyword row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKeyword {
    /// In lower case.
    pub keyword: String,
    /// The service config of its session.
    pub scid: Uuid,
    /// `startTime` of its session.
    pub start_time: DateTime<Utc>,
    /// The name of its session.
    pub name: String,
    /// The template of its session in lower case.
    pub template_key: String,
}

/// A timer row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredTimer {
    /// When the session is to be settled.
    pub due_at: DateTime<Utc>,
    /// How often that failed in a row; then `due_at` lies later than the session says.
    pub failures: i16,
}

/// A former member row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredFormerMember {
    /// The branch it was a member of.
    pub branch: Uuid,
    /// Who.
    pub xuid: u64,
}

/// A part of everything, by `sid`.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rows of every `sid` in the page.
    pub holdings: BTreeMap<Uuid, Holding>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Uuid>,
}

impl Store {
    /// Loads everything about the sessions after one `sid`, `limit` sessions a page, and all leftovers between them. One page is one
    /// snapshot; it reads all keywords, so pages should be large.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.everything.load", level = "debug", skip_all)]
    pub async fn load_everything(&self, after: Uuid, limit: u32) -> Result<Page, StoreError> {
        let mut snapshot = self.pool.begin_with("begin isolation level repeatable read read only").await?;
        let sessions = sqlx::query(include_str!("sql/load_everything_sessions.sql"))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *snapshot)
            .await?;
        let last =
            if sessions.len() < limit as usize { None } else { sessions.last().map(|row| row.try_get("sid")).transpose()? };
        let range = (after, last.unwrap_or(Uuid::max()));
        let mut holdings: BTreeMap<Uuid, Holding> = BTreeMap::new();
        let mut each = |rows: Vec<PgRow>, add: fn(&mut Holding, &PgRow) -> Result<(), sqlx::Error>| {
            rows.iter().try_for_each(|row| add(holdings.entry(row.try_get("sid")?).or_default(), row))
        };
        each(sessions, |holding, row| {
            holding.session = Some(SessionRow::read(row)?);
            Ok(())
        })?;
        each(in_range(&mut snapshot, include_str!("sql/load_everything_members.sql"), range).await?, |holding, row| {
            let member = MemberRow::read(row)?;
            let (scid, template_key) = (row.try_get("scid")?, row.try_get("template_key")?);
            holding.members.push(StoredMember { member, scid, template_key });
            Ok(())
        })?;
        each(in_range(&mut snapshot, include_str!("sql/load_everything_keywords.sql"), range).await?, |holding, row| {
            holding.keywords.push(StoredKeyword {
                keyword: row.try_get("keyword")?,
                scid: row.try_get("scid")?,
                start_time: row.try_get("start_time")?,
                name: row.try_get("name")?,
                template_key: row.try_get("template_key")?,
            });
            Ok(())
        })?;
        each(in_range(&mut snapshot, include_str!("sql/load_everything_timers.sql"), range).await?, |holding, row| {
            holding.timer = Some(StoredTimer { due_at: row.try_get("due_at")?, failures: row.try_get("failures")? });
            Ok(())
        })?;
        each(in_range(&mut snapshot, include_str!("sql/load_everything_former_members.sql"), range).await?, |holding, row| {
            let xuid = xuid_from_column(row.try_get("xuid")?);
            holding.former_members.push(StoredFormerMember { branch: row.try_get("branch")?, xuid });
            Ok(())
        })?;
        each(in_range(&mut snapshot, include_str!("sql/load_everything_handles.sql"), range).await?, |holding, row| {
            holding.handles.push(HandleRow::read(row)?);
            Ok(())
        })?;
        each(in_range(&mut snapshot, include_str!("sql/load_everything_search_values.sql"), range).await?, |holding, row| {
            let (attribute, number, text) = (row.try_get("attribute")?, row.try_get("number")?, row.try_get("text")?);
            holding.search_values.push((SearchValueRow { attribute, number, text }, SearchPlace::read(row)?));
            Ok(())
        })?;
        each(in_range(&mut snapshot, include_str!("sql/load_everything_search_terms.sql"), range).await?, |holding, row| {
            holding.search_terms.push((row.try_get("term")?, SearchPlace::read(row)?));
            Ok(())
        })?;
        snapshot.commit().await?;
        Ok(Page { holdings, next: last })
    }
}

/// The rows of a table whose `sid` lies after the first and not after the second.
async fn in_range(
    connection: &mut PgConnection,
    statement: &'static str,
    (after, last): (Uuid, Uuid),
) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(statement).bind(after).bind(last).fetch_all(connection).await
}
