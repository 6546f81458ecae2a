//! What a write does to the session behind one reference, from top to bottom (W-38).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;

use super::access::{Facts, Pass};
use super::administration;
use super::authority::{self, Leave};
use super::bag::{self, BagDelta};
use super::command::{Command, Tags, Target, Write};
use super::entries::Entries;
use super::handle;
use super::initialization;
use super::limits::Limits;
use super::merge::{Work, named_anew};
use super::names::{Branch, HandleId, SessionReference};
use super::principal::Principal;
use super::refusal::{Kind, Refusal};
use super::session::{Bag, Crowd, Record, Session, has_capability};
use super::template::{self, Template};
use super::timers;

/// Everything a decision may depend on besides the record and the command.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The instant of the request: the service's time, UTC, whole microseconds.
    pub now: DateTime<Utc>,
    /// Who asks.
    pub principal: &'a Principal,
    /// The session's name, in the case that a new session would keep.
    pub reference: &'a SessionReference,
    /// Its template, for a new session.
    pub template: &'a Template,
    /// What is known about the callers beyond the session.
    pub facts: &'a Facts,
    /// What the handle adds that the caller comes through.
    pub pass: &'a Pass,
    /// The installation's bounds.
    pub limits: &'a Limits,
    /// The branch a new session gets.
    pub branch: Branch,
}

/// What a command leads to.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The record afterwards.
    pub after: Record,
    /// What happened, as an answer says it.
    pub outcome: Outcome,
}

/// What happened to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did not exist and does now.
    Created,
    /// Its document changed.
    Updated,
    /// Its document is the same; what only the service knows may differ (W-34).
    Unchanged,
    /// It does not exist afterwards, be it deleted or never made (W-22, W-63).
    Gone,
}

/// Decides what a command does to a record (design: one pure decision).
///
/// Reads no clock, no network and no database: what it needs is in `context`. Whoever calls it runs [`Command::Settle`] first.
///
/// # Errors
/// The first check of E-10 that fails; then nothing is applied (W-15).
pub fn decide(record: &Record, command: &Command, context: &Context) -> Result<Decision, Refusal> {
    let after = match (command, record) {
        (Command::Settle, record) => timers::settle(record, context.now).unwrap_or_else(|| record.clone()),
        (Command::Show, record) => {
            handle::may_show(record.as_ref(), context.principal)?;
            record.clone()
        }
        (Command::Invite(invited), record) => {
            handle::may_invite(record.as_ref(), *invited, context.principal, context.facts)?;
            record.clone()
        }
        (Command::Transfer, record) => {
            handle::may_transfer(record.as_ref(), context.principal)?;
            record.clone()
        }
        (Command::List(listing), record) => {
            handle::may_list(record.as_ref(), context.principal)?;
            record.clone().map(|session| Session { listing: Some(Arc::clone(listing)), ..session })
        }
        (Command::Unlist(id), record) => unlist(record.as_ref(), *id, context)?,
        (Command::Close, record) => administration::close(record.as_ref(), context.principal)?,
        (Command::Remove(index), record) => administration::remove(record.as_ref(), *index, context)?,
        (Command::Write(write), None) => create(write, context)?,
        (Command::Write(write), Some(session)) => update(session, write, context)?,
    };
    Ok(stamp(record, after))
}

/// Numbers a change; a document that stays the same keeps its number (S-22, W-34).
fn stamp(before: &Record, mut after: Record) -> Decision {
    let outcome = match (before, &mut after) {
        (_, None) => Outcome::Gone,
        (None, Some(_)) => Outcome::Created,
        (Some(before), Some(after)) if before.same_document(after) => Outcome::Unchanged,
        (Some(before), Some(after)) => {
            after.change_number = before.change_number + 1;
            Outcome::Updated
        }
    };
    Decision { after, outcome }
}

/// Takes back a search handle; one that was replaced meanwhile is gone already.
fn unlist(session: Option<&Session>, id: HandleId, context: &Context) -> Result<Record, Refusal> {
    let listed =
        session.and_then(|session| session.listing.as_ref().filter(|listing| listing.id == id).map(|one| (session, one)));
    let Some((session, listing)) = listed else { return Err(Refusal::new(Kind::Missing, "the handle does not exist")) };
    handle::may_unlist(session, listing, context.principal)?;
    Ok(Some(Session { listing: None, ..session.clone() }))
}

fn create(write: &Write, context: &Context) -> Result<Record, Refusal> {
    match (write.target, &write.preconditions.if_match) {
        (Target::Element, _) => return Err(Refusal::new(Kind::Missing, "the session does not exist")),
        (Target::Handle, Some(_)) => return Err(Refusal::new(Kind::Missing, "the handle's session does not exist")),
        _ => {}
    }
    let entries = Entries::resolve(&write.delta, None, context.principal)?;
    authority::may_create(write, &entries, context)?;
    if write.preconditions.if_match.is_some() {
        return Err(Refusal::new(Kind::Precondition, "the session does not exist"));
    }

    let given = BagDelta::read(format_args!("constants"), write.delta.constants.as_ref())?;
    let system = named_anew(given.system, write.form)?;
    let merged = template::merge(context.template, &system, given.custom, context.limits)?;
    bag::check_custom(format_args!("constants.custom"), &merged.constants.custom, context.limits.session_custom_bytes)?;
    authority::may_create_such(&merged.constants.system, write, context)?;
    let session = Session {
        reference: context.reference.clone(),
        branch: context.branch,
        change_number: 1,
        start_time: context.now,
        crowd: has_capability(&merged.constants.system, "large").then(Crowd::default),
        constants: merged.constants,
        properties: Bag::default(),
        members: Vec::new(),
        next_index: 0,
        listing: None,
        role_types: context.template.role_types().clone(),
        servers: IndexMap::new(),
        initializing: None,
        host_candidates: Vec::new(),
        episodes: 0,
        empty_since: None,
        former: Vec::new(),
    };
    let mut work = Work::new(session, context, write.form);
    work.object(merged.conflict);
    work.declare_roles(&write.delta)?;
    work.apply(&write.delta, &entries)?;
    initialization::check_creation(&mut work.session)?;
    work.finish(None)
}

fn update(session: &Session, write: &Write, context: &Context) -> Result<Record, Refusal> {
    let is_named_by = |tags: &Tags| tags.match_tag(&session.etag().to_string());
    if write.preconditions.if_none_match.as_ref().is_some_and(is_named_by) {
        return Err(Refusal::new(Kind::Precondition, "the session exists already"));
    }
    let entries = Entries::resolve(&write.delta, Some(session), context.principal)?;
    let leave = authority::may_write(session, write, &entries, context)?;
    if write.preconditions.if_match.as_ref().is_some_and(|tags| !is_named_by(tags)) {
        return Err(Refusal::new(Kind::Stale, "the session has changed since"));
    }
    if leave == Leave::NothingLeftToDo {
        return Ok(Some(session.clone()));
    }
    let mut work = Work::new(session.clone(), context, write.form);
    work.compare_constants(write)?;
    work.apply(&write.delta, &entries)?;
    work.change_roles(&write.delta)?;
    work.finish(Some(session))
}
