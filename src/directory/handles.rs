//! Handles: made, shown and deleted; activities as others find them, invites as their users do (handles.md).

use std::collections::HashSet;
use std::sync::Arc;

use tracing::error;

use super::plan::Asked;
use super::queue::Wish;
use super::sessions::corrupt;
use super::{Directory, DirectoryError};
use crate::domain::access::{self, Facts, Nearness, Pass};
use crate::domain::command::Command;
use crate::domain::handle::{About, ActivityQuery, Handle, HandleType, Include, Invite, Owners};
use crate::domain::listing::Listing;
use crate::domain::names::{HandleId, MemberIndex, SessionName, SessionReference, Xuid};
use crate::domain::principal::{Principal, User};
use crate::domain::refusal::Refusal;
use crate::domain::session::{Session, Visibility};
use crate::json::Json;
use crate::store::projection;
use crate::store::rows::{ActivityRow, HandleReadRow, HandleRow};
use crate::store::{ActivitiesAsk, HandleAsk, StoreError};
use crate::wire::handle::{Shown, render};
use crate::wire::handle_request::{HandleRequest, Wanted};
use crate::wire::stored;

/// The code of an active member.
const ACTIVE: i16 = 3;

impl Directory {
    /// Makes a handle of any type and shows it.
    ///
    /// # Errors
    /// 404 for an unknown service config or template, and where the type needs a session that exists; 403 for whoever may not make it.
    pub async fn create_handle(
        &self,
        request: HandleRequest,
        principal: &Arc<Principal>,
        include: Include,
    ) -> Result<Json, DirectoryError> {
        let service = self.catalog.service(&request.scid, principal)?;
        let template = Arc::clone(service.template(request.template.as_str())?);
        let name = match request.name {
            Some(name) => name,
            None => SessionName::parse(&self.ids.uuid().to_string()).expect("a GUID is a name"),
        };
        let reference = SessionReference { scid: request.scid, template: template.name.clone(), name };
        let maker = principal.user();
        let mut handle = Handle {
            id: HandleId(self.ids.uuid()),
            reference: reference.clone(),
            owner: maker.map(|user| user.xuid),
            title_id: maker.and_then(|user| user.title_id),
            created_at: self.clock.now(),
            about: About::Activity,
        };
        let command = match request.wanted {
            Wanted::Activity => Command::Show,
            Wanted::Transfer { origin } => {
                let service = self.catalog.service(&origin.scid, principal)?;
                let template = service.template(origin.template.as_str())?.name.clone();
                let origin = SessionReference { template, ..origin };
                handle.about = About::Transfer { origin };
                Command::Transfer
            }
            Wanted::Invite { invited, attributes } => {
                let expires_at = handle.created_at.checked_add_signed(self.options.limits.invite).unwrap_or(handle.created_at);
                let sender = maker.and_then(|user| user.gamertag.clone()).unwrap_or_default();
                // Whoever may invite may read the session, so it is no secret what it says of invites.
                let protocol = self.view(reference.sid(), principal).await?.session.and_then(|session| session.invite_protocol());
                handle.about = About::Invite(Invite { invited, expires_at, attributes, protocol, sender });
                Command::Invite(invited)
            }
            Wanted::Search(attributes) => {
                handle.about = About::Search(attributes.clone());
                let Some(owner) = handle.owner else {
                    return Err(Refusal::forbidden("a search handle is made by one user (A-03)").into());
                };
                let Handle { id, title_id, created_at: posted_at, .. } = handle;
                Command::List(Arc::new(Listing { id, posted_at, owner, title_id, attributes }))
            }
        };
        let row = match command {
            Command::List(_) => None,
            Command::Show => {
                let expires_at = handle.created_at.checked_add_signed(self.options.limits.unbound_activity);
                Some(HandleRow { expires_at, ..projection::handle_row(&handle) })
            }
            _ => Some(projection::handle_row(&handle)),
        };
        let sid = reference.sid();
        let principal_of = Arc::clone(principal);
        let asked =
            Asked { reference, template, principal: principal_of, command, handle: row, pass: Pass::Nothing, nocommit: false };
        self.writer.ask(sid, Wish::Do(Box::new(asked))).await?;
        self.show_handle(&handle, principal, &Pass::Nothing, include).await
    }

    /// Shows a handle to those who may see it (H-07).
    ///
    /// # Errors
    /// 404 when it is unknown; 403 when the caller is not named in it and may not read its session either.
    pub async fn read_handle(&self, id: HandleId, principal: &Arc<Principal>, include: Include) -> Result<Json, DirectoryError> {
        let row = self.settled_handle_row(id, principal).await?;
        let handle = handle_of(&row.handle)?;
        self.catalog.service(&handle.reference.scid, principal)?;
        let pass = self.pass_of(&row, principal).await?;
        self.show_handle(&handle, principal, &pass, include).await
    }

    async fn show_handle(
        &self,
        handle: &Handle,
        principal: &Arc<Principal>,
        pass: &Pass,
        include: Include,
    ) -> Result<Json, DirectoryError> {
        let view = self.view(handle.reference.sid(), principal).await?;
        let may_read = |session: &Session| access::may_read(session, principal, &view.facts) || pass.shows(session, principal);
        let readable = view.session.as_ref().is_some_and(may_read);
        if !handle.names(principal) && !principal.is_server_for(&handle.reference.scid) && !readable {
            return Err(Refusal::forbidden("the handle does not concern the caller, who may not read its session either").into());
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
    /// 404 when it is unknown; 403 when its type does not let the caller.
    pub async fn delete_handle(&self, id: HandleId, principal: &Arc<Principal>) -> Result<(), DirectoryError> {
        let row = self.find_handle_row(id, principal).await?;
        let handle = handle_of(&row.handle)?;
        let service = self.catalog.service(&handle.reference.scid, principal)?;
        if handle.kind() == HandleType::Search {
            // The session shows that it can be found (S-26), so it changes with that.
            let template = Arc::clone(service.template(handle.reference.template.as_str())?);
            let sid = handle.reference.sid();
            let asked = Asked {
                reference: handle.reference,
                template,
                principal: Arc::clone(principal),
                command: Command::Unlist(id),
                handle: None,
                pass: Pass::Nothing,
                nocommit: false,
            };
            return self.writer.ask(sid, Wish::Do(Box::new(asked))).await.map(drop);
        }
        if !handle.may_delete(principal) {
            return Err(Refusal::forbidden(match handle.kind() {
                HandleType::Invite => "only its sender, the invited user and servers may delete an invite",
                HandleType::Activity => "only the owner, from the title it was made by, and servers may delete an activity",
                _ => "only its creator and servers may delete the handle",
            })
            .into());
        }
        if self.store.delete_handle(id.0).await? { Ok(()) } else { Err(DirectoryError::UnknownHandle) }
    }

    /// The invites that a user has got and can follow, newest first (our extension for clients without a console).
    ///
    /// # Errors
    /// 403 for whoever is not one user.
    pub async fn invites(&self, principal: &Arc<Principal>, take: u32) -> Result<Vec<Json>, DirectoryError> {
        let user = inbox_owner(principal)?;
        let rows = self.store.find_invites(user.xuid.0, self.clock.now(), i64::from(take)).await?;
        let mut shown = Vec::with_capacity(rows.len());
        for row in &rows {
            match handle_of(row) {
                Ok(handle) if self.catalog.service(&handle.reference.scid, principal).is_ok() => {
                    shown.push(render(
                        &Shown { handle: &handle, session: None, readable: false, owners: &[] },
                        Include::default(),
                    ));
                }
                Ok(_) => {}
                Err(error) => error!(handle.id = %row.id, %error, "an invite is left out: it cannot be read"),
            }
        }
        Ok(shown)
    }

    /// Deletes an invite from the caller's own inbox.
    ///
    /// # Errors
    /// 404 when there is none with this id; 403 for whoever is not one user.
    pub async fn delete_invite(&self, id: HandleId, principal: &Arc<Principal>) -> Result<(), DirectoryError> {
        let user = inbox_owner(principal)?;
        let row = self.find_handle_row(id, principal).await?;
        if !handle_of(&row.handle)?.invites(user.xuid) {
            return Err(DirectoryError::UnknownHandle);
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
                self.store.list_follows(of.0, *favorites).await?
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
            limit: 1000,
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
            if self.catalog.service(&scid.into(), principal).is_err() || !seen.insert(row.handle.id) {
                continue;
            }
            match self.show_activity(&row, principal, include).await {
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
        Ok(Some(render(&Shown { handle: &handle, session: Some(&session), readable, owners: &owners }, include)))
    }

    /// Finds a handle after its session was evaluated, which may end both (M-24, H-22).
    pub(super) async fn settled_handle_row(
        &self,
        id: HandleId,
        principal: &Arc<Principal>,
    ) -> Result<HandleReadRow, DirectoryError> {
        let row = self.find_handle_row(id, principal).await?;
        let due = row.session.as_ref().and_then(|session| session.next_timer_at);
        if due.is_none_or(|due| due > self.clock.now()) {
            return Ok(row);
        }
        self.view(row.handle.reference.sid, principal).await?;
        self.find_handle_row(id, principal).await
    }

    /// Finds a handle as it is stored.
    async fn find_handle_row(&self, id: HandleId, principal: &Principal) -> Result<HandleReadRow, DirectoryError> {
        let ask = HandleAsk { id: id.0, caller: principal.xuid().map(|xuid| xuid.0) };
        let rows = self.store.read_by_handles(&[ask], self.clock.now()).await?;
        rows.into_iter().next().flatten().ok_or(DirectoryError::UnknownHandle)
    }
}

/// Whose inbox is meant.
fn inbox_owner(principal: &Principal) -> Result<&User, Refusal> {
    principal.user().ok_or_else(|| Refusal::forbidden("an inbox belongs to one user (A-03)"))
}

fn handle_of(row: &HandleRow) -> Result<Handle, StoreError> {
    projection::handle_of(row).map_err(|error| StoreError::Corrupt { reference: row.id.to_string(), why: error.to_string() })
}
