//! What a write does to the session behind one reference, from top to bottom (W-38).

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::access::{self, Facts};
use super::bag::{self, BagDelta};
use super::command::{Command, Delta, MemberKey, Target, Write};
use super::limits::Limits;
use super::member::{self, Entry, Rules};
use super::names::{Branch, MemberIndex, SessionReference, Xuid};
use super::principal::{Principal, User};
use super::refusal::{Kind, Refusal};
use super::session::{Bag, Member, MemberState, Record, Restriction, Session, Visibility};
use super::system::{self, CONSTANTS, PROPERTIES};
use super::template::{self, Form, Template};
use super::timers;
use crate::json::{Json, Object};

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
    /// What is known about the caller beyond the session.
    pub facts: &'a Facts,
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
        (Command::BindActivity, record) => {
            bind_activity(record.as_ref(), context)?;
            record.clone()
        }
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

/// Only an active member may show a session as its activity; a session that does not exist yet may be shown (H-21, H-24).
fn bind_activity(session: Option<&Session>, context: &Context) -> Result<(), Refusal> {
    let Some(user) = context.principal.user() else {
        return Err(Refusal::forbidden("only a user has an activity"));
    };
    match session {
        Some(session) if !session.member(user.xuid).is_some_and(|member| member.state.is_active()) => {
            Err(Refusal::forbidden("an activity needs its user to be an active member of the session"))
        }
        _ => Ok(()),
    }
}

fn create(write: &Write, context: &Context) -> Result<Record, Refusal> {
    match (write.target, &write.preconditions.if_match) {
        (Target::Element, _) => return Err(Refusal::new(Kind::Missing, "the session does not exist")),
        (Target::Handle, Some(_)) => return Err(Refusal::new(Kind::Missing, "the handle's session does not exist")),
        _ => {}
    }
    if let Some(user) = context.principal.user() {
        access::may_play(user)?;
        initiates(user, write, context)?;
    }
    may_touch_others(None, &write.delta, context)?;
    if write.preconditions.if_match.is_some() {
        return Err(Refusal::new(Kind::Precondition, "the session does not exist"));
    }

    let given = BagDelta::read("constants", write.delta.constants.as_ref())?;
    let system = named_anew(given.system, write.form)?;
    let merged = template::merge(context.template, &system, given.custom, context.limits)?;
    let mut work = Work::new(
        Session {
            reference: context.reference.clone(),
            branch: context.branch,
            change_number: 1,
            start_time: context.now,
            constants: merged.constants,
            properties: Bag::default(),
            members: Vec::new(),
            next_index: 0,
            search_handle: None,
            empty_since: None,
            former: Vec::new(),
        },
        context,
        write.form,
    );
    work.object(merged.conflict);
    bag::check_custom("constants.custom", &work.session.constants.custom, context.limits.session_custom_bytes)?;
    if let Some((at, why)) = template::contradictions(&work.session.constants.system).into_iter().next() {
        return Err(Refusal::invalid(format!("constants.system.{at}"), why));
    }
    if let Some(refusal) = template::not_served(context.template, &work.session.constants.system) {
        return Err(refusal);
    }
    work.apply(&write.delta)?;
    work.finish()
}

fn update(session: &Session, write: &Write, context: &Context) -> Result<Record, Refusal> {
    let etag = session.etag().to_string();
    if write.preconditions.if_none_match.as_ref().is_some_and(|tags| tags.match_tag(&etag)) {
        return Err(Refusal::new(Kind::Precondition, "the session exists already"));
    }
    let delta = own_index_as_me(session, &write.delta, context.principal);
    let idle = may_write(session, write.target, &delta, context)?;
    if write.preconditions.if_match.as_ref().is_some_and(|tags| !tags.match_tag(&etag)) {
        return Err(Refusal::new(Kind::Stale, "the session has changed since"));
    }
    let mut work = Work::new(session.clone(), context, write.form);
    if idle {
        return Ok(Some(work.session));
    }
    work.compare_constants(write)?;
    work.apply(&delta)?;
    work.finish()
}

/// A user's own index is another word for `me` (W-06). Beside `me` it stays what it is, to be refused.
fn own_index_as_me<'d>(session: &Session, delta: &'d Delta, principal: &Principal) -> Cow<'d, Delta> {
    let own = principal.xuid().and_then(|xuid| session.member(xuid)).map(|member| MemberKey::Index(member.index));
    match delta.members.iter().position(|(key, _)| Some(*key) == own) {
        Some(at) if delta.me().is_none() => {
            let mut delta = delta.clone();
            delta.members[at].0 = MemberKey::Me;
            Cow::Owned(delta)
        }
        _ => Cow::Borrowed(delta),
    }
}

/// Whether the caller may send this request at all (W-30, A-10, E-10 #11); true if it asks for nothing that is left to do.
fn may_write(session: &Session, target: Target, delta: &Delta, context: &Context) -> Result<bool, Refusal> {
    may_touch_others(Some(session), delta, context)?;
    let Principal::User(user) = context.principal else { return Ok(false) };
    match (session.member(user.xuid), delta.me()) {
        (Some(member), Some(Some(_))) if !member.state.is_accepted() => access::may_play(user).map(|()| false),
        (Some(_), _) => Ok(false),
        (None, Some(Some(_))) => access::admit(session, user, context.facts).map(|()| false),
        (None, Some(None)) if delta.only_leaves() => {
            // Deleting what is not there succeeds for everybody; a PUT shows the session (W-35).
            if target == Target::Element || access::may_read(session, context.principal, context.facts) {
                Ok(true)
            } else {
                Err(Refusal::forbidden("the caller is not a member of the session and may not read it"))
            }
        }
        (None, _) => {
            Err(Refusal::forbidden("the caller is not a member of the session: writing needs members.me, which joins it"))
        }
    }
}

/// Who may name whom in `members`, and who may write `servers` (W-04 to W-06, W-36, A-35).
fn may_touch_others(session: Option<&Session>, delta: &Delta, context: &Context) -> Result<(), Refusal> {
    match context.principal {
        Principal::Server(_) => {
            if !context.principal.is_server_for(&context.reference.scid) {
                return Err(Refusal::forbidden("the server's credential does not name this service config"));
            }
            if delta.me().is_some() {
                return Err(Refusal::forbidden("members.me needs a user: a server is no member"));
            }
        }
        Principal::User(user) => {
            if delta.servers.is_some() {
                return Err(Refusal::forbidden("servers can be written by servers only"));
            }
            let own = session.and_then(|session| session.member(user.xuid));
            for (key, _) in &delta.members {
                match key {
                    MemberKey::Index(index) if own.is_none_or(|own| own.index != *index) => {
                        return Err(Refusal::forbidden(format!(
                            "members.{index}: only a server may name another member by its index"
                        )));
                    }
                    MemberKey::Reserve(_) => {
                        let accepts = matches!(delta.me(), Some(Some(_)));
                        if session.is_some() && !accepts && own.is_some_and(|own| !own.state.is_accepted()) {
                            return Err(Refusal::forbidden("members.reserve_N needs an accepted member"));
                        }
                    }
                    _ => {}
                }
            }
        }
        Principal::Admin { .. } => return Err(Refusal::forbidden("an administrator is no member and no server")),
    }
    Ok(())
}

/// A creator must be among the initiators, if they are named (S-34).
fn initiates(user: &User, write: &Write, context: &Context) -> Result<(), Refusal> {
    let asked = write.delta.constants.as_ref().and_then(|constants| constants.get("system")?.get("initiators"));
    let named = match context.template.initiators() {
        Some(Json::Null) | None => asked,
        fixed => fixed,
    };
    let Some(named) = named.and_then(Json::as_array) else { return Ok(()) };
    if named.iter().any(|one| system::xuid("initiators", one).is_ok_and(|xuid| xuid == user.xuid)) {
        return Ok(());
    }
    Err(Refusal::forbidden("constants.system.initiators: the caller is not among those who may create the session"))
}

/// The caller's `initializationGroup` names members that are or were there (S-81).
fn check_group(session: &Session, principal: &Principal) -> Result<(), Refusal> {
    let member = principal.xuid().and_then(|xuid| session.member(xuid));
    let group = member.and_then(|member| member.properties.system.get("initializationGroup")?.as_array()).unwrap_or_default();
    if group.iter().all(|index| index.as_u64().is_some_and(|index| index < u64::from(session.next_index))) {
        return Ok(());
    }
    Err(Refusal::invalid("members.me.properties.system.initializationGroup", "names an index that no member ever had"))
}

/// Constants in the names of 107; the old names are for old requests only (W-71).
fn named_anew(system: Option<&Object>, form: Form) -> Result<Object, Refusal> {
    match (system, form) {
        (None, _) => Ok(Object::new()),
        (Some(system), Form::Old) => template::modernise(system, "constants.system"),
        (Some(system), Form::New) => Ok(system.clone()),
    }
}

/// A session while a request is merged into it, with the refusals that come last (E-10 #14, #15).
struct Work<'a> {
    session: Session,
    context: &'a Context<'a>,
    form: Form,
    conflict: Option<Refusal>,
    /// The first index that this request may use up.
    fresh: MemberIndex,
}

impl<'a> Work<'a> {
    fn new(session: Session, context: &'a Context<'a>, form: Form) -> Self {
        Self { fresh: session.next_index, session, context, form, conflict: None }
    }

    /// Remembers a contradiction; only the first is told.
    fn object(&mut self, conflict: Option<Refusal>) {
        if self.conflict.is_none() {
            self.conflict = conflict;
        }
    }

    /// Session constants given again must say what they said (W-32).
    fn compare_constants(&mut self, write: &Write) -> Result<(), Refusal> {
        let given = BagDelta::read("constants", write.delta.constants.as_ref())?;
        for (name, value) in named_anew(given.system, write.form)? {
            let name = name.to_string();
            let at = format!("constants.system.{name}");
            let Some(field) = system::find(CONSTANTS, "constants.system", &name, self.context.limits)? else { continue };
            let value = match &value {
                Json::Null => None,
                value => system::admit(&field.shape, &at, value, self.context.limits)?,
            };
            let same = match (self.session.constants.system.get(field.name), &value) {
                (None, None) => true,
                (Some(stored), Some(value)) => template::repeats(stored, value, &field.shape),
                _ => false,
            };
            if !same {
                self.object(Some(Refusal::conflict(at, "constants are fixed once the session exists")));
            }
        }
        let same = match (&self.session.constants.custom, given.custom) {
            (_, None) => None,
            (Json::Object(stored), Some(Json::Object(given))) => {
                let differs = |(name, value): &(_, &Json)| stored.get(*name).unwrap_or(&Json::Null) != *value;
                given.iter().find(|field| differs(field)).map(|(name, _)| format!("constants.custom.{name}"))
            }
            (Json::Object(stored), Some(Json::Null)) if stored.is_empty() => None,
            (stored, Some(given)) => (stored != given).then(|| "constants.custom".to_owned()),
        };
        self.object(same.map(|at| Refusal::conflict(at, "constants are fixed once the session exists")));
        Ok(())
    }

    /// Removals, `me`, reservations, properties (W-38).
    fn apply(&mut self, delta: &Delta) -> Result<(), Refusal> {
        if delta.servers.is_some() {
            return Err(Refusal::invalid("servers", "this version of the service does not keep servers yet"));
        }
        if delta.role_types.is_some() {
            return Err(Refusal::invalid("roleTypes", "this version of the service does not keep roles yet"));
        }
        for (key, entry) in &delta.members {
            let MemberKey::Index(index) = key else { continue };
            if self.context.principal.user().is_some() {
                return Err(Refusal::invalid(format!("members.{index}"), "the same entry is given as members.me too"));
            }
            if entry.is_some() {
                return Err(Refusal::invalid(
                    format!("members.{index}"),
                    "this version of the service does not let servers edit members yet",
                ));
            }
            self.remove(|member| member.index == *index);
        }
        for (key, entry) in &delta.members {
            match (key, entry) {
                (MemberKey::Me, None) => {
                    let caller = self.context.principal.xuid();
                    self.remove(|member| Some(member.xuid) == caller);
                }
                (MemberKey::Me, Some(entry)) => self.write_me(&Entry::read("members.me".into(), entry, self.form)?)?,
                _ => {}
            }
        }
        let leaving = if delta.me() == Some(None) { self.context.principal.xuid() } else { None };
        for (key, entry) in &delta.members {
            if let (MemberKey::Reserve(n), Some(entry)) = (key, entry) {
                self.reserve(&Entry::read(format!("members.reserve_{n}"), entry, self.form)?, leaving)?;
            }
        }
        self.write_properties(&BagDelta::read("properties", delta.properties.as_ref())?)?;
        self.note_device();
        Ok(())
    }

    fn remove(&mut self, which: impl Fn(&Member) -> bool) {
        if let Some(member) = self.session.members.iter().find(|member| which(member)).cloned() {
            timers::remove(&mut self.session, &member);
        }
    }

    /// Joins, accepts a reservation, or updates the caller's entry.
    fn write_me(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let context = self.context;
        let user = context.principal.user().expect("a server that names me is refused before");
        if entry.xuid()?.is_some_and(|xuid| xuid != user.xuid) {
            return Err(Refusal::invalid(format!("{}.constants.system.xuid", entry.at), "is not the caller's xuid"));
        }
        if self.session.member(user.xuid).is_none() {
            let constants = entry.new_constants(context.limits)?;
            let mut member = member::reserve(self.take_index(), user.xuid, constants, context.now);
            member::accept(&mut member, user, context.now);
            self.session.members.push(Arc::new(member));
        }
        let rules = Rules {
            now: context.now,
            limits: context.limits,
            connectivity: self.session.has("connectivity"),
            connection_required: self.session.has("connectionRequiredForActiveMembers"),
            ready_lasts: !self.session.timeout("readyRemovalTimeout").is_some_and(|timeout| timeout.is_zero()),
        };
        let member = self.session.member_mut(user.xuid).expect("the member was found or made above");
        let conflict = entry.repeat_constants(member, context.limits)?;
        if member.state == MemberState::Reserved {
            member::accept(member, user, context.now);
        }
        entry.apply_properties(member, &rules, user)?;
        self.object(conflict);
        Ok(())
    }

    /// Adds a reservation; one for somebody who is there already is none, nor is one for the caller that is `leaving` (W-08).
    fn reserve(&mut self, entry: &Entry, leaving: Option<Xuid>) -> Result<(), Refusal> {
        entry.without_properties()?;
        let Some(xuid) = entry.xuid()? else {
            return Err(Refusal::invalid(format!("{}.constants.system.xuid", entry.at), "a reservation needs an xuid"));
        };
        let constants = entry.new_constants(self.context.limits)?;
        if self.session.member(xuid).is_none() && Some(xuid) != leaving {
            let member = member::reserve(self.take_index(), xuid, constants, self.context.now);
            self.session.members.push(Arc::new(member));
        }
        Ok(())
    }

    fn take_index(&mut self) -> u32 {
        let index = self.session.next_index;
        self.session.next_index += 1;
        index
    }

    /// Merges the session's properties and validates them as a whole (W-15).
    fn write_properties(&mut self, given: &BagDelta) -> Result<(), Refusal> {
        let limits = self.context.limits;
        if let Some(custom) = given.custom {
            bag::merge_custom(&mut self.session.properties.custom, custom);
            bag::check_custom("properties.custom", &self.session.properties.custom, limits.session_custom_bytes)?;
        }
        let empty = Object::new();
        let system = given.system.unwrap_or(&empty);
        bag::merge_system(
            &mut self.session.properties.system,
            system,
            PROPERTIES,
            "properties.system",
            limits,
            &["initializationSucceeded"],
        )?;
        self.fill_restrictions(system)?;
        let asked = |name: &str| system.get(name).is_some_and(|value| *value != Json::Null);
        let refuse = |name: &str, why: &str| Err(Refusal::invalid(format!("properties.system.{name}"), why));
        if asked("initializationSucceeded") {
            return refuse("initializationSucceeded", "can be written only while initialization is evaluating");
        }
        if asked("owners") && !self.session.has("hasOwners") {
            return refuse("owners", "needs the capability hasOwners");
        }
        if asked("matchmaking") && !self.session.has("clientMatchmaking") {
            let stored = self.session.properties.system.get("matchmaking");
            if stored.is_some_and(|matchmaking| matchmaking.get("clientResult").is_some()) {
                return refuse("matchmaking.clientResult", "needs the capability clientMatchmaking");
            }
        }
        if self.session.flag("locked") && !self.session.flag("closed") {
            return refuse("locked", "needs closed to be true");
        }
        if self.session.visibility() == Visibility::Private && self.session.properties.system.contains_key("keywords") {
            return refuse("keywords", "a private session cannot have keywords");
        }
        if asked("turn") {
            let here = |index: u32| self.session.members.iter().any(|member| member.index == index);
            if let Some(index) = self.session.turn().into_iter().find(|index| !here(*index)) {
                return refuse("turn", &format!("there is no member {index}"));
            }
        }
        Ok(())
    }

    /// Fills in the restrictions' defaults and keeps reading at least as open as joining (S-40, S-41, S-54).
    fn fill_restrictions(&mut self, given: &Object) -> Result<(), Refusal> {
        let narrow = self.session.has("userAuthorizationStyle");
        let default = if narrow { Restriction::Local } else { Restriction::None };
        let system = &mut self.session.properties.system;
        for (at, name) in ["joinRestriction", "readRestriction"].into_iter().enumerate() {
            if !system.contains_key(name) {
                system.shift_insert(at.min(system.len()), name.into(), default.as_str().into());
            }
        }
        if !system.contains_key("turn") {
            system.shift_insert(2, "turn".into(), Json::Array(Vec::new()));
        }
        let (join, read) = (self.session.join_restriction(), self.session.read_restriction());
        if narrow && join == Restriction::None {
            return Err(Refusal::invalid(
                "properties.system.joinRestriction",
                "must be local or followed in sessions with the capability userAuthorizationStyle",
            ));
        }
        if read > join {
            if given.contains_key("readRestriction") {
                return Err(Refusal::invalid(
                    "properties.system.readRestriction",
                    "must be at least as permissive as joinRestriction",
                ));
            }
            self.session.properties.system.insert("readRestriction".into(), join.as_str().into());
        }
        Ok(())
    }

    /// Remembers the device of the caller's last write.
    fn note_device(&mut self) {
        if let Some(user) = self.context.principal.user()
            && let Some(member) = self.session.member_mut(user.xuid)
        {
            member.device_id.clone_from(&user.device_id);
        }
    }

    /// Zero timeouts, what depends on members, who is left; and the refusals that come last (E-10).
    fn finish(self) -> Result<Record, Refusal> {
        let (count, most) = (self.session.members.len(), self.session.max_members());
        let mut after = timers::finish(self.session, self.context.now);
        if let Some(session) = &mut after {
            // Who was added and taken out again by a zero timeout was never seen, so its index is free (W-34).
            session.next_index = session.members.last().map_or(0, |last| last.index + 1).max(self.fresh);
            check_group(session, self.context.principal)?;
        }
        if let Some(conflict) = self.conflict {
            return Err(conflict);
        }
        if count > most {
            return Err(Refusal::new(Kind::Full, format!("the session is full: it has {most} slots, reservations included")));
        }
        Ok(after)
    }
}
