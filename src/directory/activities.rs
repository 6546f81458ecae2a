//! Activities as others find them (H-50 to H-59).

use std::collections::HashSet;
use std::sync::Arc;

use tracing::error;
use uuid::Uuid;

use super::catalog::Service;
use super::handles::handle_of;
use super::sessions::corrupt;
use super::{Directory, DirectoryError};
use crate::domain::access::{self, Facts, Nearness};
use crate::domain::handle::{ActivityQuery, Include, Owners, People};
use crate::domain::names::{MemberIndex, Scid, Xuid};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::domain::session::Visibility;
use crate::json::Json;
use crate::store::rows::ActivityRow;
use crate::store::{ActivitiesAsk, StoreError, projection};
use crate::wire::handle::{Shown, render};
use crate::wire::stored;

/// The code of an active member.
const ACTIVE: i16 = 3;
/// The most activities that are looked at for one query, of which the caller may not be shown all.
const FOUND_MAX: i64 = 1000;

impl Directory {
    /// Finds the activities of users (H-50 to H-59) and shows them.
    ///
    /// # Errors
    /// 403 for somebody else's list of people (H-55) and for service configs the caller may not use.
    pub async fn query_activities(
        &self,
        query: &ActivityQuery,
        principal: &Arc<Principal>,
        include: Include,
    ) -> Result<Vec<Json>, DirectoryError> {
        if let Some(scid) = &query.scid {
            self.catalog.service(scid, principal)?;
        }
        let owners: Vec<u64> = match &query.owners {
            Owners::Xuids(xuids) => xuids.iter().map(|xuid| xuid.0).collect(),
            Owners::People(people) => self.people(people, query.scid.as_ref().map(Scid::id), principal).await?,
        };
        let by_people = matches!(query.owners, Owners::People(_));
        let user = principal.user();
        let ask = ActivitiesAsk {
            owners: &owners,
            scid: query.scid.map(|scid| scid.id()),
            caller: user.map(|user| user.xuid.0),
            device_id: user.and_then(|user| user.device_id.as_deref()),
            with_body: true,
            limit: FOUND_MAX,
        };
        let mut rows = self.store.find_activities(ask, self.clock.now()).await?;
        if by_people {
            rows.sort_by_key(|row| std::cmp::Reverse(row.handle.created_at));
        }
        let mut results = Vec::new();
        let mut seen = HashSet::new();
        for row in rows {
            if results.len() >= query.take {
                break;
            }
            let scid = row.handle.reference.scid;
            let Ok(service) = self.catalog.service(&scid.into(), principal) else { continue };
            if !seen.insert(row.handle.id) {
                continue;
            }
            match self.show_activity(&row, principal, include, &service).await {
                Ok(shown) => results.extend(shown),
                // One session that cannot be read must not fail the others.
                Err(DirectoryError::Store(error @ StoreError::Corrupt { .. })) => {
                    error!(handle.id = %row.handle.id, %error, "an activity is left out: its session cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    }

    /// The users of a moniker (H-53, H-55); where everybody follows everybody, those who play in a service config or in any.
    ///
    /// # Errors
    /// 403 for somebody else's list.
    pub(super) async fn people(
        &self,
        people: &People,
        scid: Option<Uuid>,
        principal: &Principal,
    ) -> Result<Vec<u64>, DirectoryError> {
        let own = |of: Xuid| principal.users().iter().any(|user| user.xuid == of);
        let Some(of) = people.of.or(principal.xuid()).filter(|of| principal.manages() || own(*of)) else {
            return Err(Refusal::forbidden("people.monikerXuid: only the caller's own list may be used").into());
        };
        Ok(if self.options.everybody_follows && !people.favorites {
            self.store.list_newest_owners(of.0, scid, FOUND_MAX).await?
        } else {
            self.store.list_follows(of.0, people.favorites).await?
        })
    }

    /// Renders one activity for a query; `None` when the caller is not to see it (H-21, H-57, H-58).
    async fn show_activity(
        &self,
        row: &ActivityRow,
        principal: &Arc<Principal>,
        include: Include,
        service: &Service,
    ) -> Result<Option<Json>, DirectoryError> {
        let mut handle = handle_of(&row.handle)?;
        let Some(found) = &row.session else {
            let shown = !include.related_info;
            let bare = Shown { handle: &handle, session: None, readable: false, owners: &[], game_types: service.game_types() };
            return Ok(shown.then(|| render(&bare, include)));
        };
        let candidate = &found.candidate;
        let server = principal.is_server_for(&handle.reference.scid);
        let due = candidate.next_timer_at.is_some_and(|due| due <= self.clock.now());
        let asks_several = !server && principal.users().len() > 1;
        let (session, member, lived, readable) = if due || asks_several {
            let view = self.view_with(candidate.reference.sid, principal, handle.owner.into_iter().collect()).await?;
            // A session that ended takes the handle along.
            let Some(session) = view.session else { return Ok(None) };
            let member = principal.users().iter().any(|user| session.member(user.xuid).is_some());
            let (lived, readable) = (handle.is_lived(&session), access::may_read(&session, principal, &view.facts));
            (session, member, lived, readable)
        } else {
            let reference = projection::reference_of(&candidate.reference).ok_or_else(|| corrupt(candidate.reference.sid))?;
            let body = found.body.as_deref().unwrap_or("{}");
            let session = stored::read(&reference, body, found.private.as_deref().unwrap_or("{}"))
                .map_err(|error| StoreError::Corrupt { reference: reference.to_string(), why: error.to_string() })?;
            let near = Nearness {
                member: candidate.caller_state.is_some(),
                followed: candidate.facts.followed || self.options.everybody_follows,
                local: candidate.facts.local,
            };
            let readable = near.may_read(session.visibility(), session.read_restriction());
            // What the document alone allows, be it as a viewer of a broadcast.
            let readable = readable || access::may_read(&session, principal, &Facts::default());
            (session, near.member, candidate.member_state == Some(ACTIVE), readable)
        };
        handle.reference = session.reference.clone();
        let hidden = session.visibility() == Visibility::Private && !member && !server;
        let idle = include.related_info && !lived;
        if hidden || idle {
            return Ok(None);
        }
        let owners: Vec<(MemberIndex, Xuid)> =
            found.owners.iter().filter_map(|(index, xuid)| Some((u32::try_from(*index).ok()?, Xuid(*xuid)))).collect();
        let shown =
            Shown { handle: &handle, session: Some(&session), readable, owners: &owners, game_types: service.game_types() };
        Ok(Some(render(&shown, include)))
    }
}
