//! Candidates for session queries, in pages. They are filtered, settled and cut elsewhere; here they come from an index, in order.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use tracing::instrument;
use uuid::Uuid;

use super::decode::place;
use super::rows::{CandidateRow, xuid_to_column};
use super::{Store, StoreError};

/// The last candidate of a page: the next page begins after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageKey {
    /// Newest first.
    pub start_time: DateTime<Utc>,
    /// Then by name.
    pub name: String,
    /// Names of several templates may be equal.
    pub sid: Uuid,
}

/// One user whose sessions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XuidAsk {
    /// The user.
    pub xuid: u64,
    /// Where the page begins; `None`: with the newest.
    pub after: Option<PageKey>,
}

/// Sessions of users.
#[derive(Debug, Clone, Copy)]
pub struct CandidatesByXuid<'a> {
    /// The users, each with a list of its own.
    pub asks: &'a [XuidAsk],
    /// The service config.
    pub scid: Uuid,
    /// The template in lower case; `None`: all.
    pub template_key: Option<&'a str>,
    /// A keyword in lower case that they must carry as well.
    pub keyword: Option<&'a str>,
    /// Who asks: what one of them is near to, all are. A server is no user.
    pub callers: &'a [u64],
    /// The devices of the callers' tokens.
    pub device_ids: &'a [&'a str],
    /// The states of the user that are wanted, as codes.
    pub states: &'a [i16],
    /// Whether private sessions are wanted.
    pub private: bool,
    /// Sessions that are due at this instant come in any case: what they will be is not known before they are settled (M-24).
    pub now: DateTime<Utc>,
    /// The size of a page, per user.
    pub limit: i64,
}

/// Sessions that carry a keyword.
#[derive(Debug, Clone, Copy)]
pub struct CandidatesByKeyword<'a> {
    /// The keyword in lower case.
    pub keyword: &'a str,
    /// The service config.
    pub scid: Uuid,
    /// The template in lower case; `None`: all.
    pub template_key: Option<&'a str>,
    /// Where the page begins; `None`: with the newest.
    pub after: Option<&'a PageKey>,
    /// Who asks: what one of them is near to, all are. A server is no user.
    pub callers: &'a [u64],
    /// The devices of the callers' tokens.
    pub device_ids: &'a [&'a str],
    /// The size of a page.
    pub limit: i64,
}

impl From<&CandidateRow> for PageKey {
    fn from(last: &CandidateRow) -> Self {
        Self { start_time: last.start_time, name: last.reference.name.clone(), sid: last.reference.sid }
    }
}

impl CandidateRow {
    /// Whether it has to be settled before it is judged.
    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.next_timer_at.is_some_and(|due| due <= now)
    }

    /// The order of results, which is that of the database: byte by byte.
    fn in_order(&self, other: &Self) -> Ordering {
        let by_time = other.start_time.cmp(&self.start_time);
        by_time
            .then_with(|| self.reference.name.cmp(&other.reference.name))
            .then_with(|| self.reference.sid.cmp(&other.reference.sid))
    }
}

impl Store {
    /// Finds sessions of users: one list per ask, in the order of the asks, newest first. A list shorter than the limit is the last
    /// page of its user.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.query.by_xuid", level = "debug", skip_all, fields(asks = query.asks.len()))]
    pub async fn find_candidates_by_xuid(&self, query: CandidatesByXuid<'_>) -> Result<Vec<Vec<CandidateRow>>, StoreError> {
        let after = || query.asks.iter().map(|ask| ask.after.as_ref());
        let statement = sqlx::query(include_str!("sql/find_candidates_by_xuid.sql"))
            .bind(query.asks.iter().map(|ask| xuid_to_column(ask.xuid)).collect::<Vec<_>>())
            .bind(after().map(|key| key.map(|key| key.start_time)).collect::<Vec<_>>())
            .bind(after().map(|key| key.map(|key| key.name.as_str())).collect::<Vec<_>>())
            .bind(after().map(|key| key.map(|key| key.sid)).collect::<Vec<_>>())
            .bind(query.scid)
            .bind(query.template_key)
            .bind(query.keyword)
            .bind(query.callers.iter().copied().map(xuid_to_column).collect::<Vec<_>>())
            .bind(query.device_ids)
            .bind(query.limit)
            .bind(query.states)
            .bind(query.private)
            .bind(query.now);
        let rows = self.rows(statement).await?;
        let mut lists = vec![Vec::new(); query.asks.len()];
        for row in &rows {
            let mut candidate = CandidateRow::read(row, query.scid, 1)?;
            self.distrust.facts(query.callers, &mut candidate.codes.facts);
            lists[place(row)?].push(candidate);
        }
        for list in &mut lists {
            list.sort_by(CandidateRow::in_order);
        }
        Ok(lists)
    }

    /// Finds sessions that carry a keyword, newest first. A list shorter than the limit is the last page.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.query.by_keyword", level = "debug", skip_all)]
    pub async fn find_candidates_by_keyword(&self, query: CandidatesByKeyword<'_>) -> Result<Vec<CandidateRow>, StoreError> {
        let statement = sqlx::query(include_str!("sql/find_candidates_by_keyword.sql"))
            .bind(query.scid)
            .bind(query.keyword)
            .bind(query.template_key)
            .bind(query.after.map(|key| key.start_time))
            .bind(query.after.map(|key| key.name.as_str()))
            .bind(query.after.map(|key| key.sid))
            .bind(query.callers.iter().copied().map(xuid_to_column).collect::<Vec<_>>())
            .bind(query.device_ids)
            .bind(query.limit);
        let rows = self.rows(statement).await?;
        let read = |row| CandidateRow::read(row, query.scid, 0);
        let mut candidates = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for candidate in &mut candidates {
            self.distrust.facts(query.callers, &mut candidate.codes.facts);
        }
        Ok(candidates)
    }
}
