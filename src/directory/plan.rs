//! One session while its queued commands are decided: the record as it goes from one to the next, and what is to be saved of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::queue::{Done, Settled, View, Wish};
use super::{Announcement, DirectoryError, Document, Told, Written, actor};
use crate::domain::access::{self, Facts, Pass};
use crate::domain::change::{self, Cause};
use crate::domain::command::{Command, MemberKey};
use crate::domain::connection::{self, Lost};
use crate::domain::decide::{Context, Decision, Outcome, decide};
use crate::domain::handle::Handle;
use crate::domain::limits::Limits;
use crate::domain::names::{Branch, MemberIndex, SessionReference, Xuid};
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusal;
use crate::domain::session::{Record, Session};
use crate::domain::subscription;
use crate::domain::template::Template;
use crate::domain::timers;
use crate::store::projection;
use crate::store::rows::{ChangeRow, HandleRow, handle_code};
use crate::store::{HandleRemoval, SessionSave, Version};
use crate::wire::stored::{self, Renderer};
use crate::wire::{delta, departed, large};

/// What a command needs beside the record.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The session's name, in the case that a new session would keep.
    pub reference: SessionReference,
    /// Its template.
    pub template: Arc<Template>,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// What for.
    pub command: Command,
    /// The handle that a command makes which leaves the document as it is.
    pub handle: Option<Posted>,
    /// What the handle adds that the caller comes through.
    pub pass: Pass,
    /// Whether to say only what would happen (R-24).
    pub nocommit: bool,
}

impl Asked {
    /// Whether it makes a handle, and is answered by the session that this leads to.
    pub fn makes_handle(&self) -> bool {
        self.handle.is_some() || matches!(self.command, Command::List(_))
    }
}

/// A handle that is to be made.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    /// The handle.
    pub handle: Handle,
    /// When an activity dies for whose session nobody comes (H-21).
    pub unbound_until: Option<DateTime<Utc>>,
}

impl Posted {
    /// How it is stored while its session does not exist.
    pub fn unbound(&self) -> HandleRow {
        HandleRow { expires_at: self.unbound_until, ..projection::handle_row(&self.handle) }
    }

    /// How it is stored beside its session. An activity keeps the reference in the spelling that it came with.
    fn bound(&self, session: &Session) -> HandleRow {
        let mut handle = self.handle.clone();
        handle.learn(session);
        let row = projection::handle_row(&handle);
        if row.kind == handle_code::ACTIVITY {
            return row;
        }
        HandleRow { reference: projection::reference_row(&session.reference), ..row }
    }
}

/// The installation's part of a decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct House<'a> {
    pub limits: &'a Limits,
}

/// One session on its way from what was loaded to what will be saved.
pub(super) struct Plan {
    stored: Option<Version>,
    record: Record,
    /// What was loaded, once something else has taken its place.
    first: Option<Record>,
    /// The rendering of `record`, if it is known; of a large session what all readers share of it.
    document: Option<Document>,
    renderer: Renderer,
    facts: Arc<Facts>,
    /// Whether the facts are known.
    is_informed: bool,
    now: DateTime<Utc>,
    changes: Vec<ChangeRow>,
    /// The same changes as taps ask for them.
    told: Vec<Told>,
    /// The last word on each owner's activity for this session: bound anew, or ended.
    activities: BTreeMap<u64, Option<HandleRow>>,
    /// Invites and transfer handles to be made.
    handles: Vec<HandleRow>,
    ended: bool,
    touched: bool,
}

impl Plan {
    /// Starts from what is stored and settles what is due (M-24); `facts` is `None` if nobody has asked for any.
    pub fn new(basis: Option<Basis>, facts: Option<Facts>, now: DateTime<Utc>) -> Self {
        let (stored, record, body, renderer) = match basis {
            Some(basis) => (Some(basis.version), Some(basis.session), basis.body, basis.renderer),
            None => (None, None, None, Renderer::default()),
        };
        let mut plan = Self {
            document: record.as_ref().zip(body).map(|(session, body)| document(session, body)),
            stored,
            record,
            first: None,
            renderer,
            is_informed: facts.is_some(),
            facts: Arc::new(facts.unwrap_or_default()),
            now,
            changes: Vec::new(),
            told: Vec::new(),
            activities: BTreeMap::new(),
            handles: Vec::new(),
            ended: false,
            touched: false,
        };
        plan.settle();
        plan
    }

    fn settle(&mut self) {
        if let Some(after) = timers::settle(&self.record, self.now) {
            self.go_on(after, Cause::Timer, "timer");
        }
    }

    /// What evaluating what was due came to.
    pub fn settled(&self) -> Settled {
        let next = |record: &Record| record.as_ref().and_then(timers::next);
        Settled { was_due: next(self.before()).is_some_and(|due| due <= self.now), next_timer_at: next(&self.record) }
    }

    /// Takes note of lost connections (N-40).
    pub fn lose(&mut self, lost: &[Lost], house: House) {
        if let Some(after) = connection::lose(&self.record, lost, house.limits, self.now) {
            self.go_on(Some(after), Cause::Connection, "connection");
            // Where nobody is given time.
            self.settle();
        }
    }

    /// Takes a change that nobody asked for.
    fn go_on(&mut self, mut after: Record, cause: Cause, actor: &str) {
        let next = self.record.as_ref().map_or(1, |session| session.change_number + 1);
        if let Some(session) = &mut after {
            session.change_number = next;
        }
        let outcome = if after.is_some() { Outcome::Updated } else { Outcome::Gone };
        self.take(Decision { after, outcome }, None, cause, actor.to_owned());
    }

    /// The session as it was loaded.
    fn before(&self) -> &Record {
        self.first.as_ref().unwrap_or(&self.record)
    }

    /// The session as it stands now.
    pub fn session(&self) -> Option<&Session> {
        self.record.as_ref()
    }

    /// Whether more is due than could be settled: a large session is loaded with a part of those members whose time has come. Then
    /// nobody is to see it before the rest is settled too (M-24).
    pub fn is_due(&self) -> bool {
        let large = self.record.as_ref().filter(|session| session.is_large());
        large.and_then(timers::next).is_some_and(|next| next <= self.now)
    }

    /// Whether enough is known for a wish.
    pub fn suffices_for(&self, wish: &Wish) -> bool {
        // Of a session that has just ended there is nothing to be told but that.
        let is_plain = |session: &Session| wish.asks_no_facts(session);
        self.is_informed || self.record.as_ref().map_or(matches!(wish, Wish::Settle | Wish::Lose(_)), is_plain)
    }

    /// Whether anything has happened yet.
    pub fn has_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The document as it stands now, for one reader.
    pub fn document(&mut self, viewer: Option<Xuid>) -> Option<Document> {
        let session = self.record.as_ref()?;
        if self.document.is_none() {
            self.document = Some(document(session, self.renderer.body(session)));
        }
        self.document.as_ref().map(|document| shown(session, document, viewer))
    }

    /// The session as it stands now, for whoever looks at it or has just made a handle that leads to it.
    pub fn viewed(&self, document: Option<Document>) -> Done {
        Done::Viewed(Box::new(View { session: self.session().cloned(), document, facts: self.facts() }))
    }

    /// How many bytes the document has that all readers share.
    fn size(&self) -> usize {
        let rendered = || self.record.as_ref().map_or(0, |session| Renderer::default().body(session).len());
        self.document.as_ref().map_or_else(rendered, |document| document.body.len())
    }

    /// What is known about the callers. Who was a member of a session that ended in this very plan was none of the one after it.
    pub fn facts(&self) -> Arc<Facts> {
        let same_life = self.before().as_ref().zip(self.record.as_ref()).is_some_and(|(one, two)| one.branch == two.branch);
        if same_life || self.facts.former.is_empty() {
            return Arc::clone(&self.facts);
        }
        Arc::new(Facts { former: Vec::new(), ..(*self.facts).clone() })
    }

    /// Whether a decision waits for the next plan: a session that was made in this very one would end again, and the log is to show
    /// both; or one would follow upon a large session that has just ended, whose members are not all loaded, and must be gone first.
    fn must_wait(&self, outcome: Outcome) -> bool {
        let crowd = self.before().as_ref().and_then(|session| session.crowd.as_ref());
        match outcome {
            Outcome::Gone => self.stored.is_none() && self.record.is_some(),
            Outcome::Created => crowd.is_some_and(|crowd| crowd.count > 0),
            Outcome::Updated | Outcome::Unchanged => false,
        }
    }

    /// Decides one command on the record as it stands. `None` when it has to wait for the next plan.
    pub fn run(&mut self, asked: &Asked, house: House, fresh: Uuid) -> Option<Result<Written, DirectoryError>> {
        let facts = self.facts();
        let viewer = asked.principal.xuid();
        let context = Context {
            now: self.now,
            principal: &asked.principal,
            reference: &asked.reference,
            template: &asked.template,
            facts: &facts,
            pass: &asked.pass,
            limits: house.limits,
            branch: Branch(fresh),
        };
        let decided = decide(&self.record, &asked.command, &context).and_then(|decision| {
            let rendered = match (&decision.after, decision.outcome) {
                (Some(session), Outcome::Created | Outcome::Updated) => Some(self.renderer.body(session)),
                _ => None,
            };
            let size = rendered.as_ref().map_or(0, String::len);
            if size > house.limits.session_bytes && size > self.size() {
                let most = house.limits.session_bytes;
                return Err(Refusal::invalid(
                    "session",
                    format!("the document would have {size} bytes: at most {most} can be stored"),
                ));
            }
            Ok((decision, rendered))
        });
        let (decision, rendered) = match decided {
            Ok(decided) => decided,
            Err(refusal) => {
                // A large session is shown to one user at a time (A-43).
                let shows = |session: &Session| {
                    (viewer.is_some() || asked.principal.users().is_empty() || !session.is_large())
                        && (access::may_read(session, &asked.principal, &facts) || asked.pass.shows(session, &asked.principal))
                };
                let readable = self.record.as_ref().is_some_and(shows);
                return Some(Err(DirectoryError::about(refusal, readable, || self.document(viewer))));
            }
        };
        let outcome = decision.outcome;
        let lacks_named = lacks_named(&decision.after, &asked.command);
        if asked.nocommit {
            let etag = self.record.as_ref().map(Session::etag);
            let document = match (&decision.after, rendered) {
                (Some(session), Some(body)) => Some(shown(session, &document(session, body), viewer)),
                (Some(_), None) => self.document(viewer),
                (None, _) => None,
            };
            return Some(Ok(Written { outcome, document, etag, lacks_named }));
        }
        if self.must_wait(outcome) {
            return None;
        }
        self.take(decision, rendered, Cause::Request, actor(&asked.principal));
        // An activity of a session that does not exist is stored apart from the session, whoever makes that next.
        if let (Some(posted), Some(session)) = (&asked.handle, &self.record) {
            self.touched = true;
            let handle = posted.bound(session);
            if let (Command::Show, Some(owner)) = (&asked.command, handle.owner) {
                self.activities.insert(owner, Some(handle));
            } else {
                // An invite leads to the session whatever becomes of that (H-34).
                self.handles.push(handle);
            }
        }
        let document = self.document(viewer);
        Some(Ok(Written { outcome, etag: document.as_ref().map(|document| document.etag), document, lacks_named }))
    }

    /// Sees to it that there is a save, even if nothing changes: of two saves from one version only one can win.
    pub fn touch(&mut self) {
        self.touched = true;
    }

    /// Makes a decision the state of things; `rendered` is the document of a changed session, if it is known.
    fn take(&mut self, decision: Decision, rendered: Option<String>, cause: Cause, actor: String) {
        let before = std::mem::replace(&mut self.record, decision.after);
        if decision.outcome == Outcome::Unchanged {
            if before != self.record {
                self.touched = true;
                self.document = None;
            }
        } else {
            self.note(&before, rendered, cause, actor);
        }
        self.first.get_or_insert(before);
    }

    /// Notes what is to be saved of a change, and what is to be told of it.
    fn note(&mut self, before: &Record, rendered: Option<String>, cause: Cause, actor: String) {
        self.document = self.record.as_ref().zip(rendered).map(|(session, body)| document(session, body));
        if before.is_none() && self.record.is_none() {
            return;
        }
        let change = change::between(before, &self.record);
        for owner in &change.disengaged {
            self.activities.insert(owner.0, None);
        }
        let (branch, number) = match (before, &self.record) {
            (_, Some(after)) => (after.branch, after.change_number),
            (Some(before), None) => (before.branch, before.change_number + 1),
            (None, None) => return,
        };
        if self.record.is_none() {
            self.activities.clear();
            // The one kind that outlives its session (H-34).
            self.handles.retain(|handle| handle.kind == handle_code::INVITE);
            self.ended = true;
        }
        let text = match (before, &self.record) {
            (Some(before), Some(after)) if before.branch == after.branch => Some(delta::between(before, after)),
            (_, Some(after)) if after.is_large() => Some(delta::whole(after)),
            (_, Some(_)) => self.document(None).map(|document| Arc::unwrap_or_clone(document.body)),
            (_, None) => None,
        };
        self.told.push(Told {
            branch,
            change_number: number,
            at: self.now,
            kinds: change.kinds,
            exempt: change.exempt,
            deleted: self.record.is_none(),
            departed: change.departed.iter().flat_map(|member| &member.listeners).cloned().collect(),
        });
        self.changes.push(ChangeRow {
            branch: branch.0,
            change_number: number.cast_signed(),
            at: self.now,
            actor,
            cause: cause.code(),
            delta: text,
            kinds: change.kinds.0.cast_signed(),
            departed: departed::render(&change.departed),
            exempt: change.exempt.and_then(|index| i32::try_from(index).ok()),
            deleted: self.record.is_none(),
        });
    }

    /// What is to be told once the save is through, if anything is. To be asked before `save`, which takes what it is made of.
    pub fn announcement(&mut self, sid: Uuid) -> Option<Announcement> {
        let invites: Vec<HandleRow> = self.handles.iter().filter(|handle| handle.kind == handle_code::INVITE).cloned().collect();
        let session = self.record.as_ref().or(self.before().as_ref());
        if self.told.is_empty() && invites.is_empty() {
            return None;
        }
        Some(Announcement {
            sid,
            resource: session.map(|session| session.reference.to_string()).unwrap_or_default().into(),
            changes: std::mem::take(&mut self.told),
            listeners: self.record.as_ref().map(subscription::listeners).unwrap_or_default(),
            moved: !subscription::same_listeners(self.before().as_ref(), self.record.as_ref()),
            invites,
        })
    }

    /// What is to be saved, if anything is.
    pub fn save(&mut self, sid: Uuid, write_id: Uuid) -> Option<SessionSave> {
        if self.changes.is_empty() && !self.touched {
            return None;
        }
        if self.stored.is_none() && self.record.is_none() {
            return None;
        }
        let difference = projection::difference(self.before(), &self.record);
        let after = self.record.as_ref().map(|session| {
            let body = self.document.take().map(|document| document.body);
            let body = body.unwrap_or_else(|| self.renderer.body(session).into());
            projection::session_row(session, body, stored::private(session))
        });
        let ended: Vec<u64> =
            self.activities.iter().filter(|(_, activity)| activity.is_none()).map(|(owner, _)| *owner).collect();
        Some(SessionSave {
            sid,
            expected: self.stored,
            after,
            changes: std::mem::take(&mut self.changes),
            write_id,
            members: difference.members,
            keywords: difference.keywords,
            timer: difference.timer,
            former_members: self
                .record
                .as_ref()
                .map(|session| session.former.iter().map(|xuid| xuid.0).collect())
                .unwrap_or_default(),
            handles_removed: if self.ended { HandleRemoval::AllButInvites } else { HandleRemoval::ActivitiesOf(ended) },
            handles: {
                let activities = std::mem::take(&mut self.activities).into_values().flatten();
                activities.chain(std::mem::take(&mut self.handles)).collect()
            },
            search: difference.search,
        })
    }

    /// What the next plan may start from once that save is through; nothing of a large session, which is loaded in part only.
    pub fn into_basis(self) -> Option<Basis> {
        let revision = self.stored.map_or(1, |stored| stored.revision + 1);
        let mut session = self.record.filter(|session| !session.is_large())?;
        session.former.clear();
        Some(Basis { version: Version { branch: session.branch.0, revision }, session, body: None, renderer: self.renderer })
    }
}

/// Whether a member that a command names by its index is not in a record; those of a large session are loaded.
fn lacks_named(record: &Record, command: &Command) -> bool {
    let Command::Write(write) = command else { return false };
    let is_there = |index: MemberIndex| record.as_ref().is_some_and(|session| session.member_at(index).is_some());
    write.delta.members.iter().any(|(key, _)| matches!(key, MemberKey::Index(index) if !is_there(*index)))
}

/// What a plan starts from: a session as it is stored.
pub(super) struct Basis {
    pub version: Version,
    pub session: Session,
    /// Its document, if that is at hand.
    pub body: Option<Arc<String>>,
    /// What has been rendered of it before.
    pub renderer: Renderer,
}

/// What one reader sees of a rendered session: of a large one with the reader's own entry only (M-95).
fn shown(session: &Session, document: &Document, viewer: Option<Xuid>) -> Document {
    if !session.is_large() {
        return document.clone();
    }
    let Document { location, etag, next_timer_at, body } = document;
    let body = Arc::new(large::complete(body, session, viewer));
    Document { location: location.clone(), etag: *etag, next_timer_at: *next_timer_at, body }
}

/// A rendered session with what its headers say.
pub(super) fn document(session: &Session, body: impl Into<Arc<String>>) -> Document {
    Document { location: session.reference.path(), etag: session.etag(), next_timer_at: timers::next(session), body: body.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Preconditions, Target, Write};
    use crate::domain::names::{Scid, SessionName, TemplateName};
    use crate::domain::template::Form;
    use crate::wire::request;

    fn asked(principal: Principal, command: Command) -> Asked {
        let template = TemplateName::parse("Open").unwrap();
        Asked {
            reference: SessionReference {
                scid: Scid::from(Uuid::nil()),
                template: template.clone(),
                name: SessionName::parse("s").unwrap(),
            },
            template: Arc::new(Template::blank(template)),
            principal: Arc::new(principal),
            command,
            handle: None,
            pass: Pass::Nothing,
            nocommit: false,
        }
    }

    fn write(body: &str) -> Asked {
        let server = crate::domain::principal::Server { name: "s".to_owned(), scids: vec![Scid::from(Uuid::nil())] };
        let delta = request::read_delta(body.as_bytes(), 32).unwrap();
        let write = Write { delta, preconditions: Preconditions::default(), target: Target::Session, form: Form::New };
        asked(Principal::Server(server), Command::Write(Box::new(write)))
    }

    #[test]
    fn s95_a_document_above_the_limit_may_shrink_but_not_grow() {
        let wide = Limits::default();
        let mut plan = Plan::new(None, Some(Facts::default()), DateTime::UNIX_EPOCH);
        let reserved = r#"{"members":{"reserve_0":{"constants":{"system":{"xuid":"1"}}},
            "reserve_1":{"constants":{"system":{"xuid":"2"}}}}}"#;
        assert!(plan.run(&write(reserved), House { limits: &wide }, Uuid::from_u128(1)).unwrap().is_ok());
        let (narrow, before) = (Limits { session_bytes: 100, ..Limits::default() }, plan.size());
        assert!(before > narrow.session_bytes);

        let house = House { limits: &narrow };
        let grown = plan.run(&write(r#"{"properties":{"custom":{"map":"harbor"}}}"#), house, Uuid::nil()).unwrap();
        assert!(grown.unwrap_err().to_string().contains("at most 100 can be stored"));
        let remove = asked(Principal::Admin { name: "op".to_owned() }, Command::Remove(0));
        assert!(plan.run(&remove, house, Uuid::nil()).unwrap().is_ok());
        assert!(plan.size() < before);
    }
}
