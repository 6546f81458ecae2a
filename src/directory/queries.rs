//! Session queries: candidates from an index, settled where something is due, judged, ordered and cut (queries.md).

use std::sync::Arc;

use futures_util::future::join_all;

use super::sessions::corrupt;
use super::{Directory, DirectoryError};
use crate::domain::access::{self, Nearness};
use crate::domain::names::{TemplateName, Xuid};
use crate::domain::principal::{Principal, User};
use crate::domain::query::{Candidate, SessionQuery, Status};
use crate::store::rows::CandidateRow;
use crate::store::{CandidatesByKeyword, CandidatesByXuid, PageKey, StoreError, XuidAsk, projection};

/// How often a page is read again because something on it was due.
const ROUNDS: usize = 3;
/// The least candidates read at a time.
const PAGE_MIN: i64 = 32;

/// One list that a query asks for: of a user, or by keyword alone.
#[derive(Clone, Copy)]
struct Search<'a> {
    query: &'a SessionQuery,
    xuid: Option<Xuid>,
    principal: &'a Arc<Principal>,
    /// The candidates read at a time.
    limit: i64,
}

/// One result: the session, and the user it was found through.
#[derive(Debug, Clone)]
pub struct Found {
    /// The session.
    pub candidate: Candidate,
    /// The user, unless it was found by keyword alone.
    pub xuid: Option<Xuid>,
}

impl Directory {
    /// Answers a session query whose parameters are sound; judges first whether the caller may ask it.
    ///
    /// # Errors
    /// 403; what the store cannot do.
    pub async fn query(&self, query: &SessionQuery, principal: &Arc<Principal>) -> Result<Vec<Found>, DirectoryError> {
        query.authorise(principal)?;
        let mut results = Vec::new();
        if query.take == 0 {
            return Ok(results);
        }
        let limit = PAGE_MIN.max(i64::from(query.take) + 1);
        let everybody = if query.xuids.is_empty() { Some(None) } else { None };
        for xuid in everybody.into_iter().chain(query.xuids.iter().copied().map(Some)) {
            let found = self.collect(Search { query, xuid, principal, limit }).await?;
            results.extend(found.into_iter().map(|candidate| Found { candidate, xuid }));
        }
        Ok(results)
    }

    /// Reads candidates page by page until enough of them match or there are no more.
    async fn collect(&self, search: Search<'_>) -> Result<Vec<Candidate>, DirectoryError> {
        let Search { query, principal, .. } = search;
        let mut found = Vec::new();
        let mut after: Option<PageKey> = None;
        loop {
            let rows = self.settled_page(search, after.as_ref()).await?;
            let last = i64::try_from(rows.len()).is_ok_and(|rows| rows < search.limit);
            after = rows.last().map(PageKey::from);
            for row in &rows {
                let Some(candidate) = self.judge(row, search.xuid, principal).await? else { continue };
                if query.matches(&candidate, principal) {
                    found.push(candidate);
                    if found.len() == query.take as usize {
                        return Ok(found);
                    }
                }
            }
            if last {
                return Ok(found);
            }
        }
    }

    /// Reads one page, again while something on it was due: settling changes who is on it.
    async fn settled_page(&self, search: Search<'_>, after: Option<&PageKey>) -> Result<Vec<CandidateRow>, DirectoryError> {
        let mut rows = self.page(search, after).await?;
        for _ in 1..ROUNDS {
            let now = self.clock.now();
            let due = rows.iter().filter(|row| row.next_timer_at.is_some_and(|due| due <= now));
            let views: Vec<_> = due.map(|row| self.view(row.reference.sid, search.principal)).collect();
            if views.is_empty() {
                break;
            }
            for view in join_all(views).await {
                // One session that cannot be read must not fail the others.
                if let Err(error @ DirectoryError::Busy) = view {
                    return Err(error);
                }
            }
            rows = self.page(search, after).await?;
        }
        Ok(rows)
    }

    async fn page(&self, search: Search<'_>, after: Option<&PageKey>) -> Result<Vec<CandidateRow>, StoreError> {
        let Search { query, xuid, principal, limit } = search;
        let template_key = query.template.as_ref().map(TemplateName::key);
        let template_key = template_key.as_deref();
        let user = principal.user();
        let (caller, device_id) = (user.map(|user| user.xuid.0), user.and_then(|user| user.device_id.as_deref()));
        let scid = query.scid.id();
        match (xuid, query.keyword.as_deref()) {
            (Some(xuid), keyword) => {
                let asks = [XuidAsk { xuid: xuid.0, after: after.cloned() }];
                let ask = CandidatesByXuid { asks: &asks, scid, template_key, keyword, caller, device_id, limit };
                Ok(self.store.find_candidates_by_xuid(ask).await?.into_iter().next().unwrap_or_default())
            }
            (None, Some(keyword)) => {
                let ask = CandidatesByKeyword { keyword, scid, template_key, after, caller, device_id, limit };
                self.store.find_candidates_by_keyword(ask).await
            }
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Turns a row into a candidate; one that is still due after all rounds is judged by its settled state in memory.
    async fn judge(
        &self,
        row: &CandidateRow,
        xuid: Option<Xuid>,
        principal: &Arc<Principal>,
    ) -> Result<Option<Candidate>, DirectoryError> {
        if row.next_timer_at.is_none_or(|due| due > self.clock.now()) {
            return Ok(Some(candidate_of(row, self.options.everybody_follows)?));
        }
        match self.view_with(row.reference.sid, principal, xuid.into_iter().collect()).await {
            Ok(view) => Ok(view.session.as_ref().map(|session| {
                let nearness =
                    principal.user().map(|user: &User| access::nearness(session, user, &view.facts)).unwrap_or_default();
                Candidate::of(session, xuid, nearness)
            })),
            Err(DirectoryError::Store(StoreError::Corrupt { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn candidate_of(row: &CandidateRow, everybody_follows: bool) -> Result<Candidate, StoreError> {
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
        visibility: projection::visibility_of(row.visibility),
        join_restriction: projection::restriction_of(row.join_restriction),
        read_restriction: projection::restriction_of(row.read_restriction),
        version: count(row.version),
        max_members: count(row.max_members),
        member_count: count(row.member_count),
        accepted_count: count(row.accepted_count),
        keywords: row.keywords.clone(),
        membership: row.member_state.map(|state| (status(state), row.member_turn)),
        nearness: Nearness {
            member: row.caller_state.is_some(),
            followed: row.facts.followed || (everybody_follows && row.accepted_count > 0),
            local: row.facts.local,
        },
    })
}
