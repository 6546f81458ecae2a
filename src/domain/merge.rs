//! Merging a request into a session, from top to bottom (W-38), with the refusals that come last (E-10 #14, #15).

use std::sync::Arc;

use super::bag::{self, BagDelta};
use super::command::{Delta, Write};
use super::connection::{self, Registration};
use super::decide::Context;
use super::entries::{Entries, Own};
use super::initialization;
use super::member::{self, Entry, Rules};
use super::names::{MemberIndex, Xuid};
use super::principal::Principal;
use super::refusal::{Kind, Refusal};
use super::servers;
use super::session::{Member, MemberState, Record, Restriction, Session, Visibility};
use super::system::{self, CONSTANTS, PROPERTIES};
use super::template::{self, Form};
use super::timers;
use crate::json::{Json, Object};

/// The caller's `initializationGroup` names members that are or were there (S-81).
fn check_group(session: &Session, user: Xuid) -> Result<(), Refusal> {
    let group = session
        .member(user)
        .and_then(|member| member.properties.system.get("initializationGroup")?.as_array())
        .unwrap_or_default();
    if group.iter().all(|index| index.as_u64().is_some_and(|index| index < u64::from(session.next_index))) {
        return Ok(());
    }
    Err(Refusal::invalid("members.me.properties.system.initializationGroup", "names an index that no member ever had"))
}

/// Constants in the names of 107; the old names are for old requests only (W-71).
pub fn named_anew(system: Option<&Object>, form: Form) -> Result<Object, Refusal> {
    match (system, form) {
        (None, _) => Ok(Object::new()),
        (Some(system), Form::Old) => template::modernise(system, format_args!("constants.system")),
        (Some(system), Form::New) => Ok(system.clone()),
    }
}

/// A session while a request is merged into it, with the refusals that come last (E-10 #14, #15).
pub struct Work<'a> {
    /// The session as far as it is merged.
    pub session: Session,
    context: &'a Context<'a>,
    form: Form,
    conflict: Option<Refusal>,
    /// What the title says of the episode that it evaluates (M-67).
    judged: Option<bool>,
    /// The first index that this request may use up.
    fresh: MemberIndex,
}

impl<'a> Work<'a> {
    /// Begins with the session as it is, or as it is created.
    #[must_use]
    pub fn new(session: Session, context: &'a Context<'a>, form: Form) -> Self {
        Self { fresh: session.next_index, session, context, form, conflict: None, judged: None }
    }

    /// Remembers a contradiction; only the first is told.
    pub fn object(&mut self, conflict: Option<Refusal>) {
        if self.conflict.is_none() {
            self.conflict = conflict;
        }
    }

    /// Session constants given again must say what they said (W-32).
    pub fn compare_constants(&mut self, write: &Write) -> Result<(), Refusal> {
        let given = BagDelta::read(format_args!("constants"), write.delta.constants.as_ref())?;
        for (name, value) in named_anew(given.system, write.form)? {
            let name = name.as_str();
            let at = format_args!("constants.system.{name}");
            let Some(field) = system::find(CONSTANTS, format_args!("constants.system"), name, self.context.limits)? else {
                continue;
            };
            let value = match &value {
                Json::Null => None,
                value => system::admit(&field.shape, at, value, self.context.limits)?,
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
        let Some(given) = given.custom else { return Ok(()) };
        let differs = match (&*self.session.constants.custom.opened(), &*given.opened()) {
            (Json::Object(stored), Json::Object(given)) => {
                let differs = |(name, value): &(_, &Json)| stored.get(*name).unwrap_or(&Json::Null) != *value;
                given.iter().find(|field| differs(field)).map(|(name, _)| format!("constants.custom.{name}"))
            }
            (Json::Object(stored), Json::Null) if stored.is_empty() => None,
            (stored, given) => (stored != given).then(|| "constants.custom".to_owned()),
        };
        self.object(differs.map(|at| Refusal::conflict(at, "constants are fixed once the session exists")));
        Ok(())
    }

    /// The role types of a creator beside those of the template (T-25).
    ///
    /// # Errors
    /// 400 for a declaration that is wrong in itself.
    pub fn declare_roles(&mut self, delta: &Delta) -> Result<(), Refusal> {
        if let Some(types) = &delta.role_types {
            let has_owners = self.session.has_owners();
            let conflict = self.session.role_types.declare(types, has_owners)?;
            self.object(conflict);
        }
        Ok(())
    }

    /// Settings of roles, as far as they may change (W-37).
    ///
    /// # Errors
    /// 400 for what is wrong in itself.
    pub fn change_roles(&mut self, delta: &Delta) -> Result<(), Refusal> {
        if let Some(types) = &delta.role_types {
            let conflict = self.session.role_types.change(types)?;
            self.object(conflict);
        }
        Ok(())
    }

    /// Removals by index, the users' own entries, reservations, other members' entries, properties, servers (W-38).
    ///
    /// # Errors
    /// 400 for whatever is wrong in itself; contradictions are remembered.
    pub fn apply(&mut self, delta: &Delta, entries: &Entries) -> Result<(), Refusal> {
        for (index, _) in entries.others.iter().filter(|(_, entry)| entry.is_none()) {
            if self.session.is_large() {
                let why = "members of a large session are not removed by others";
                self.object(Some(Refusal::conflict(format!("members.{index}"), why)));
            } else {
                self.remove(|member| member.index == *index);
            }
        }
        let mut leaving = Vec::new();
        for own in &entries.own {
            match own.entry {
                None => {
                    leaving.push(own.user.xuid);
                    self.remove(|member| member.xuid == own.user.xuid);
                }
                Some(entry) => self.write_own(own, &Entry::read(own.at.clone(), entry, self.form)?)?,
            }
        }
        for (number, entry) in &entries.reserved {
            self.reserve(&Entry::read(format!("members.reserve_{number}"), entry, self.form)?, &leaving)?;
        }
        for (index, entry) in &entries.others {
            if let Some(entry) = entry {
                self.write_other(*index, &Entry::read(format!("members.{index}"), entry, self.form)?)?;
            }
        }
        self.write_properties(&BagDelta::read(format_args!("properties"), delta.properties.as_ref())?)?;
        if let Some(given) = &delta.servers {
            servers::merge(&mut self.session, given, self.context.limits)?;
        }
        self.note_device();
        Ok(())
    }

    fn remove(&mut self, which: impl Fn(&Member) -> bool) {
        if let Some(member) = self.session.members.iter().find(|member| which(member)).cloned() {
            timers::remove(&mut self.session, &member);
        }
    }

    fn rules(&self) -> Rules<'a> {
        Rules {
            now: self.context.now,
            limits: self.context.limits,
            connectivity: self.session.has("connectivity"),
            connection_required: self.session.has("connectionRequiredForActiveMembers"),
            large: self.session.is_large(),
            ready_lasts: !self.session.timeout("readyRemovalTimeout").is_some_and(|timeout| timeout.is_zero()),
        }
    }

    /// Joins, accepts a reservation, or updates the entry of a user who asks.
    fn write_own(&mut self, own: &Own, entry: &Entry) -> Result<(), Refusal> {
        let (context, user) = (self.context, own.user);
        if entry.xuid()?.is_some_and(|xuid| xuid != user.xuid) {
            return Err(Refusal::invalid(format!("{}.constants.system.xuid", entry.at), "is not the caller's xuid"));
        }
        let known = self.session.member(user.xuid).map(|member| member.index);
        let index = if let Some(index) = known {
            index
        } else {
            let constants = entry.new_constants(context.limits)?;
            let index = self.take_index();
            self.session.members.push(Arc::new(member::reserve(index, user.xuid, constants, context.now)));
            index
        };
        let before = self.session.member_at(index).cloned();
        let rules = self.rules();
        let member = self.session.member_at_mut(index).expect("the member was found or made above");
        // Who has just been made here has the constants of this very entry.
        let conflict = if known.is_some() { entry.repeat_constants(member, context.limits)? } else { None };
        if member.state == MemberState::Reserved {
            member::accept(member, user, context.now);
            initialization::enlist(&mut self.session, index);
        }
        let types = self.session.role_types.clone();
        let member = self.session.member_at_mut(index).expect("the member is still there");
        entry.apply_roles(member, &types)?;
        entry.apply_properties(member, &rules, user.title_id)?;
        let overbooked =
            connection::register(before.as_deref(), member, format_args!("{}", entry.at), &registration(context, &rules));
        self.object(conflict);
        self.object(overbooked);
        Ok(())
    }

    /// Adds a reservation; one for somebody who is there already is none, nor is one for a user who is leaving (W-08).
    fn reserve(&mut self, entry: &Entry, leaving: &[Xuid]) -> Result<(), Refusal> {
        entry.without_properties()?;
        let Some(xuid) = entry.xuid()? else {
            return Err(Refusal::invalid(format!("{}.constants.system.xuid", entry.at), "a reservation needs an xuid"));
        };
        let constants = entry.new_constants(self.context.limits)?;
        if self.session.is_large() {
            let why = "members of a large session add themselves only";
            self.object(Some(Refusal::conflict(&entry.at, why)));
        } else if self.session.member(xuid).is_none() && !leaving.contains(&xuid) {
            let mut member = member::reserve(self.take_index(), xuid, constants, self.context.now);
            entry.apply_roles(&mut member, &self.session.role_types)?;
            let index = member.index;
            self.session.members.push(Arc::new(member));
            initialization::enlist(&mut self.session, index);
        } else {
            // Nobody is added, but what is wrong in itself stays wrong.
            entry.apply_roles(&mut member::reserve(0, xuid, constants, self.context.now), &self.session.role_types)?;
        }
        Ok(())
    }

    /// What a server or an owner writes of another member: roles and state flags (W-06); who may write which was judged before.
    fn write_other(&mut self, index: MemberIndex, entry: &Entry) -> Result<(), Refusal> {
        let rules = self.rules();
        let types = &self.session.role_types;
        let Ok(at) = self.session.members.binary_search_by_key(&index, |member| member.index) else {
            return Err(Refusal::invalid(&entry.at, "there is no such member"));
        };
        let before = Arc::clone(&self.session.members[at]);
        let member = Arc::make_mut(&mut self.session.members[at]);
        entry.apply_roles(member, types)?;
        if member.state.is_accepted() {
            let title = if let MemberState::Active { title } = member.state { title } else { None };
            entry.apply_properties(member, &rules, title)?;
            let overbooked =
                connection::register(Some(&before), member, format_args!("{}", entry.at), &registration(self.context, &rules));
            self.object(overbooked);
            Ok(())
        } else if entry.sets_a_flag() {
            Err(Refusal::invalid(&entry.at, "a reserved member has no state of its own until its user writes"))
        } else {
            Ok(())
        }
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
            bag::check_custom(format_args!("properties.custom"), &self.session.properties.custom, limits.session_custom_bytes)?;
        }
        let empty = Object::new();
        let system = given.system.unwrap_or(&empty);
        bag::merge_system(
            &mut self.session.properties.system,
            system,
            PROPERTIES,
            format_args!("properties.system"),
            limits,
            &["initializationSucceeded"],
        )?;
        self.fill_restrictions(system)?;
        let asked = |name: &str| system.get(name).is_some_and(|value| *value != Json::Null);
        let refuse = |name: &str, why: &str| Err(Refusal::invalid(format!("properties.system.{name}"), why));
        if asked("initializationSucceeded") && !initialization::is_evaluating(&self.session) {
            return refuse("initializationSucceeded", "can be written only while initialization is evaluating");
        }
        self.judged = system.get("initializationSucceeded").and_then(Json::as_bool);
        if asked("owners") {
            self.check_owners()?;
        }
        if self.session.is_large() {
            if let Some(name) = ["turn", "host"].into_iter().find(|name| asked(name)) {
                return refuse(name, "cannot be written in a large session");
            }
            if self.session.join_restriction() != Restriction::None {
                return refuse("joinRestriction", "must be none in a large session");
            }
        }
        if asked("serverConnectionStringCandidates") && self.session.has("autoPopulateServerCandidates") {
            let computed = initialization::server_candidates(&self.session);
            if self.session.properties.system.get("serverConnectionStringCandidates") != computed.as_ref() {
                return refuse("serverConnectionStringCandidates", "is computed in this session (autoPopulateServerCandidates)");
            }
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

    /// Owners are accepted members of a session that has owners (M-91).
    fn check_owners(&self) -> Result<(), Refusal> {
        let refuse = |why: &str| Err(Refusal::invalid("properties.system.owners", why));
        let accepted = |index: &MemberIndex| self.session.member_at(*index).is_some_and(|member| member.state.is_accepted());
        if !self.session.has_owners() {
            refuse("needs the capability hasOwners")
        } else if let Some(index) = self.session.owners().iter().find(|index| !accepted(index)) {
            refuse(&format!("there is no accepted member {index}"))
        } else {
            Ok(())
        }
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
        if !system.contains_key("turn") && self.session.crowd.is_none() {
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

    /// Remembers the device of the caller's last write; a server that acts for users has none.
    fn note_device(&mut self) {
        if let Principal::User(user) = self.context.principal
            && let Some(member) = self.session.member_mut(user.xuid)
        {
            member.device_id.clone_from(&user.device_id);
        }
    }

    /// Initialization, zero timeouts, what depends on members, who is left; and the refusals that come last (E-10).
    ///
    /// `before` is the session as it was stored, if it was.
    ///
    /// # Errors
    /// 400 for groups that name nobody, 409 for what was remembered and for full roles, 400 for a full session.
    pub fn finish(mut self, before: Option<&Session>) -> Result<Record, Refusal> {
        let (count, most) = (self.session.member_count(), self.session.max_members());
        let overfull = self.session.role_types.overfull(&self.session.taken());
        self.object(overfull);
        let mut after = timers::finish(self.session, before, self.judged, self.context.now);
        if let Some(session) = &mut after {
            // Who was added and taken out again by a zero timeout was never seen, so its index is free (W-34).
            session.next_index = session.members.last().map_or(0, |last| last.index + 1).max(self.fresh);
            self.context.principal.users().iter().try_for_each(|user| check_group(session, user.xuid))?;
            // Nor was an episode that nobody was left for (W-34).
            if let Some(before) = before.filter(|before| session.same_document(before)) {
                session.episodes = before.episodes;
            }
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

fn registration<'a>(context: &'a Context, rules: &Rules) -> Registration<'a> {
    Registration { now: context.now, limits: context.limits, facts: context.facts, required: rules.connection_required }
}
