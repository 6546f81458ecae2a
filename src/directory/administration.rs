//! What administrators do: they look at everything, end sessions, take members out, ban users, publish templates, and all they change
//! is written down first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::warn;
use uuid::Uuid;

use super::bans::Change;
use super::plan::Asked;
use super::queue::{View, Wish};
use super::{Directory, DirectoryError, actor, unreadable};
use crate::domain::access::Pass;
use crate::domain::command::Command;
use crate::domain::names::{MemberIndex, SessionReference, Xuid};
use crate::domain::principal::Principal;
use crate::domain::template::Template;
use crate::store::rows::{TemplateRow, handle_code};
use crate::store::{AuditRow, BANS_MAX, BanPut, BanRow, Publication, ServicePublication, ServicePut, StoreError, projection};
use crate::wire::whole::{self, Kept};

/// How long to wait before an outcome is written down again.
const FINISH_PAUSES: &[Duration] = &[Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(2)];
/// How long a reader of a large session waits for the one before it.
const CROWD_PATIENCE: Duration = Duration::from_secs(10);
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
    /// The users it is about.
    pub xuids: Vec<Xuid>,
}

impl Deed {
    /// The same with something else to say about it.
    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The same, about these users.
    #[must_use]
    pub fn about(self, xuids: impl IntoIterator<Item = Xuid>) -> Self {
        Self { xuids: xuids.into_iter().collect(), ..self }
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
            xuids: deed.xuids,
        };
        self.store.put_audit(&row).await.map_err(Unaudited::Audit)?;
        let done = work.await;
        let outcome = match &done {
            Ok(_) => "done".to_owned(),
            Err(error) => error.to_string().replace('\0', " ").chars().take(OUTCOME_MAX).collect(),
        };
        if let Err(error) = self.finish(row.id, &outcome).await {
            warn!(audit.id = %row.id, %error, "failed to write down that the outcome of {} was: {outcome}", row.action);
        }
        done.map_err(Unaudited::Deed)
    }

    /// Writes down an outcome, and tries again where the database cannot be reached for a moment.
    async fn finish(&self, id: Uuid, outcome: &str) -> Result<(), StoreError> {
        let mut pauses = FINISH_PAUSES.iter();
        loop {
            match self.store.finish_audit(id, outcome).await {
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) if pauses.len() > 0 => {
                    sleep(*pauses.next().expect("there is one")).await;
                }
                done => return done,
            }
        }
    }

    /// How the audit names a session, however it was typed: as it is stored, else as its template is published, else in lower case.
    /// Beside it the user of one of its members.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn spelled(
        &self,
        reference: &SessionReference,
        member: Option<MemberIndex>,
    ) -> Result<(String, Option<Xuid>), StoreError> {
        let stored = self.store.name_session(reference.sid(), member).await?;
        let id = reference.scid.id();
        let (template, name, xuid) = match stored {
            Some((row, xuid)) => (row.template, row.name, xuid),
            None => (reference.template.key(), reference.name.key(), None),
        };
        let service = self.catalog.find(id);
        let published = service.as_ref().and_then(|service| service.template(&template).ok());
        let template = published.map_or(template.as_str(), |published| published.name.as_str());
        Ok((format!("/serviceconfigs/{id}/sessiontemplates/{template}/sessions/{name}"), xuid))
    }

    /// Ends a session as an administrator, one that cannot be read any more too.
    ///
    /// # Errors
    /// 404 when there is none; what the store cannot do.
    pub async fn close_session(&self, reference: SessionReference, principal: &Arc<Principal>) -> Result<(), DirectoryError> {
        let sid = reference.sid();
        match self.administer(reference, principal, Command::Close).await {
            Err(DirectoryError::Store(StoreError::Corrupt { why, .. })) => {
                warn!(session.id = %sid, why, "a session that cannot be read is closed: nobody is tapped, its handles and rows go");
                unreadable::close(self, sid, principal).await
            }
            done => done,
        }
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

    /// A session with all there is to see of it, as JSON, once what is due is settled (M-24); `None` when it does not exist. The
    /// members of a large session are shown on demand, to one reader at a time: there may be many megabytes of them. A session that
    /// cannot be read is shown as it is stored.
    ///
    /// # Errors
    /// `Busy` when others read large sessions for too long; what the store cannot do.
    pub async fn inspect(
        &self,
        sid: Uuid,
        principal: &Arc<Principal>,
        with_crowd: bool,
    ) -> Result<Option<String>, DirectoryError> {
        let large = match self.view(sid, principal).await {
            Ok(View { session: None, .. }) => return Ok(None),
            Ok(View { session: Some(session), .. }) => session.is_large(),
            // Its members may be many.
            Err(DirectoryError::Store(StoreError::Corrupt { .. })) => true,
            Err(error) => return Err(error),
        };
        let _alone = if large && with_crowd {
            let permit = timeout(CROWD_PATIENCE, self.inspecting.acquire()).await.map_err(|_| DirectoryError::Busy)?;
            Some(permit.expect("nobody closes it"))
        } else {
            None
        };
        let Some(found) = self.store.inspect_session(sid, with_crowd).await? else { return Ok(None) };
        let session = match projection::loaded_session(&found.stored) {
            Ok(session) => session,
            Err(error) => return Ok(Some(unreadable::render(&found, &error.to_string()))),
        };
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
        Ok(Some(whole::render(&session, &kept, with_crowd)))
    }

    /// Bans a user and judges by that from now on.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn ban(&self, ban: &BanRow) -> Result<BanPut, StoreError> {
        let put = self.store.put_ban(ban, BANS_MAX).await?;
        if let BanPut::Created(revision) | BanPut::Replaced(revision) = put {
            self.take_over_ban(revision, Change::Banned(ban.xuid, ban.expires_at)).await;
        }
        Ok(put)
    }

    /// Ends a ban, and says whether there was one.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn unban(&self, xuid: Xuid) -> Result<bool, StoreError> {
        let Some(revision) = self.store.delete_ban(xuid.0).await? else { return Ok(false) };
        self.take_over_ban(revision, Change::Ended(xuid.0)).await;
        Ok(true)
    }

    /// What is done is done: if the list cannot be read just now, it will be at the next look.
    async fn take_over_ban(&self, revision: i64, change: Change) {
        if let Err(error) = self.bans.take(&self.store, revision, change, self.clock.real()).await {
            warn!(%error, "failed to take over a ban at once");
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

    /// Makes a service config, or changes who may use it, and serves it from now on.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn publish_service(&self, service: &ServicePut) -> Result<ServicePublication, StoreError> {
        let published = self.store.publish_service(service).await?;
        self.take_over_catalog().await;
        Ok(published)
    }

    async fn take_over_catalog(&self) {
        if let Err(error) = self.refresh_catalog().await {
            warn!(%error, "failed to take over what was published at once");
        }
    }
}
