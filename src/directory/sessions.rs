//! Reading and writing one session, by its reference or through a handle.

use std::sync::Arc;

use uuid::Uuid;

use super::plan::Asked;
use super::queue::{Done, Settled, View, Wish};
use super::{Directory, DirectoryError, Document, Reader, Written};
use crate::domain::access::{self, Nearness, Pass};
use crate::domain::command::{Command, Write};
use crate::domain::connection::Lost;
use crate::domain::names::{Branch, ETag, HandleId, SessionReference, Xuid};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::domain::session::{Restriction, Visibility};
use crate::domain::template::Template;
use crate::store::rows::{HandleReadRow, ReadRow, handle_code};
use crate::store::{FactsAsk, HandleAsk, ReadAsk, StoreError, projection};
use crate::wire::large;

/// A write on one session.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The session.
    pub reference: SessionReference,
    /// Its template.
    pub template: Arc<Template>,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// What for.
    pub write: Write,
    /// Whether to say only what would happen.
    pub nocommit: bool,
    /// What the handle adds that the caller comes through.
    pub pass: Pass,
}

impl Directory {
    /// Writes a session (W-38) and answers once it is durable.
    ///
    /// # Errors
    /// What a rule refuses, and what the store cannot do.
    pub async fn write(&self, request: WriteRequest) -> Result<Written, DirectoryError> {
        let sid = request.reference.sid();
        let asked = Asked {
            reference: request.reference,
            template: request.template,
            principal: request.principal,
            command: Command::Write(Box::new(request.write)),
            handle: None,
            pass: request.pass,
            nocommit: request.nocommit,
        };
        match self.writer.ask(sid, Wish::Do(Box::new(asked))).await? {
            Done::Written(written) => Ok(written),
            Done::Viewed(_) | Done::Settled(_) | Done::Noted => unreachable!("a command is answered by what it came to"),
        }
    }

    /// Records that connections are lost, in one session that members are registered in with them (N-40).
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn lose(&self, sid: Uuid, lost: Vec<Lost>) -> Result<(), DirectoryError> {
        self.writer.ask(sid, Wish::Lose(lost)).await.map(drop)
    }

    /// Evaluates what is due and shows what is there then (M-24).
    pub(super) async fn view(&self, sid: Uuid, principal: &Arc<Principal>) -> Result<View, DirectoryError> {
        self.view_with(sid, principal, Vec::new()).await
    }

    /// The same with the entries of further users, which a large session comes without otherwise.
    pub(super) async fn view_with(
        &self,
        sid: Uuid,
        principal: &Arc<Principal>,
        others: Vec<Xuid>,
    ) -> Result<View, DirectoryError> {
        match self.writer.ask(sid, Wish::View(Arc::clone(principal), others)).await? {
            Done::Viewed(view) => Ok(*view),
            Done::Written(_) | Done::Settled(_) | Done::Noted => unreachable!("a look is answered by what there is to see"),
        }
    }

    /// Evaluates what is due, for nobody to see.
    pub(super) async fn settle(&self, sid: Uuid) -> Result<Settled, DirectoryError> {
        match self.writer.ask(sid, Wish::Settle).await? {
            Done::Settled(settled) => Ok(settled),
            Done::Written(_) | Done::Viewed(_) | Done::Noted => unreachable!("an evaluation is answered by what it came to"),
        }
    }

    /// Reads a session; `None` when it does not exist.
    ///
    /// # Errors
    /// 403 when the caller may not read it; what the store cannot do.
    pub async fn read(
        &self,
        reference: &SessionReference,
        principal: &Arc<Principal>,
    ) -> Result<Option<Document>, DirectoryError> {
        self.read_by(&self.reader, reference, principal).await
    }

    /// The same by the thread's own reader.
    ///
    /// # Errors
    /// As `read`.
    pub async fn read_by(
        &self,
        reader: &Reader,
        reference: &SessionReference,
        principal: &Arc<Principal>,
    ) -> Result<Option<Document>, DirectoryError> {
        let ask = ReadAsk { sid: reference.sid(), caller: principal.xuid().map(|xuid| xuid.0) };
        match reader.session(ask).await? {
            Some(row) => self.show(row, principal, &Pass::Nothing).await,
            None => Ok(None),
        }
    }

    /// Reads a session through a handle (R-53, H-45), by the thread's own reader.
    ///
    /// # Errors
    /// 404 when the handle is unknown; otherwise as `read`.
    pub async fn read_through(
        &self,
        reader: &Reader,
        handle: HandleId,
        principal: &Arc<Principal>,
    ) -> Result<Option<Document>, DirectoryError> {
        let ask = HandleAsk { id: handle.0, caller: principal.xuid().map(|xuid| xuid.0) };
        let row = reader.handle(ask).await?.ok_or(DirectoryError::UnknownHandle)?;
        self.catalog.service(&row.handle.reference.scid.into(), principal)?;
        let pass = self.pass_of(&row, principal).await?;
        match row.session {
            // A session that ends as it is evaluated takes the handle along (H-22), but for an invite (H-34).
            Some(session) => match self.show(session, principal, &pass).await? {
                None if row.handle.kind != handle_code::INVITE => Err(DirectoryError::UnknownHandle),
                shown => Ok(shown),
            },
            None => Ok(None),
        }
    }

    /// Finds the session that a handle leads to, its template, and what the handle adds for the caller, for a write.
    ///
    /// # Errors
    /// 404 when the handle is unknown; 403 when the caller may not use its service config.
    pub async fn follow(
        &self,
        handle: HandleId,
        principal: &Arc<Principal>,
    ) -> Result<(SessionReference, Arc<Template>, Pass), DirectoryError> {
        let row = self.settled_handle_row(handle, principal).await?;
        let at = &row.session.as_ref().map_or(&row.handle.reference, |session| &session.reference);
        let service = self.catalog.service(&at.scid.into(), principal)?;
        let template = Arc::clone(service.template(&at.template)?);
        let reference = projection::reference_of(at).ok_or_else(|| corrupt(row.handle.id))?;
        let pass = self.pass_of(&row, principal).await?;
        Ok((reference, template, pass))
    }

    /// What a handle adds to the caller's own rights (H-40 to H-43); `row` was read for this caller.
    pub(super) async fn pass_of(&self, row: &HandleReadRow, principal: &Arc<Principal>) -> Result<Pass, DirectoryError> {
        Ok(match (row.handle.kind, row.handle.invited) {
            (handle_code::INVITE, Some(invited)) => Pass::Invited { invited: Xuid(invited), at: row.handle.created_at },
            (handle_code::SEARCH, _) => Pass::Anybody,
            (handle_code::TRANSFER, _) => Pass::Origin(self.come_from_origin(row, principal).await?),
            _ => Pass::Nothing,
        })
    }

    /// Those of the callers who are accepted members of the session that a transfer handle comes from (H-43), once what is due there
    /// is evaluated (M-24).
    async fn come_from_origin(&self, row: &HandleReadRow, principal: &Arc<Principal>) -> Result<Vec<Xuid>, DirectoryError> {
        let users = principal.users();
        match (users, row.origin_due, row.handle.origin) {
            ([], ..) => return Ok(Vec::new()),
            ([user], false, _) => return Ok(row.from_origin.then_some(user.xuid).into_iter().collect()),
            (_, true, Some((origin, _))) => drop(self.settle(origin).await?),
            _ => {}
        }
        let asks: Vec<_> = users.iter().map(|user| HandleAsk { id: row.handle.id, caller: Some(user.xuid.0) }).collect();
        let rows = self.store.read_by_handles(&asks, self.clock.now()).await?;
        let from_origin = |row: &Option<HandleReadRow>| row.as_ref().is_some_and(|row| row.from_origin);
        Ok(users.iter().zip(&rows).filter(|(_, row)| from_origin(row)).map(|(user, _)| user.xuid).collect())
    }

    /// Shows a stored session to a caller, settled first if something is due.
    async fn show(&self, row: ReadRow, principal: &Arc<Principal>, pass: &Pass) -> Result<Option<Document>, DirectoryError> {
        let due = row.next_timer_at.is_some_and(|due| due <= self.clock.now());
        // Where everybody follows everybody, it matters whether anybody is accepted: only the whole session tells.
        let asks_all = self.options.everybody_follows && row.caller_state.is_none() && row.read_restriction != 0;
        let scid = row.reference.scid.into();
        let server = principal.is_server_for(&scid);
        let asks_several = !server && principal.users().len() > 1;
        if due || asks_all || asks_several {
            return self.show_settled(row.reference.sid, principal, pass).await;
        }
        let visibility = projection::visibility_of(row.visibility);
        let restriction = projection::restriction_of(row.read_restriction);
        let readable = match principal.user() {
            _ if server || pass.opens(visibility, principal) => true,
            None => false,
            Some(user) => {
                let mut nearness = Nearness { member: row.caller_state.is_some(), followed: false, local: false };
                if !nearness.member && visibility != Visibility::Private && restriction != Restriction::None {
                    let ask = FactsAsk { sid: row.reference.sid, caller: user.xuid.0, device_id: user.device_id.clone() };
                    let facts = self.doorkeeper.ask(ask).await.ok_or(DirectoryError::Busy)??;
                    nearness.followed |= facts.followed;
                    nearness.local = facts.local;
                }
                nearness.may_read(visibility, restriction)
            }
        };
        let large = row.private.is_some();
        let invited = matches!(pass, Pass::Invited { .. }) && visibility == Visibility::Private;
        if !readable && (large || invited) {
            // Only the whole session tells whether it is a broadcast that the caller's title may look at, or the one that the
            // caller was invited into.
            return self.show_settled(row.reference.sid, principal, pass).await;
        }
        if !readable {
            return Err(unreadable());
        }
        asks_alone(large, principal)?;
        let reference = projection::reference_of(&row.reference).ok_or_else(|| corrupt(row.reference.sid))?;
        let body = match &row.private {
            None => row.body,
            Some(private) => large::read_shown(&row.body, private, row.caller_document.as_deref())
                .map_err(|error| StoreError::Corrupt { reference: reference.to_string(), why: error.to_string() })?,
        };
        Ok(Some(Document {
            location: reference.path(),
            etag: ETag { branch: Branch(row.branch), change_number: row.change_number.cast_unsigned() },
            next_timer_at: row.next_timer_at,
            body: Arc::new(body),
        }))
    }

    /// Shows a session to a caller once what is due is settled, judged by the session itself.
    async fn show_settled(&self, sid: Uuid, principal: &Arc<Principal>, pass: &Pass) -> Result<Option<Document>, DirectoryError> {
        let view = self.view(sid, principal).await?;
        let Some(session) = &view.session else { return Ok(None) };
        if !access::may_read(session, principal, &view.facts) && !pass.shows(session, principal) {
            return Err(unreadable());
        }
        asks_alone(session.is_large(), principal)?;
        Ok(view.document)
    }
}

/// A large session is shown to one user at a time: each sees another document.
fn asks_alone(large: bool, principal: &Principal) -> Result<(), Refusal> {
    if large && principal.users().len() > 1 {
        return Err(Refusal::forbidden("a large session takes one acting user at a time"));
    }
    Ok(())
}

pub(super) fn corrupt(id: Uuid) -> StoreError {
    StoreError::Corrupt { reference: id.to_string(), why: "its reference is malformed".to_owned() }
}

fn unreadable() -> DirectoryError {
    Refusal::forbidden("the caller may not read the session: it is private, or its readRestriction is not met").into()
}
