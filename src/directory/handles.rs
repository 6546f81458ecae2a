//! Activities: made, shown, deleted and searched for (handles.md).

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::error;

use super::catalog::Service;
use super::plan::Asked;
use super::queue::Wish;
use super::sessions::corrupt;
use super::{Directory, DirectoryError};
use crate::domain::access::{self, Facts, Nearness};
use crate::domain::command::Command;
use crate::domain::handle::{ActivityQuery, Handle, HandleType, Include, Owners};
use crate::domain::names::{HandleId, MemberIndex, SessionName, SessionReference, TitleId, Xuid};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::domain::session::Visibility;
use crate::json::Json;
use crate::store::projection;
use crate::store::rows::{ActivityRow, HandleRow};
use crate::store::{ActivitiesAsk, HandleAsk, StoreError};
use crate::wire::handle::{HandleRequest, Shown, render};
use crate::wire::stored;

/// The code of an active member.
const ACTIVE: i16 = 3;
/// The most activities that are looked at for one query, of which the caller may not be shown all.
const FOUND_MAX: i64 = 1000;

impl Directory {
    /// Makes a session its caller's activity (H-20, H-21) and shows the handle.
    ///
    /// # Errors
    /// 404 for an unknown service config or template; 403 for servers and for users who are not active in the session.
    pub async fn create_activity(
        &self,
        request: HandleRequest,
        principal: &Arc<Principal>,
        include: Include,
    ) -> Result<Json, DirectoryError> {
        let service = self.catalog.service(&request.scid, principal)?;
        let template = service.template(request.template.as_str())?;
        let Principal::User(user) = principal.as_ref() else {
            return Err(Refusal::forbidden("only a user has an activity: a server posts none, not even for a user").into());
        };
        access::may_play(user)?;
        let name = match request.name {
            Some(name) => name,
            None => SessionName::parse(&self.ids.uuid().to_string()).expect("a GUID is a name"),
        };
        let reference = SessionReference { scid: request.scid, template: template.name.clone(), name };
        let now = self.clock.now();
        let handle = Handle {
            id: HandleId(self.ids.uuid()),
            kind: HandleType::Activity,
            reference: reference.clone(),
            owner: user.xuid,
            title_id: user.title_id,
            created_at: now,
        };
        let row = HandleRow {
            id: handle.id.0,
            kind: 0,
            reference: projection::reference_row(&reference),
            owner: Some(user.xuid.0),
            title_id: user.title_id.map(|title| title.0),
            invited: None,
            created_at: now,
            expires_at: now.checked_add_signed(self.options.limits.unbound_activity),
            document: None,
        };
        let asked = Asked {
            reference: reference.clone(),
            template: Arc::clone(template),
            principal: Arc::clone(principal),
            command: Command::BindActivity,
            activity: Some(row),
            nocommit: false,
        };
        self.writer.ask(reference.sid(), Wish::Do(Box::new(asked))).await?;
        Ok(with_game_types(self.show_handle(&handle, principal, include).await?, &service))
    }

    /// Shows a handle to those who may see it (H-07).
    ///
    /// # Errors
    /// 404 when it is unknown; 403 when the caller is neither its owner nor a reader of its session.
    pub async fn read_handle(&self, id: HandleId, principal: &Arc<Principal>, include: Include) -> Result<Json, DirectoryError> {
        let handle = handle_of(&self.settled_handle_row(id, principal).await?)?;
        let service = self.catalog.service(&handle.reference.scid, principal)?;
        Ok(with_game_types(self.show_handle(&handle, principal, include).await?, &service))
    }

    async fn show_handle(&self, handle: &Handle, principal: &Arc<Principal>, include: Include) -> Result<Json, DirectoryError> {
        let view = self.view(handle.reference.sid(), principal).await?;
        let readable = view.session.as_ref().is_some_and(|session| access::may_read(session, principal, &view.facts));
        let own = principal.xuid() == Some(handle.owner) || principal.is_server_for(&handle.reference.scid);
        if !own && !readable {
            return Err(Refusal::forbidden("the handle is neither the caller's own nor of a session the caller may read").into());
        }
        let mut handle = handle.clone();
        if let Some(session) = &view.session {
            handle.reference = session.reference.clone();
        }
        Ok(render(&Shown { handle: &handle, session: view.session.as_ref(), readable, owners: &[] }, include))
    }

    /// Deletes a handle (H-08).
    ///
    /// # Errors
    /// 404 when it is unknown; 403 when it is neither the caller's own nor the caller a server.
    pub async fn delete_handle(&self, id: HandleId, principal: &Arc<Principal>) -> Result<(), DirectoryError> {
        let (row, _) = self.find_handle_row(id).await?;
        let handle = handle_of(&row)?;
        self.catalog.service(&handle.reference.scid, principal)?;
        if !handle.may_delete(principal) {
            return Err(
                Refusal::forbidden("only the owner, from the title it was made by, and servers may delete an activity").into()
            );
        }
        if self.store.delete_handle(id.0).await? { Ok(()) } else { Err(DirectoryError::UnknownHandle) }
    }

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
            Owners::People { favorites, of } => {
                let own = principal.xuid();
                let Some(of) = of.or(own).filter(|of| own == Some(*of) || own.is_none()) else {
                    return Err(Refusal::forbidden("owners.people.monikerXuid: only the caller's own list may be used").into());
                };
                if self.options.everybody_follows && !*favorites {
                    self.store.list_newest_owners(of.0, query.scid.map(|scid| scid.id()), FOUND_MAX).await?
                } else {
                    self.store.list_follows(of.0, *favorites).await?
                }
            }
        };
        let by_people = matches!(query.owners, Owners::People { .. });
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
            match self.show_activity(&row, principal, include).await {
                Ok(shown) => results.extend(shown.map(|shown| with_game_types(shown, &service))),
                // One session that cannot be read must not fail the others.
                Err(DirectoryError::Store(error @ StoreError::Corrupt { .. })) => {
                    error!(handle.id = %row.handle.id, %error, "an activity is left out: its session cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    }

    /// Renders one activity for a query; `None` when the caller is not to see it (H-21, H-57, H-58).
    async fn show_activity(
        &self,
        row: &ActivityRow,
        principal: &Arc<Principal>,
        include: Include,
    ) -> Result<Option<Json>, DirectoryError> {
        let mut handle = handle_of(&row.handle)?;
        let Some(found) = &row.session else {
            let shown = !include.related_info;
            return Ok(shown.then(|| render(&Shown { handle: &handle, session: None, readable: false, owners: &[] }, include)));
        };
        let candidate = &found.candidate;
        let server = principal.is_server_for(&handle.reference.scid);
        let due = candidate.next_timer_at.is_some_and(|due| due <= self.clock.now());
        let asks_several = !server && principal.users().len() > 1;
        let (session, member, lived, readable) = if due || asks_several {
            let view = self.view_with(candidate.reference.sid, principal, vec![handle.owner]).await?;
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
        Ok(Some(render(&Shown { handle: &handle, session: Some(&session), readable, owners: &owners }, include)))
    }

    /// Finds a handle after its session was evaluated, which may end both (M-24, H-22).
    pub(super) async fn settled_handle_row(&self, id: HandleId, principal: &Arc<Principal>) -> Result<HandleRow, DirectoryError> {
        let (row, due_at) = self.find_handle_row(id).await?;
        if due_at.is_none_or(|due| due > self.clock.now()) {
            return Ok(row);
        }
        self.view(row.reference.sid, principal).await?;
        Ok(self.find_handle_row(id).await?.0)
    }

    /// Finds a handle as it is stored, and when the next timer of its session is due.
    async fn find_handle_row(&self, id: HandleId) -> Result<(HandleRow, Option<DateTime<Utc>>), DirectoryError> {
        let ask = HandleAsk { id: id.0, caller: None };
        let rows = self.store.read_by_handles(&[ask], self.clock.now()).await?;
        let row = rows.into_iter().next().flatten().ok_or(DirectoryError::UnknownHandle)?;
        let mut handle = row.handle;
        let Some(session) = row.session else { return Ok((handle, None)) };
        handle.reference = session.reference;
        Ok((handle, session.next_timer_at))
    }
}

/// A rendered activity, with what its title is called on each platform where that is configured (H-19).
fn with_game_types(mut shown: Json, service: &Service) -> Json {
    let game_types = service.game_types();
    if let (Json::Object(fields), false) = (&mut shown, game_types == Json::object()) {
        fields.insert("gameTypes".into(), game_types);
    }
    shown
}

fn handle_of(row: &HandleRow) -> Result<Handle, StoreError> {
    let reference = projection::reference_of(&row.reference).ok_or_else(|| corrupt(row.id))?;
    let owner = row
        .owner
        .map(Xuid)
        .ok_or_else(|| StoreError::Corrupt { reference: row.id.to_string(), why: "it has no owner".into() })?;
    Ok(Handle {
        id: HandleId(row.id),
        kind: HandleType::Activity,
        reference,
        owner,
        title_id: row.title_id.map(TitleId),
        created_at: row.created_at,
    })
}
