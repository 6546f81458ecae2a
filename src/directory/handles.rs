//! Handles: made, shown and deleted; invites as those see them who got them (handles.md).

use std::sync::Arc;

use tracing::error;
use uuid::Uuid;

use super::catalog::Service;
use super::plan::{Asked, Posted};
use super::queue::{Done, View, Wish};
use super::{Directory, DirectoryError};
use crate::domain::access::{self, Pass};
use crate::domain::command::Command;
use crate::domain::handle::{About, Handle, HandleType, Include, Invite};
use crate::domain::listing::Listing;
use crate::domain::names::{HandleId, Scid, SessionName, SessionReference, TitleId, Xuid};
use crate::domain::principal::{Principal, User};
use crate::domain::refusal::Refusal;
use crate::domain::session::{Session, Visibility};
use crate::json::Json;
use crate::store::projection;
use crate::store::rows::{HandleReadRow, HandleRow};
use crate::store::{HandleAsk, StoreError};
use crate::wire::handle::{Related, Shown, render};
use crate::wire::handle_request::{HandleRequest, Wanted};

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
                handle.about = About::Invite(Invite { invited, expires_at, attributes, protocol: None, sender });
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
        let sid = reference.sid();
        let unbound_until = handle.created_at.checked_add_signed(self.options.limits.unbound_activity);
        let posted = match command {
            // It is a part of its session.
            Command::List(_) => None,
            _ => Some(Posted { handle: handle.clone(), unbound_until }),
        };
        let principal_of = Arc::clone(principal);
        let asked =
            Asked { reference, template, principal: principal_of, command, handle: posted, pass: Pass::Nothing, nocommit: false };
        // What it leads to is shown as it was when the handle was made, which is all that its maker needs to know.
        let Done::Viewed(view) = self.writer.ask(sid, Wish::Do(Box::new(asked))).await? else {
            unreachable!("whoever makes a handle is answered by what it leads to")
        };
        if let Some(session) = &view.session {
            handle.learn(session);
        }
        show_handle(handle, principal, &Pass::Nothing, include, &service, &view)
    }

    /// Shows a handle to those who may see it (H-07).
    ///
    /// # Errors
    /// 404 when it is unknown; 403 when the caller is not named in it and may not read its session either.
    pub async fn read_handle(&self, id: HandleId, principal: &Arc<Principal>, include: Include) -> Result<Json, DirectoryError> {
        let row = self.settled_handle_row(id, principal).await?;
        let handle = handle_of(&row.handle)?;
        let service = self.catalog.service(&handle.reference.scid, principal)?;
        let pass = self.pass_of(&row, principal).await?;
        let view = self.view(handle.reference.sid(), principal).await?;
        show_handle(handle, principal, &pass, include, &service, &view)
    }

    /// Deletes a handle (H-08).
    ///
    /// # Errors
    /// 404 when it is unknown; 403 when its type does not let the caller.
    pub async fn delete_handle(&self, id: HandleId, principal: &Arc<Principal>) -> Result<(), DirectoryError> {
        let row = self.deletable_handle_row(id, principal).await?;
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
        let usable = |scid: &Uuid| self.catalog.service(&Scid::from(*scid), principal).is_ok();
        let scids: Vec<Uuid> = self.catalog.scids().into_iter().filter(usable).collect();
        let rows = self.store.find_invites(user.xuid.0, &scids, self.clock.now(), i64::from(take)).await?;
        let mut shown = Vec::with_capacity(rows.len());
        for row in &rows {
            let handle = match handle_of(row) {
                Ok(handle) => handle,
                Err(error) => {
                    error!(handle.id = %row.id, %error, "an invite is left out: it cannot be read");
                    continue;
                }
            };
            let Ok(service) = self.catalog.service(&handle.reference.scid, principal) else { continue };
            shown.push(render(&Shown::bare(&handle, service.game_types()), Include::default()));
        }
        Ok(shown)
    }

    /// An invite as the invited user's socket is told of it, for a title that may use the service config (N-60).
    #[must_use]
    pub fn invite_for_title(&self, row: &HandleRow, invited: Xuid, title_id: TitleId) -> Option<String> {
        let handle = handle_of(row).ok()?;
        let user = User {
            xuid: invited,
            gamertag: None,
            title_id: Some(title_id),
            device_id: None,
            device_type: None,
            multiplayer: true,
        };
        let service = self.catalog.service(&handle.reference.scid, &Principal::User(user)).ok()?;
        Some(render(&Shown::bare(&handle, service.game_types()), Include::default()).to_string())
    }

    /// Deletes an invite from the caller's own inbox.
    ///
    /// # Errors
    /// 404 when there is none with this id; 403 for whoever is not one user.
    pub async fn delete_invite(&self, id: HandleId, principal: &Arc<Principal>) -> Result<(), DirectoryError> {
        let user = inbox_owner(principal)?;
        let row = self.deletable_handle_row(id, principal).await?;
        if !handle_of(&row.handle)?.invites(user.xuid) {
            return Err(DirectoryError::UnknownHandle);
        }
        if self.store.delete_handle(id.0).await? { Ok(()) } else { Err(DirectoryError::UnknownHandle) }
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
        self.settle(row.handle.reference.sid).await?;
        self.find_handle_row(id, principal).await
    }

    /// The same for a handle that is to go: that its session cannot be evaluated keeps nobody from deleting it.
    async fn deletable_handle_row(&self, id: HandleId, principal: &Arc<Principal>) -> Result<HandleReadRow, DirectoryError> {
        match self.settled_handle_row(id, principal).await {
            Err(DirectoryError::Busy | DirectoryError::Store(StoreError::Corrupt { .. })) => {
                self.find_handle_row(id, principal).await
            }
            found => found,
        }
    }

    /// Finds a handle as it is stored.
    async fn find_handle_row(&self, id: HandleId, principal: &Principal) -> Result<HandleReadRow, DirectoryError> {
        let ask = HandleAsk { id: id.0, caller: principal.xuid().map(|xuid| xuid.0) };
        let rows = self.store.read_by_handles(&[ask], self.clock.now()).await?;
        rows.into_iter().next().flatten().ok_or(DirectoryError::UnknownHandle)
    }
}

/// Shows a handle, and of its session what the caller may see.
fn show_handle(
    mut handle: Handle,
    principal: &Principal,
    pass: &Pass,
    include: Include,
    service: &Service,
    view: &View,
) -> Result<Json, DirectoryError> {
    let may_read = |session: &Session| access::may_read(session, principal, &view.facts) || pass.shows(session, principal);
    let readable = view.session.as_ref().is_some_and(may_read);
    let server = principal.is_server_for(&handle.reference.scid);
    if !handle.names(principal) && !server && !readable {
        return Err(Refusal::forbidden("the handle does not concern the caller, who may not read its session either").into());
    }
    // Whoever is named in the handle of a private session without being a member learns nothing more of it.
    let shown = view.session.as_ref().filter(|session| readable || server || session.visibility() != Visibility::Private);
    if let Some(session) = shown {
        handle.reference = session.reference.clone();
    }
    let shown = Shown { session: shown.map(Related::of), readable, ..Shown::bare(&handle, service.game_types()) };
    Ok(render(&shown, include))
}

/// Whose inbox is meant.
fn inbox_owner(principal: &Principal) -> Result<&User, Refusal> {
    principal.user().ok_or_else(|| Refusal::forbidden("an inbox belongs to one user (A-03)"))
}

pub(super) fn handle_of(row: &HandleRow) -> Result<Handle, StoreError> {
    projection::handle_of(row).map_err(|error| StoreError::Corrupt { reference: row.id.to_string(), why: error.to_string() })
}
