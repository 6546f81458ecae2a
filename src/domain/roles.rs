//! Role types: what a session declares, what its members hold, and how many may hold what (S-55, S-56, M-80 to M-86, W-37, T-25).

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::names::Xuid;
use super::refusal::{At, Refusal};
use super::session::Session;
use crate::json::{Json, Object};

/// The role types of a session by name, in the order of their declaration; shared between its states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleTypes(Arc<IndexMap<String, RoleType>>);

/// One role type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleType {
    /// Whether only owners assign its roles (M-81).
    pub owner_managed: bool,
    /// Whether `max` of its roles may be changed later (M-85).
    pub mutable_max: bool,
    /// Whether `target` of its roles may be changed later (M-85).
    pub mutable_target: bool,
    /// Its roles by name.
    pub roles: IndexMap<String, Role>,
}

/// One role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Role {
    /// How many members may have it; `None`: any number (S-55).
    pub max: Option<u64>,
    /// How many the title wishes for.
    pub target: Option<u64>,
}

/// How many members have which role, by role type and role; those that nobody has are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken(BTreeMap<String, BTreeMap<String, usize>>);

/// What is wrong with a declaration: the path of the field, and why.
pub type Fault = (String, String);

impl Taken {
    /// Counts the roles of one more member.
    pub fn add(&mut self, roles: &BTreeMap<String, String>) {
        for (role_type, role) in roles {
            match self.0.get_mut(role_type).and_then(|counts| counts.get_mut(role)) {
                Some(count) => *count += 1,
                None => self.put(role_type, role, 1),
            }
        }
    }

    /// Forgets the roles of one member that was counted.
    pub fn take(&mut self, roles: &BTreeMap<String, String>) {
        for (role_type, role) in roles {
            let Some(counts) = self.0.get_mut(role_type) else { continue };
            match counts.get_mut(role) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(counts.remove(role)),
            }
            if counts.is_empty() {
                self.0.remove(role_type);
            }
        }
    }

    /// Counts some members with a role.
    pub fn put(&mut self, role_type: &str, role: &str, count: usize) {
        if count > 0 {
            self.0.entry(role_type.to_owned()).or_default().insert(role.to_owned(), count);
        }
    }

    /// How many members have a role.
    #[must_use]
    pub fn of(&self, role_type: &str, role: &str) -> usize {
        self.0.get(role_type).and_then(|counts| counts.get(role)).copied().unwrap_or(0)
    }
}

impl RoleTypes {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The role types by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RoleType)> {
        self.0.iter().map(|(name, role_type)| (name.as_str(), role_type))
    }

    /// Reads a declaration and everything that is wrong with it (S-55, M-82, M-85).
    #[must_use]
    pub fn read(types: &Json, has_owners: bool) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut read = IndexMap::new();
        let Some(types) = types.as_object() else {
            faults.push(("roleTypes".to_owned(), "an object of role types is expected (S-55)".to_owned()));
            return (Self::default(), faults);
        };
        for (name, role_type) in types {
            let at = format!("roleTypes.{name}");
            if !is_role_name(name.as_str()) {
                fault(&mut faults, &at, "a role type is named by up to 100 lower-case letters and digits (S-55)");
            }
            read.insert(name.to_string(), read_type(&at, role_type, has_owners, &mut faults));
        }
        (Self(Arc::new(read)), faults)
    }

    /// Adds the role types of a creator to those of the template (T-25). Returns the first contradiction.
    ///
    /// # Errors
    /// 400 for a declaration that is wrong in itself.
    pub fn declare(&mut self, given: &Json, has_owners: bool) -> Result<Option<Refusal>, Refusal> {
        let mut conflict = None;
        for (name, value) in object("roleTypes", given)? {
            let at = format!("roleTypes.{name}");
            if let Some(fixed) = self.0.get(name.as_str()) {
                if !fixed.is_repeated_by(Some(value)) {
                    conflict.get_or_insert_with(|| Refusal::conflict(at, "differs from what the template fixes"));
                }
                continue;
            }
            let (declared, faults) = Self::read(&one_field(name.as_str(), value), has_owners);
            if let Some((at, why)) = faults.into_iter().next() {
                return Err(Refusal::invalid(at, why));
            }
            Arc::make_mut(&mut self.0).extend(Arc::unwrap_or_clone(declared.0));
        }
        Ok(conflict)
    }

    /// Changes settings of roles as far as they may change (W-37). Returns the first contradiction.
    ///
    /// # Errors
    /// 400 for unknown role types and roles (M-84) and for wrong values.
    pub fn change(&mut self, given: &Json) -> Result<Option<Refusal>, Refusal> {
        let mut conflict = None;
        for (name, given) in object("roleTypes", given)? {
            let at = format!("roleTypes.{name}");
            let Some(role_type) = Arc::make_mut(&mut self.0).get_mut(name.as_str()) else {
                return Err(Refusal::invalid(at, "the session has no such role type"));
            };
            for (key, value) in object(&at, given)? {
                let at = format!("{at}.{key}");
                if key.as_str() == "roles" {
                    for (role, settings) in object(&at, value)? {
                        role_type.change_role(&format!("{at}.{role}"), &role.to_string(), settings, &mut conflict)?;
                    }
                } else if !matches!(key.as_str(), "ownerManaged" | "mutableRoleSettings") {
                    return Err(Refusal::invalid(at, "a role type holds ownerManaged, mutableRoleSettings and roles only"));
                } else if !role_type.is_repeated_by(Some(&one_field(key.as_str(), value))) {
                    conflict.get_or_insert_with(|| Refusal::conflict(at, "cannot be changed once the session exists"));
                }
            }
        }
        Ok(conflict)
    }

    /// Whether writing this would change nothing.
    #[must_use]
    pub fn is_repeated_by(&self, given: &Json) -> bool {
        let mut after = self.clone();
        after.change(given) == Ok(None) && after == *self
    }

    /// The first role that more members have than may (M-83).
    #[must_use]
    pub fn overfull(&self, taken: &Taken) -> Option<Refusal> {
        for (type_name, role_type) in self.0.iter() {
            for (name, role) in &role_type.roles {
                let count = taken.of(type_name, name);
                if let Some(max) = role.max.filter(|max| (count as u64) > *max) {
                    let at = format!("roleTypes.{type_name}.roles.{name}");
                    return Some(Refusal::conflict(at, format!("{count} members would have the role, at most {max} may")));
                }
            }
        }
        None
    }

    /// Merges what a request says of a member's roles; `null` drops one (S-61, M-80).
    ///
    /// # Errors
    /// 400 for unknown role types and roles (M-84) and for values that are no text.
    pub fn assign(&self, at: At<'_>, held: &mut BTreeMap<String, String>, given: &Object) -> Result<(), Refusal> {
        for (name, value) in given {
            let at = format_args!("{at}.{name}");
            let Some(role_type) = self.0.get(name.as_str()) else {
                return Err(Refusal::invalid(at, "the session has no such role type"));
            };
            match (value, value.as_str()) {
                (Json::Null, _) => drop(held.remove(name.as_str())),
                (_, Some(role)) if role_type.roles.contains_key(&*role) => drop(held.insert(name.to_string(), role.into_owned())),
                (_, Some(_)) => return Err(Refusal::invalid(at, "the role type has no such role")),
                (other, None) => {
                    return Err(Refusal::invalid(at, format!("the name of a role is expected, not {}", other.kind())));
                }
            }
        }
        Ok(())
    }

    /// The first role type in a request that only owners assign and that the request would change (M-81).
    #[must_use]
    pub fn managed<'g>(&self, held: Option<&BTreeMap<String, String>>, given: &'g Object) -> Option<(String, &'g Json)> {
        let managed = |name: &str| self.0.get(name).is_some_and(|role_type| role_type.owner_managed);
        let same = |name: &str, value: &Json| match (held.and_then(|held| held.get(name)), value) {
            (None, Json::Null) => true,
            (Some(held), value) => value.as_str().is_some_and(|role| role == held.as_str()),
            _ => false,
        };
        given.iter().map(|(name, value)| (name.to_string(), value)).find(|(name, value)| managed(name) && !same(name, value))
    }

    /// Whether only owners assign the roles of a role type; `None` when there is no such type.
    #[must_use]
    pub fn is_managed(&self, role_type: &str) -> Option<bool> {
        self.0.get(role_type).map(|role_type| role_type.owner_managed)
    }

    /// Renders the role types (M-86): with the counts, and with the holders of each role where they are given.
    #[must_use]
    pub fn render(&self, taken: Option<&Taken>, holders: Option<&Holders>) -> Object {
        let mut types = Object::with_capacity(self.0.len());
        for (type_name, role_type) in self.0.iter() {
            let mut fields = Object::new();
            if role_type.owner_managed {
                fields.insert("ownerManaged".into(), true.into());
            }
            let mutable = [("max", role_type.mutable_max), ("target", role_type.mutable_target)];
            if mutable.iter().any(|(_, set)| *set) {
                let names = mutable.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
                fields.insert("mutableRoleSettings".into(), names);
            }
            let mut roles = Object::with_capacity(role_type.roles.len());
            for (name, role) in &role_type.roles {
                let mut settings = Object::new();
                for (key, number) in [("max", role.max), ("target", role.target)] {
                    if let Some(number) = number {
                        settings.insert(key.into(), number.into());
                    }
                }
                if let Some(taken) = taken {
                    settings.insert("count".into(), (taken.of(type_name, name) as u64).into());
                }
                if let Some(holders) = holders {
                    let xuids = holders.0.get(&(type_name.as_str(), name.as_str())).map_or(&[] as &[Xuid], Vec::as_slice);
                    settings.insert("memberXuids".into(), xuids.iter().map(Xuid::to_string).collect());
                }
                roles.insert(name.as_str().into(), settings.into());
            }
            fields.insert("roles".into(), roles.into());
            types.insert(type_name.as_str().into(), fields.into());
        }
        types
    }
}

/// Who has which role.
#[derive(Debug, Default)]
pub struct Holders<'a>(BTreeMap<(&'a str, &'a str), Vec<Xuid>>);

impl<'a> Holders<'a> {
    /// The holders among the loaded members, in the order of their indices.
    #[must_use]
    pub fn of(session: &'a Session) -> Self {
        let mut holders = Self::default();
        session.members.iter().for_each(|member| holders.add(member.xuid, &member.roles));
        holders
    }

    /// Adds a member.
    pub fn add(&mut self, xuid: Xuid, roles: &'a BTreeMap<String, String>) {
        for (role_type, role) in roles {
            self.0.entry((role_type, role)).or_default().push(xuid);
        }
    }
}

impl RoleType {
    /// Whether a declaration says nothing else than this one; it may say less (T-25).
    fn is_repeated_by(&self, given: Option<&Json>) -> bool {
        let Some(given) = given.and_then(Json::as_object) else { return false };
        given.iter().all(|(key, value)| match key.as_str() {
            "ownerManaged" => value.as_bool() == Some(self.owner_managed),
            "mutableRoleSettings" => {
                let says =
                    |name: &str| value.as_array().unwrap_or_default().iter().any(|item| item.as_str().as_deref() == Some(name));
                value.as_array().is_some() && says("max") == self.mutable_max && says("target") == self.mutable_target
            }
            "roles" => value.as_object().is_some_and(|roles| {
                roles
                    .iter()
                    .all(|(name, settings)| self.roles.get(name.as_str()).is_some_and(|role| role.is_repeated_by(settings)))
            }),
            _ => false,
        })
    }

    fn change_role(&mut self, at: &str, name: &str, settings: &Json, conflict: &mut Option<Refusal>) -> Result<(), Refusal> {
        let Some(role) = self.roles.get_mut(name) else {
            return Err(Refusal::invalid(at, "the role type has no such role"));
        };
        for (key, value) in object(at, settings)? {
            let at = format!("{at}.{key}");
            let (stored, mutable) = match key.as_str() {
                "max" => (&mut role.max, self.mutable_max),
                "target" => (&mut role.target, self.mutable_target),
                _ => return Err(Refusal::invalid(at, "a role holds max and target only")),
            };
            let number = match value {
                Json::Null => None,
                value => Some(positive(value).ok_or_else(|| Refusal::invalid(&at, "a whole number above 0 is expected"))?),
            };
            if *stored == number {
            } else if mutable {
                *stored = number;
            } else {
                conflict.get_or_insert_with(|| Refusal::conflict(at, "is not among mutableRoleSettings"));
            }
        }
        if role.target.zip(role.max).is_some_and(|(target, max)| target > max) {
            return Err(Refusal::invalid(format!("{at}.target"), "at most max is expected"));
        }
        Ok(())
    }
}

impl Role {
    fn is_repeated_by(self, settings: &Json) -> bool {
        settings.as_object().is_some_and(|settings| {
            settings.iter().all(|(key, value)| match key.as_str() {
                "max" => value.as_u64() == self.max && self.max.is_some(),
                "target" => value.as_u64() == self.target && self.target.is_some(),
                _ => false,
            })
        })
    }
}

fn fault(faults: &mut Vec<Fault>, at: &str, why: &str) {
    faults.push((at.to_owned(), why.to_owned()));
}

fn object<'j>(at: &str, value: &'j Json) -> Result<&'j Object, Refusal> {
    value.as_object().ok_or_else(|| Refusal::invalid(at, format!("an object is expected, not {}", value.kind())))
}

fn one_field(name: &str, value: &Json) -> Json {
    let mut fields = Object::new();
    fields.insert(name.into(), value.clone());
    fields.into()
}

fn is_role_name(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn positive(value: &Json) -> Option<u64> {
    value.as_u64().filter(|number| (1..=super::limits::MAX_TIMEOUT_MS).contains(number))
}

fn read_type(at: &str, given: &Json, has_owners: bool, faults: &mut Vec<Fault>) -> RoleType {
    let mut read = RoleType::default();
    let Some(fields) = given.as_object() else {
        fault(faults, at, "an object with roles is expected (S-55)");
        return read;
    };
    for (key, value) in fields {
        let key_at = format!("{at}.{key}");
        match key.as_str() {
            "ownerManaged" => match value.as_bool() {
                None => fault(faults, &key_at, "true or false is expected"),
                Some(true) if !has_owners => fault(faults, &key_at, "needs the capability hasOwners (M-82)"),
                Some(managed) => read.owner_managed = managed,
            },
            "mutableRoleSettings" => {
                let items = value.as_array();
                if items.is_none() {
                    fault(faults, &key_at, "a list of max and target is expected (M-85)");
                }
                for item in items.unwrap_or_default() {
                    match item.as_str().as_deref() {
                        Some("max") => read.mutable_max = true,
                        Some("target") => read.mutable_target = true,
                        _ => fault(faults, &key_at, "a list of max and target is expected (M-85)"),
                    }
                }
            }
            "roles" => read.roles = read_roles(&key_at, value, faults),
            _ => fault(faults, &key_at, "a role type holds ownerManaged, mutableRoleSettings and roles only (S-55)"),
        }
    }
    if !fields.contains_key("roles") {
        fault(faults, at, "an object with roles is expected (S-55)");
    }
    read
}

fn read_roles(at: &str, given: &Json, faults: &mut Vec<Fault>) -> IndexMap<String, Role> {
    let mut roles = IndexMap::new();
    let Some(given) = given.as_object() else {
        fault(faults, at, "an object of roles is expected (S-55)");
        return roles;
    };
    for (name, role) in given {
        let at = format!("{at}.{name}");
        if !is_role_name(name.as_str()) {
            fault(faults, &at, "a role is named by up to 100 lower-case letters and digits (S-55)");
        }
        let Some(settings) = role.as_object() else {
            fault(faults, &at, "an object of max and target is expected (S-55)");
            continue;
        };
        let mut read = Role::default();
        for (key, value) in settings {
            let key_at = format!("{at}.{key}");
            match (key.as_str(), positive(value)) {
                ("max", Some(number)) => read.max = Some(number),
                ("target", Some(number)) => read.target = Some(number),
                ("max" | "target", None) => fault(faults, &key_at, "a whole number above 0 is expected (S-55)"),
                _ => fault(faults, &key_at, "a role holds max and target only (S-55)"),
            }
        }
        if read.target.zip(read.max).is_some_and(|(target, max)| target > max) {
            fault(faults, &format!("{at}.target"), "at most max is expected (S-55)");
        }
        roles.insert(name.to_string(), read);
    }
    roles
}
