//! Session queries: candidates from an index, settled where something is due, judged, ordered and cut (queries.md).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use tracing::warn;
use uuid::Uuid;

use super::sessions::corrupt;
use super::{Directory, DirectoryError, Queries};
use crate::domain::access::{self, Nearness};
use crate::domain::names::{TemplateName, Xuid};
use crate::domain::principal::Principal;
use crate::domain::query::{Candidate, SessionQuery, Status};
use crate::store::rows::CandidateRow;
use crate::store::{CandidatesByKeyword, CandidatesByXuid, PageKey, StoreError, XuidAsk, projection};

/// How often a page is read again because something on it was due.
const ROUNDS: usize = 3;
/// The least candidates read at a time, per list.
const PAGE_MIN: i64 = 32;
/// The most candidates read at a time, over all lists, unless `take` needs more.
const ROWS_AT_ONCE: i64 = 4000;
/// How many candidates of one list are looked at; there the list ends with what was found.
const CANDIDATES_MAX: i64 = 20_000;

/// How many sessions are evaluated at a time.
const SETTLED_AT_ONCE: usize = 128;

/// A query, who asks it, and how many candidates are read at a time.
#[derive(Clone, Copy)]
struct Search<'a> {
    over: &'a Queries,
    query: &'a SessionQuery,
    principal: &'a Arc<Principal>,
    /// Per list.
    limit: i64,
}

impl Search<'_> {
    /// The size of the next page: as many as were looked at before, so that a long walk takes few steps.
    fn next_limit(&self, looked: i64, lists: usize) -> i64 {
        let least = PAGE_MIN.max(i64::from(self.query.take) + 1);
        let fair = ROWS_AT_ONCE / i64::try_from(lists).unwrap_or(1).max(1);
        looked.min(fair).max(least).min(CANDIDATES_MAX - looked)
    }
}

/// One of the lists that a query asks for: of a user, or by keyword alone.
struct List {
    found: Found,
    /// Where its next page begins; `None`: with the newest.
    after: Option<PageKey>,
    /// Whether it is full, or there are no more candidates.
    done: bool,
}

impl List {
    fn of(xuid: Option<Xuid>) -> Self {
        Self { found: Found { xuid, candidates: Vec::new() }, after: None, done: false }
    }
}

/// What was found for one user, or by keyword alone.
#[derive(Debug, Clone)]
pub struct Found {
    /// The user, unless sessions were asked for by keyword alone.
    pub xuid: Option<Xuid>,
    /// The sessions, in their order.
    pub candidates: Vec<Candidate>,
}

impl Directory {
    /// Answers a session query whose parameters are sound, over the connections of all; judges first whether the caller may ask it.
    ///
    /// # Errors
    /// 403; what the store cannot do.
    pub async fn query(&self, query: &SessionQuery, principal: &Arc<Principal>) -> Result<Vec<Found>, DirectoryError> {
        self.query_over(&self.queries, query, principal).await
    }

    /// The same over a thread's own connections.
    ///
    /// The lists of several users are read together, a page of each in one statement, and come one after another. A list ends
    /// where too many candidates were looked at, as where a stranger asks for a keyword that thousands of unreadable sessions carry.
    ///
    /// # Errors
    /// 403; what the store cannot do.
    pub async fn query_over(
        &self,
        over: &Queries,
        query: &SessionQuery,
        principal: &Arc<Principal>,
    ) -> Result<Vec<Found>, DirectoryError> {
        query.authorise(principal)?;
        if query.take == 0 {
            return Ok(Vec::new());
        }
        let mut search = Search { over, query, principal, limit: 0 };
        let mut lists: Vec<List> = query.xuids.iter().map(|xuid| List::of(Some(*xuid))).collect();
        if lists.is_empty() && query.keyword.is_some() {
            lists.push(List::of(None));
        }
        // Lists that go on have had full pages only: as many candidates were looked at in each of them.
        let mut looked = 0;
        loop {
            let mut open: Vec<&mut List> = lists.iter_mut().filter(|list| !list.done).collect();
            if open.is_empty() {
                break;
            }
            if looked >= CANDIDATES_MAX {
                let cut = open.len();
                warn!(session.scid = %query.scid, "{cut} lists of a session query end after {CANDIDATES_MAX} candidates each");
                break;
            }
            search.limit = search.next_limit(looked, open.len());
            let pages = self.settled_pages(search, &open).await?;
            for (list, page) in open.iter_mut().zip(pages) {
                self.extend(search, list, page).await?;
            }
            looked += search.limit;
        }
        Ok(lists.into_iter().map(|list| list.found).collect())
    }

    /// Takes what matches from a list's next page, until there is enough of it.
    async fn extend(&self, search: Search<'_>, list: &mut List, mut page: Vec<CandidateRow>) -> Result<(), DirectoryError> {
        list.done = i64::try_from(page.len()).is_ok_and(|rows| rows < search.limit);
        if !list.done {
            list.after = page.last().map(PageKey::from);
        }
        let take = search.query.take as usize;
        let (xuid, found) = (list.found.xuid, &mut list.found.candidates);
        found.reserve(page.len().min(take - found.len()));
        let now = self.clock.now();
        for part in page.chunks_mut(SETTLED_AT_ONCE) {
            let due = part.iter().filter(|row| row.is_due(now));
            let mut settled =
                join_all(due.map(|row| self.judge_settled(row.reference.sid, xuid, search.principal))).await.into_iter();
            for row in part {
                let candidate = if row.is_due(now) {
                    settled.next().expect("each that is due was judged")?
                } else {
                    Some(candidate_of(row, self.options.everybody_follows)?)
                };
                if let Some(candidate) = candidate.filter(|candidate| search.query.matches(candidate, search.principal)) {
                    found.push(candidate);
                    if found.len() == take {
                        list.done = true;
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the next page of each list, again where something on it was due: settling changes who is on it.
    async fn settled_pages(&self, search: Search<'_>, lists: &[&mut List]) -> Result<Vec<Vec<CandidateRow>>, DirectoryError> {
        let all: Vec<&List> = lists.iter().map(|list| &**list).collect();
        let mut pages = self.pages(search, &all).await?;
        for _ in 1..ROUNDS {
            let now = self.clock.now();
            let stale: Vec<usize> = (0..pages.len()).filter(|n| pages[*n].iter().any(|row| row.is_due(now))).collect();
            if stale.is_empty() {
                break;
            }
            // Users share sessions.
            let due: BTreeSet<Uuid> = pages.iter().flatten().filter(|row| row.is_due(now)).map(|row| row.reference.sid).collect();
            self.settle_all(due).await?;
            let again: Vec<&List> = stale.iter().map(|n| all[*n]).collect();
            for (n, page) in stale.into_iter().zip(self.pages(search, &again).await?) {
                pages[n] = page;
            }
        }
        Ok(pages)
    }

    /// Evaluates sessions, some at a time: the queues of writes are bounded, and a query is not to fill them.
    pub(super) async fn settle_all(&self, due: BTreeSet<Uuid>) -> Result<(), DirectoryError> {
        let due: Vec<Uuid> = due.into_iter().collect();
        for part in due.chunks(SETTLED_AT_ONCE) {
            for settled in join_all(part.iter().map(|sid| self.settle(*sid))).await {
                // One session that cannot be read must not fail the others.
                if let Err(error @ DirectoryError::Busy) = settled {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Reads the next page of each list in one statement.
    async fn pages(&self, search: Search<'_>, lists: &[&List]) -> Result<Vec<Vec<CandidateRow>>, DirectoryError> {
        let Search { over, query, principal, limit } = search;
        let (store, _turn) = over.turn().await?;
        let template_key = query.template.as_ref().map(TemplateName::key);
        let template_key = template_key.as_deref();
        let callers: Vec<u64> = principal.users().iter().map(|user| user.xuid.0).collect();
        let device_ids: Vec<&str> = principal.users().iter().filter_map(|user| user.device_id.as_deref()).collect();
        let (callers, device_ids) = (callers.as_slice(), device_ids.as_slice());
        let (scid, keyword) = (query.scid.id(), query.keyword.as_deref());
        if let ([List { found: Found { xuid: None, .. }, after, .. }], Some(keyword)) = (lists, keyword) {
            let after = after.as_ref();
            let ask = CandidatesByKeyword { keyword, scid, template_key, after, callers, device_ids, limit };
            return Ok(vec![store.find_candidates_by_keyword(ask).await?]);
        }
        let ask_of = |list: &&List| Some(XuidAsk { xuid: list.found.xuid?.0, after: list.after.clone() });
        let asks: Vec<XuidAsk> = lists.iter().filter_map(ask_of).collect();
        let states: &[i16] = match (query.reservations, query.inactive) {
            (false, false) => &[3],
            (false, true) => &[1, 2, 3],
            (true, false) => &[0, 3],
            (true, true) => &[0, 1, 2, 3],
        };
        let (private, now) = (query.private, self.clock.now());
        let asks = asks.as_slice();
        let ask = CandidatesByXuid { asks, scid, template_key, keyword, callers, device_ids, states, private, now, limit };
        Ok(store.find_candidates_by_xuid(ask).await?)
    }

    /// Turns a session that is still due after all rounds into a candidate, by its settled state in memory.
    async fn judge_settled(
        &self,
        sid: Uuid,
        xuid: Option<Xuid>,
        principal: &Arc<Principal>,
    ) -> Result<Option<Candidate>, DirectoryError> {
        match self.view_with(sid, principal, xuid.into_iter().collect()).await {
            Ok(view) => Ok(view.session.as_ref().map(|session| {
                let nearness = access::nearness_of_all(session, principal.users(), &view.facts);
                Candidate::of(session, xuid, nearness)
            })),
            Err(DirectoryError::Store(StoreError::Corrupt { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Turns a row into a candidate, which takes over its keywords.
fn candidate_of(row: &mut CandidateRow, everybody_follows: bool) -> Result<Candidate, StoreError> {
    let codes = row.codes;
    let reference = projection::reference_of(&row.reference).ok_or_else(|| corrupt(row.reference.sid))?;
    let count = |n: i32| u64::try_from(n).unwrap_or(0);
    let status = |code: i16| match code {
        0 => Status::Reserved,
        3 => Status::Active,
        _ => Status::Inactive,
    };
    Ok(Candidate {
        scid: reference.scid,
        template: reference.template,
        name: reference.name,
        start_time: row.start_time,
        visibility: projection::visibility_of(codes.visibility),
        join_restriction: projection::restriction_of(codes.join_restriction),
        read_restriction: projection::restriction_of(codes.read_restriction),
        version: count(row.version),
        full: codes.full,
        accepted_count: count(row.accepted_count),
        keywords: std::mem::take(&mut row.keywords),
        membership: codes.member_state.map(|state| (status(state), codes.member_turn)),
        nearness: Nearness {
            member: codes.caller_is_member,
            followed: codes.facts.followed || (everybody_follows && row.accepted_count > 0),
            local: codes.facts.local,
        },
    })
}
