//! Search handles as others find them (H-71 to H-89): settled where something is due, found by the store, shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::error;
use uuid::Uuid;

use super::queue::View;
use super::sessions::corrupt;
use super::{Directory, DirectoryError, turn};
use crate::domain::filter::{List, Subject as _};
use crate::domain::handle::{Include, People};
use crate::domain::names::{MemberIndex, Scid, TemplateName, Xuid};
use crate::domain::principal::{Principal, User};
use crate::domain::refusal::Refusal;
use crate::domain::search::{Listed, SearchKey, SearchQuery};
use crate::domain::session::{Session, Visibility};
use crate::json::{Json, Object};
use crate::store::rows::SearchRow;
use crate::store::{Beside, SearchAsk, Searched, StoreError, projection};
use crate::wire::handle::{Related, Shown, render};
use crate::wire::search::{continuation, read_continuation};
use crate::wire::stored;

/// How often a page is read again because something on it was due.
const ROUNDS: usize = 3;

/// A page of search handles.
#[derive(Debug, Clone)]
pub struct FoundListings {
    /// The handles, as documents.
    pub results: Vec<Json>,
    /// By what the next page is asked for; `None` after the last one.
    pub continuation: Option<String>,
}

impl Directory {
    /// Finds sessions that can be found by everybody and shows their search handles.
    ///
    /// # Errors
    /// 400 for a foreign continuation, and when too many sessions would have to be looked at; 403 for somebody else's list of people
    /// (H-55) and for service configs the caller may not use; 404 for unknown ones.
    pub async fn search(
        &self,
        query: &SearchQuery,
        principal: &Arc<Principal>,
        include: Include,
    ) -> Result<FoundListings, DirectoryError> {
        let scopes = self.scopes(query, principal)?;
        let after = read_continuation(query)?;
        let beside = Beside {
            members: match &query.members {
                Some(people) => self.members_of(people, principal).await?,
                None => None,
            },
            owners: query.owners.as_ref().map(|owners| owners.iter().map(|owner| owner.0).collect()),
            unblocked: principal.users().iter().filter(|_| query.unblocked).map(|user| user.xuid.0).collect(),
            callers: principal.users().iter().map(|user| user.xuid.0).collect(),
        };
        if query.take == 0 || scopes.is_empty() {
            return Ok(FoundListings { results: Vec::new(), continuation: None });
        }
        self.settle_listed().await?;
        let _turn = turn(&self.searching).await?;
        let take = i64::from(query.take);
        let ask = SearchAsk {
            scopes: &scopes,
            filter: query.filter.as_ref(),
            beside: &beside,
            order: &query.order,
            after: after.as_ref(),
            // One more tells whether there is another page.
            take: take + 1,
            with_body: include.related_info || include.custom_properties || include.role_info,
            most: self.options.search_rows,
        };
        let (mut rows, rest) = self.settled_rows(ask).await?;
        let more = rows.len() > query.take as usize;
        rows.truncate(query.take as usize);
        let next = rows.last().filter(|_| more).map(|row| row.key.clone()).or(rest);
        let continuation = next.map(|key| continuation(query, &key));
        let mut results = Vec::with_capacity(rows.len());
        for row in &rows {
            match self.show_listed(row, query, &beside, principal, include).await {
                Ok(shown) => results.extend(shown),
                // One session that cannot be read must not fail the others.
                Err(DirectoryError::Store(error @ StoreError::Corrupt { .. })) => {
                    error!(handle.id = %row.handle.id, %error, "a search handle is left out: its session cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(FoundListings { results, continuation })
    }

    /// The service configs and templates that a query is about, of those that the caller may use (H-71).
    fn scopes(&self, query: &SearchQuery, principal: &Principal) -> Result<Vec<(Uuid, String)>, DirectoryError> {
        let template = query.template.as_ref().map(TemplateName::key);
        if let Some(scid) = &query.scid {
            let service = self.catalog.service(scid, principal)?;
            if let Some(template) = &query.template {
                service.template(template.as_str())?;
            }
        }
        let of_interest = |scid: Uuid| query.scid.as_ref().is_none_or(|wanted| wanted.id() == scid);
        let mut scopes = Vec::new();
        for scid in self.catalog.scids().into_iter().filter(|scid| of_interest(*scid)) {
            let Ok(service) = self.catalog.service(&Scid::from(scid), principal) else { continue };
            let keys = service.template_names().into_iter().map(str::to_ascii_lowercase);
            scopes.extend(keys.filter(|key| template.as_ref().is_none_or(|wanted| wanted == key)).map(|key| (scid, key)));
        }
        Ok(scopes)
    }

    /// The users of whom one is to be a member (H-77); `None` where everybody follows everybody.
    async fn members_of(&self, people: &People, principal: &Arc<Principal>) -> Result<Option<Vec<u64>>, DirectoryError> {
        let users = self.people(people, None, principal).await?;
        Ok((!self.options.everybody_follows || people.favorites).then_some(users))
    }

    /// Settles the listed sessions that are due, so that they are found by what they will be shown as (M-24).
    async fn settle_listed(&self) -> Result<(), DirectoryError> {
        let due = self.store.find_due_listed(self.clock.now()).await?;
        match self.settle_all(due.into_iter().collect()).await {
            // The sweep will come to them; what is found is settled before it is shown.
            Err(DirectoryError::Busy) => Ok(()),
            done => done,
        }
    }

    /// Finds a page, again while something on it is due: settling changes who is on it.
    async fn settled_rows(&self, ask: SearchAsk<'_>) -> Result<(Vec<SearchRow>, Option<SearchKey>), DirectoryError> {
        for round in 1.. {
            let Searched::Found { rows, rest } = self.store.search(ask).await? else {
                let most = ask.most;
                let why = format!(
                    "more than {most} sessions would have to be looked at (search.rows_max): add a condition that fewer of them meet, \
                     such as a tag or the value of a string"
                );
                return Err(Refusal::invalid("filter", why).into());
            };
            let due: BTreeSet<_> = rows.iter().filter(|row| self.is_due(row)).map(|row| row.key.sid).collect();
            if due.is_empty() || round == ROUNDS {
                return Ok((rows, rest));
            }
            self.settle_all(due).await?;
        }
        unreachable!("the rounds are counted")
    }

    fn is_due(&self, row: &SearchRow) -> bool {
        row.next_timer_at.is_some_and(|due| due <= self.clock.now())
    }

    /// Renders one result. One that is still due after all rounds is judged by its settled state in memory.
    async fn show_listed(
        &self,
        row: &SearchRow,
        query: &SearchQuery,
        beside: &Beside,
        principal: &Arc<Principal>,
        include: Include,
    ) -> Result<Option<Json>, DirectoryError> {
        let corrupted =
            |error: &dyn std::fmt::Display| StoreError::Corrupt { reference: row.handle.id.to_string(), why: error.to_string() };
        let handle = projection::handle_of(&row.handle).map_err(|error| corrupted(&error))?;
        let session: Option<Session> = if self.is_due(row) {
            let View { session, .. } = self.view(row.key.sid, principal).await?;
            let Some(session) = session.filter(|session| still_matches(session, row.handle.id, query, beside, principal.users()))
            else {
                return Ok(None);
            };
            Some(session)
        } else if let (Some(body), Some(private)) = (&row.body, &row.private) {
            let reference = projection::reference_of(&row.handle.reference).ok_or_else(|| corrupt(row.key.sid))?;
            Some(stored::read(&reference, body, private).map_err(|error| corrupted(&error))?)
        } else {
            None
        };
        let owner = |(index, xuid): &(i32, u64)| Some((MemberIndex::try_from(*index).ok()?, Xuid(*xuid)));
        let owners: Vec<_> = row.owners.iter().filter_map(owner).collect();
        // A search handle lets everybody read its session (H-42, H-57).
        let game_types = &Object::new();
        let session = session.as_ref().map(Related::of);
        let shown = Shown { handle: &handle, session, readable: true, owners: &owners, game_types };
        Ok(Some(render(&shown, include)))
    }
}

/// Whether a settled session is what was asked for, but for blocks.
fn still_matches(session: &Session, handle: Uuid, query: &SearchQuery, beside: &Beside, callers: &[User]) -> bool {
    let listed = session.listing.as_ref().is_some_and(|listing| listing.id.0 == handle);
    let Some(subject) = Listed::of(session, callers).filter(|_| listed && session.visibility() != Visibility::Private) else {
        return false;
    };
    let among = |users: &Option<Vec<u64>>, list| {
        let named = |users: &Vec<u64>| {
            let texts: Vec<String> = users.iter().map(u64::to_string).collect();
            subject.list(list).iter().any(|xuid| texts.iter().any(|text| text == xuid))
        };
        users.as_ref().is_none_or(named)
    };
    among(&beside.members, List::MemberXuids)
        && among(&beside.owners, List::OwnerXuids)
        && query.filter.as_ref().is_none_or(|filter| filter.matches(&subject))
}
