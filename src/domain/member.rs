//! A member's entry: how it is made, and what its user may do to it (members.md, States; W-31, W-33).

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::bag::{self, BagDelta};
use super::limits::{self, Limits};
use super::names::{MemberIndex, TitleId, Xuid};
use super::principal::User;
use super::refusal::{At, Refusal};
use super::roles::RoleTypes;
use super::session::{Bag, Member, MemberState, Standing};
use super::system::{self, MEMBER_CONSTANTS, MEMBER_PROPERTIES};
use super::template::{self, Form};
use crate::json::{Json, Object};

/// An entry of `members` in a request, taken apart.
pub struct Entry<'a> {
    /// The path of the entry, for messages.
    pub at: String,
    constants: BagDelta<'a>,
    /// `None` when the entry does not speak of properties at all.
    properties: Option<Properties<'a>>,
    roles: Option<&'a Object>,
}

struct Properties<'a> {
    system: Option<Cow<'a, Object>>,
    custom: Option<&'a Json>,
}

impl<'a> Entry<'a> {
    /// Takes an entry apart; its names are brought into those of 107.
    ///
    /// # Errors
    /// 400 for keys that a request may not carry (S-10), and for both forms of one setting (W-71).
    pub fn read(at: String, entry: &'a Object, form: Form) -> Result<Self, Refusal> {
        for key in entry.keys() {
            match key.as_str() {
                "constants" | "properties" | "roles" => {}
                _ => {
                    return Err(Refusal::invalid(
                        format_args!("{at}.{key}"),
                        "a member entry holds constants, properties and roles only",
                    ));
                }
            }
        }
        let constants = BagDelta::read(format_args!("{at}.constants"), entry.get("constants"))?;
        let properties = match entry.get("properties") {
            None => None,
            Some(bag) => {
                let bag = BagDelta::read(format_args!("{at}.properties"), Some(bag))?;
                let anew = |system| template::modernise_member(system, form, format_args!("{at}.properties.system"));
                Some(Properties { system: bag.system.map(anew).transpose()?, custom: bag.custom })
            }
        };
        let roles = match entry.get("roles") {
            None => None,
            Some(Json::Object(roles)) => Some(roles),
            Some(other) => {
                return Err(Refusal::invalid(format_args!("{at}.roles"), format!("an object is expected, not {}", other.kind())));
            }
        };
        Ok(Self { at, constants, properties, roles })
    }

    /// Merges the roles of the entry into those the member has (S-61).
    ///
    /// # Errors
    /// 400 for unknown role types and roles (M-84).
    pub fn apply_roles(&self, member: &mut Member, types: &RoleTypes) -> Result<(), Refusal> {
        match self.roles {
            Some(roles) => types.assign(format_args!("{}.roles", self.at), &mut member.roles, roles),
            None => Ok(()),
        }
    }

    /// Whether the entry sets a state flag.
    #[must_use]
    pub fn sets_a_flag(&self) -> bool {
        let system = self.properties.as_ref().and_then(|properties| properties.system.as_deref());
        system.is_some_and(|system| ["active", "ready"].iter().any(|name| system.get(*name) == Some(&Json::Bool(true))))
    }

    /// The xuid the entry names, if it names one (S-70).
    ///
    /// # Errors
    /// 400 when it is no xuid.
    pub fn xuid(&self) -> Result<Option<Xuid>, Refusal> {
        let given = self.constants.system.and_then(|system| system.get("xuid"));
        given.map(|value| system::xuid(format_args!("{}.constants.system.xuid", self.at), value)).transpose()
    }

    /// Refuses `properties` in a reservation: they belong to their user (W-09).
    ///
    /// # Errors
    /// 400.
    pub fn without_properties(&self) -> Result<(), Refusal> {
        if self.properties.is_some() {
            return Err(Refusal::invalid(format!("{}.properties", self.at), "a reservation carries constants and roles only"));
        }
        Ok(())
    }

    /// The constants of a new member, without `xuid` and `index`.
    ///
    /// # Errors
    /// 400 for unknown fields and wrong values.
    pub fn new_constants(&self, limits: &Limits) -> Result<Bag, Refusal> {
        let mut constants = Bag::default();
        let at = format_args!("{}.constants", self.at);
        if let Some(system) = self.constants.system {
            bag::merge_system(
                &mut constants.system,
                system,
                MEMBER_CONSTANTS,
                format_args!("{at}.system"),
                limits,
                &["xuid", "index"],
            )?;
        }
        if let Some(custom) = self.constants.custom {
            bag::merge_custom(&mut constants.custom, custom);
            bag::check_custom(format_args!("{at}.custom"), &constants.custom, limits.member_custom_bytes)?;
        }
        Ok(constants)
    }

    /// Compares constants given again with those the member has (W-31).
    ///
    /// For a reservation, what it does not have yet is added. Returns the first contradiction, to be refused once nothing is wrong
    /// in itself (E-10).
    ///
    /// # Errors
    /// 400 for unknown fields and wrong values.
    pub fn repeat_constants(&self, member: &mut Member, limits: &Limits) -> Result<Option<Refusal>, Refusal> {
        let given = self.new_constants(limits)?;
        let reserved = member.state == MemberState::Reserved;
        let mut conflict = None;
        let mut differs = |at: At<'_>| {
            let _ = conflict.get_or_insert_with(|| Refusal::conflict(at, "differs from what was set when the member was added"));
        };
        for field in MEMBER_CONSTANTS {
            let asked = self.constants.system.is_some_and(|system| system.contains_key(field.name));
            let at = format_args!("{}.constants.system.{}", self.at, field.name);
            match (member.constants.system.get(field.name), given.system.get(field.name)) {
                (None, Some(value)) if reserved => drop(member.constants.system.insert(field.name.into(), value.clone())),
                (_, _) if field.name == "initialize" && !reserved => {}
                (stored, value) if asked && stored != value && (value.is_some() || field.name != "initialize") => differs(at),
                _ => {}
            }
        }
        let at = format_args!("{}.constants.custom", self.at);
        if self.constants.custom.is_some() {
            member.constants.custom.open();
        }
        match (&mut member.constants.custom, self.constants.custom.map(Json::opened).as_deref()) {
            (_, None) => {}
            (Json::Object(stored), Some(Json::Object(asked))) => {
                for (name, value) in asked {
                    match stored.get(name) {
                        None if *value == Json::Null => {}
                        None if reserved => drop(stored.insert(name.clone(), value.clone())),
                        Some(stored) if stored == value => {}
                        _ => differs(format_args!("{at}.{name}")),
                    }
                }
            }
            (Json::Object(stored), Some(value)) if reserved && stored.is_empty() => {
                if *value != Json::Null {
                    member.constants.custom = value.clone();
                }
            }
            (Json::Object(stored), Some(Json::Null)) if stored.is_empty() => {}
            (stored, Some(value)) => {
                if stored != value {
                    differs(at);
                }
            }
        }
        let at = format_args!("{}.constants.custom", self.at);
        bag::check_custom(at, &member.constants.custom, limits.member_custom_bytes)?;
        Ok(conflict)
    }

    /// Merges the member's own properties and moves its state (W-12, M-01, Transitions); `title` is that of the write (M-04).
    ///
    /// # Errors
    /// 400 for unknown fields, wrong values and states that the session does not allow.
    pub fn apply_properties(&self, member: &mut Member, rules: &Rules, title: Option<TitleId>) -> Result<(), Refusal> {
        let Some(properties) = &self.properties else { return Ok(()) };
        let at = format_args!("{}.properties", self.at);
        if let Some(given) = properties.system.as_deref() {
            let at = format_args!("{at}.system");
            let flags = Flags::read(given, at)?;
            let stored = &mut member.properties.system;
            bag::merge_system(
                stored,
                given,
                MEMBER_PROPERTIES,
                at,
                rules.limits,
                &["active", "ready", "subscriptions", "secondarySubscriptions"],
            )?;
            for name in ["subscriptions", "secondarySubscriptions"] {
                merge_by_id(stored, given, name, at, rules.limits)?;
            }
            stored.shift_remove("encounters");
            check(member, given, at, rules)?;
            flags.apply(member, at, rules, title)?;
        }
        if let Some(custom) = properties.custom {
            bag::merge_custom(&mut member.properties.custom, custom);
            bag::check_custom(format_args!("{at}.custom"), &member.properties.custom, rules.limits.member_custom_bytes)?;
        }
        Ok(())
    }
}

/// What a member's properties depend on in their session.
#[expect(clippy::struct_excessive_bools, reason = "each is a capability of its own")]
pub struct Rules<'a> {
    /// The instant of the request.
    pub now: DateTime<Utc>,
    /// The installation's bounds.
    pub limits: &'a Limits,
    /// Capability `connectivity` (S-80).
    pub connectivity: bool,
    /// Capability `connectionRequiredForActiveMembers` (M-30).
    pub connection_required: bool,
    /// Capability `large` (M-97).
    pub large: bool,
    /// Whether anybody is ready for longer than the write that says so (M-26).
    pub ready_lasts: bool,
}

/// What a write is for a member's state (members.md, Transitions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody else reserves a slot.
    Reserve,
    /// Its user writes, without a flag that changes anything.
    Write,
    /// Its user, or a server, sets `ready`.
    Ready,
    /// Its user, or a server, sets `active`.
    Active,
    /// Its user, or a server, takes back the flag that is set.
    Rest,
    /// Its user leaves, or a server or an owner takes it out.
    Leave,
}

/// A state before, what happens, the state after; `None` is "no member".
pub type Transition = (Option<Standing>, Event, Option<Standing>);

/// What writes do to the state of members, row by row the table of members.md. What time does is in
/// [`timers::MEMBER_TIMERS`](super::timers::MEMBER_TIMERS).
pub const TRANSITIONS: &[Transition] = {
    use Standing::{Active, Inactive, Ready, Reserved};
    &[
        (None, Event::Reserve, Some(Reserved)),
        (None, Event::Write, Some(Inactive)),
        (Some(Reserved), Event::Write, Some(Inactive)),
        (None, Event::Ready, Some(Ready)),
        (Some(Reserved), Event::Ready, Some(Ready)),
        (Some(Inactive), Event::Ready, Some(Ready)),
        (Some(Active), Event::Ready, Some(Ready)),
        (None, Event::Active, Some(Active)),
        (Some(Reserved), Event::Active, Some(Active)),
        (Some(Inactive), Event::Active, Some(Active)),
        (Some(Ready), Event::Active, Some(Active)),
        (Some(Active), Event::Rest, Some(Inactive)),
        (Some(Ready), Event::Rest, Some(Inactive)),
        (Some(Reserved), Event::Leave, None),
        (Some(Inactive), Event::Leave, None),
        (Some(Ready), Event::Leave, None),
        (Some(Active), Event::Leave, None),
    ]
};

/// The state after an event; `None` when it stays as it is, or when there is no member afterwards.
fn transition(from: Option<Standing>, event: Event) -> Option<Standing> {
    TRANSITIONS.iter().find(|(known, on, _)| *known == from && *on == event).and_then(|(.., to)| *to)
}

/// A member that somebody added (M-02).
#[must_use]
pub fn reserve(index: MemberIndex, xuid: Xuid, constants: Bag, now: DateTime<Utc>) -> Member {
    Member {
        index,
        xuid,
        state: MemberState::Reserved,
        since: now,
        joined_at: now,
        gamertag: None,
        grace_until: None,
        device_id: None,
        constants,
        properties: Bag::default(),
        roles: BTreeMap::new(),
        episode: None,
        failure: None,
    }
}

/// Turns a reservation into a member by its user's own write (W-33): inactive, until a flag says otherwise.
pub fn accept(member: &mut Member, user: &User, now: DateTime<Utc>) {
    member.state = MemberState::Inactive;
    member.since = now;
    member.joined_at = now;
    member.gamertag.clone_from(&user.gamertag);
}

/// The state flags of a request: `None` where it does not speak of one.
struct Flags {
    active: Option<bool>,
    ready: Option<bool>,
}

impl Flags {
    fn read(given: &Object, at: At<'_>) -> Result<Self, Refusal> {
        let flag = |name: &str| match given.get(name) {
            None => Ok(None),
            Some(Json::Null) => Ok(Some(false)),
            Some(Json::Bool(set)) => Ok(Some(*set)),
            Some(other) => {
                Err(Refusal::invalid(format_args!("{at}.{name}"), format!("true or false is expected, not {}", other.kind())))
            }
        };
        let flags = Self { active: flag("active")?, ready: flag("ready")? };
        if flags.active == Some(true) && flags.ready == Some(true) {
            return Err(Refusal::invalid(format_args!("{at}.ready"), "active and ready exclude each other"));
        }
        Ok(flags)
    }

    /// What the flags are for a member of a state; setting one clears the other (M-01).
    fn event(&self, state: Standing) -> Event {
        match (self.active, self.ready, state) {
            (Some(true), ..) => Event::Active,
            (_, Some(true), _) => Event::Ready,
            (Some(false), _, Standing::Active) | (_, Some(false), Standing::Ready) => Event::Rest,
            _ => Event::Write,
        }
    }

    /// Moves a member by its own write.
    fn apply(&self, member: &mut Member, at: At<'_>, rules: &Rules, title: Option<TitleId>) -> Result<(), Refusal> {
        let standing = member.state.standing();
        let ready_lasts = rules.ready_lasts || member.episode.is_some();
        let next = match transition(Some(standing), self.event(standing)) {
            Some(Standing::Ready) if !ready_lasts => Standing::Inactive,
            Some(next) => next,
            None => standing,
        };
        if next == Standing::Active && rules.connection_required && !member.properties.system.contains_key("connection") {
            return Err(Refusal::invalid(
                format_args!("{at}.{}", if self.active == Some(true) { "active" } else { "connection" }),
                "members of this session need a connection to be active (connectionRequiredForActiveMembers)",
            ));
        }
        if next != standing {
            member.state = match next {
                Standing::Reserved => MemberState::Reserved,
                Standing::Inactive => MemberState::Inactive,
                Standing::Ready => MemberState::Ready,
                Standing::Active => MemberState::Active { title },
            };
            member.since = rules.now;
        }
        Ok(())
    }
}

/// Merges a map entry by entry: `null` removes one without touching the others (W-12).
fn merge_by_id(stored: &mut Object, given: &Object, name: &str, at: At<'_>, limits: &Limits) -> Result<(), Refusal> {
    let entries = match given.get(name) {
        None => return Ok(()),
        Some(Json::Null) => {
            stored.shift_remove(name);
            return Ok(());
        }
        Some(Json::Object(entries)) => entries,
        Some(other) => {
            return Err(Refusal::invalid(format_args!("{at}.{name}"), format!("an object is expected, not {}", other.kind())));
        }
    };
    let mut kept = stored.get(name).and_then(Json::as_object).cloned().unwrap_or_default();
    let mut fresh = Object::new();
    for (id, entry) in entries {
        if *entry == Json::Null {
            kept.shift_remove(id);
        } else {
            fresh.insert(id.clone(), entry.clone());
        }
    }
    if !fresh.is_empty() {
        let mut one = Object::new();
        let mut field = Object::new();
        field.insert(name.into(), fresh.into());
        bag::merge_system(&mut one, &field, MEMBER_PROPERTIES, at, limits, &[])?;
        if let Some(Json::Object(fresh)) = one.shift_remove(name) {
            kept.extend(fresh);
        }
        if kept.len() > limits::MAX_SUBSCRIPTIONS {
            let why = format!("at most {} entries are allowed", limits::MAX_SUBSCRIPTIONS);
            return Err(Refusal::invalid(format_args!("{at}.{name}"), why));
        }
    }
    if kept.is_empty() {
        stored.shift_remove(name);
    } else {
        bag::replace(stored, name, kept.into());
    }
    Ok(())
}

/// What the merged properties must fulfil together (S-77, S-80, S-84), and the own index in a group.
///
/// Whom a group may name shows only when all members are added: `decide` (S-81).
fn check(member: &mut Member, given: &Object, at: At<'_>, rules: &Rules) -> Result<(), Refusal> {
    let asked = |name: &str| given.contains_key(name);
    let token = member.device_token();
    let stored = &mut member.properties.system;
    let hidden = ["subscription", "subscriptions", "initializationGroup", "measurements"];
    if let Some(name) = hidden.into_iter().find(|name| rules.large && asked(name) && stored.contains_key(*name)) {
        return Err(Refusal::invalid(format_args!("{at}.{name}"), "cannot be written in a large session"));
    }
    if asked("subscription") && stored.get("subscription").is_some_and(|subscription| subscription.get("id").is_none()) {
        return Err(Refusal::invalid(format_args!("{at}.subscription.id"), "a subscription needs an id"));
    }
    if asked("secureDeviceAddress") && stored.contains_key("secureDeviceAddress") && !rules.connectivity {
        return Err(Refusal::invalid(format_args!("{at}.secureDeviceAddress"), "needs the capability connectivity"));
    }
    let measures = |token: String| stored.get("measurements").is_some_and(|all| all.get(&token).is_some());
    if (asked("measurements") || asked("secureDeviceAddress")) && token.is_some_and(measures) {
        return Err(Refusal::invalid(format_args!("{at}.measurements"), "a device does not measure itself"));
    }
    if asked("initializationGroup")
        && let Some(Json::Array(group)) = stored.get_mut("initializationGroup")
    {
        let own = Json::from(member.index);
        if !group.contains(&own) {
            group.push(own);
        }
    }
    Ok(())
}
