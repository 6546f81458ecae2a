//! What administrators do: they look at everything, end sessions, take members out, ban users, publish templates, and all they change
//! is written down first.

use std::sync::Arc;

use tracing::warn;
use uuid::Uuid;

use super::plan::Asked;
use super::queue::Wish;
use super::{Directory, DirectoryError, actor};
use crate::domain::access::Pass;
use crate::domain::command::Command;
use crate::domain::names::{MemberIndex, SessionReference, Xuid};
use crate::domain::principal::Principal;
use crate::domain::template::Template;
use crate::store::rows::{ServiceConfigRow, TemplateRow, handle_code};
use crate::store::{AuditRow, BANS_MAX, BanPut, BanRow, Publication, StoreError, projection};
use crate::wire::whole::{self, Kept};

/// The longest outcome that is written down, in characters.
const OUTCOME_MAX: usize = 500;

/// An action that is to be written down.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    /// What is done, as in `session.close`.
    pub action: &'static str,
    /// What it is done to.
    pub target: String,
    /// Why, if that was said.
    pub reason: Option<String>,
    /// What else there is to say.
    pub detail: Option<String>,
}

impl Deed {
    /// The same with something else to say about it.
    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// Why an action was not done.
#[derive(Debug)]
pub enum Unaudited<E> {
    /// It could not be written down, and was not done.
    Audit(StoreError),
    /// It was written down, and this refused it.
    Deed(E),
}

impl Directory {
    /// Writes down what an administrator is about to do, does it, and writes down what came of that. It has to be run to its end: a
    /// caller that goes away must not keep the outcome from being known.
    ///
    /// # Errors
    /// What the deed comes to; before that, what keeps it from being written down.
    pub async fn audited<T, E: std::fmt::Display>(
        &self,
        principal: &Principal,
        deed: Deed,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Unaudited<E>> {
        let row = AuditRow {
            id: self.ids.uuid(),
            at: self.clock.real(),
            actor: actor(principal),
            action: deed.action.to_owned(),
            target: Some(deed.target),
            reason: deed.reason,
            outcome: None,
            detail: deed.detail,
        };
        self.store.put_audit(&row).await.map_err(Unaudited::Audit)?;
        let done = work.await;
        let outcome = match &done {
            Ok(_) => "done".to_owned(),
            Err(error) => error.to_string().replace('\0', " ").chars().take(OUTCOME_MAX).collect(),
        };
        if let Err(error) = self.store.finish_audit(row.id, &outcome).await {
            warn!(audit.id = %row.id, %error, "failed to write down that the outcome of {} was: {outcome}", row.action);
        }
        done.map_err(Unaudited::Deed)
    }

    /// Ends a session as an administrator.
    ///
    /// # Errors
    /// 404 when there is none; what the store cannot do.
    pub async fn close_session(&self, reference: SessionReference, principal: &Arc<Principal>) -> Result<(), DirectoryError> {
        self.administer(reference, principal, Command::Close).await
    }

    /// Takes a member out as an administrator.
    ///
    /// # Errors
    /// 404 when there is no such session or member; what the store cannot do.
    pub async fn remove_member(
        &self,
        reference: SessionReference,
        index: MemberIndex,
        principal: &Arc<Principal>,
    ) -> Result<(), DirectoryError> {
        self.administer(reference, principal, Command::Remove(index)).await
    }

    /// Sends a command the way all others go. Its template may not be served any more, and makes no session here.
    async fn administer(
        &self,
        reference: SessionReference,
        principal: &Arc<Principal>,
        command: Command,
    ) -> Result<(), DirectoryError> {
        let sid = reference.sid();
        let asked = Asked {
            template: Arc::new(Template::blank(reference.template.clone())),
            reference,
            principal: Arc::clone(principal),
            command,
            handle: None,
            pass: Pass::Nothing,
            nocommit: false,
        };
        self.writer.ask(sid, Wish::Do(Box::new(asked))).await.map(drop)
    }

    /// A session with all there is to see of it, as JSON, once what is due is settled (M-24); `None` when it does not exist.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn inspect(&self, sid: Uuid, principal: &Arc<Principal>) -> Result<Option<String>, DirectoryError> {
        if self.view(sid, principal).await?.session.is_none() {
            return Ok(None);
        }
        let Some(found) = self.store.inspect_session(sid).await? else { return Ok(None) };
        let session = projection::loaded_session(&found.stored)
            .map_err(|error| StoreError::Corrupt { reference: sid.to_string(), why: error.to_string() })?;
        let count = |code: i16| usize::try_from(code).ok().and_then(|at| found.handles.get(at)).copied().unwrap_or(0);
        let kept = Kept {
            revision: found.stored.revision,
            failures: found.failures,
            former: found.stored.former_members.iter().copied().map(Xuid).collect(),
            handles: vec![
                ("activity", count(handle_code::ACTIVITY)),
                ("invite", count(handle_code::INVITE)),
                ("search", count(handle_code::SEARCH)),
                ("transfer", count(handle_code::TRANSFER)),
            ],
            alive: found.members.iter().map(|(member, alive)| (member.index.cast_unsigned(), *alive)).collect(),
        };
        Ok(Some(whole::render(&session, &kept)))
    }

    /// Bans a user and judges by that from now on.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn ban(&self, ban: &BanRow) -> Result<BanPut, StoreError> {
        let put = self.store.put_ban(ban, BANS_MAX).await?;
        self.take_over_bans().await;
        Ok(put)
    }

    /// Ends a ban, and says whether there was one.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn unban(&self, xuid: Xuid) -> Result<bool, StoreError> {
        let gone = self.store.delete_ban(xuid.0).await?;
        self.take_over_bans().await;
        Ok(gone)
    }

    /// What is done is done: if the list cannot be read just now, it will be at the next look.
    async fn take_over_bans(&self) {
        if let Err(error) = self.refresh_bans().await {
            warn!(%error, "failed to take over the bans at once");
        }
    }

    /// Publishes a template and serves it from now on; returns the revision of the catalog.
    ///
    /// # Errors
    /// 404 for an unknown service config; what the store cannot do.
    pub async fn publish_template(&self, template: &TemplateRow) -> Result<i64, DirectoryError> {
        match self.store.publish_template(template).await? {
            Publication::UnknownServiceConfig => Err(DirectoryError::UnknownService(template.scid.to_string())),
            Publication::Published(revision) => {
                self.take_over_catalog().await;
                Ok(revision)
            }
        }
    }

    /// Makes a service config, or changes who may use it, and serves it from now on; returns the revision of the catalog.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn publish_service(&self, service: ServiceConfigRow) -> Result<i64, StoreError> {
        let revision = self.store.publish_services(&[service], &[]).await?;
        self.take_over_catalog().await;
        Ok(revision)
    }

    async fn take_over_catalog(&self) {
        if let Err(error) = self.refresh_catalog().await {
            warn!(%error, "failed to take over what was published at once");
        }
    }
}
