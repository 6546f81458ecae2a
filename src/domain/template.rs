//! Session templates: reading and validating a published one, and merging it with a creator's constants (templates.md).

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use super::limits::{self, Limits, UnknownFields};
use super::names::TemplateName;
use super::refusal::{At, Refusal};
use super::roles::RoleTypes;
use super::session::{Bag, has_capability};
use super::system::{self, CAPABILITIES, CONSTANTS, Shape};
use crate::json::{Json, Object};

/// Which names a request or a template uses for the constants that 107 renamed (T-50, W-71).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Contract versions 104 to 106: the old names are understood beside the new ones.
    Old,
    /// Contract version 107: the new names only.
    New,
}

/// The last contract version of the old kind: its templates have other defaults (T-51, T-54).
const OLD: u32 = 105;

/// A published template, read and found valid (T-08).
#[derive(Debug, Clone)]
pub struct Template {
    /// Its name in the published case.
    pub name: TemplateName,
    /// The contract version it was written for, 104 to 107; decides the defaults (T-51).
    pub contract_version: u32,
    /// Constants in the names of 107; `null` means explicitly unset.
    system: Object,
    custom: Object,
    role_types: RoleTypes,
    published: Json,
    /// What a session gets whose creator gives no constants: sessions share it.
    plain: OnceLock<Result<Merged, Refusal>>,
}

/// Something about a template that its author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Whether the template cannot be served because of it.
    pub fatal: bool,
    /// The path of the field.
    pub at: String,
    /// What about it, with the rule.
    pub why: String,
}

impl Template {
    /// Reads a published document and reports everything that is wrong with it, and what is merely odd.
    ///
    /// # Errors
    /// All remarks, when at least one is fatal.
    pub fn read(name: TemplateName, document: &Json) -> Result<(Self, Vec<Remark>), Vec<Remark>> {
        let mut remarks = Remarks(Vec::new());
        let template = read(name, document, &mut remarks);
        if remarks.0.iter().any(|remark| remark.fatal) { Err(remarks.0) } else { Ok((template, remarks.0)) }
    }

    /// A template that says nothing, for commands that make no session.
    #[must_use]
    pub fn blank(name: TemplateName) -> Self {
        Self {
            name,
            contract_version: 107,
            system: Object::new(),
            custom: Object::new(),
            role_types: RoleTypes::default(),
            published: Json::object(),
            plain: OnceLock::new(),
        }
    }

    /// The document as it was published, for readers (T-02).
    #[must_use]
    pub fn published(&self) -> &Json {
        &self.published
    }

    /// The role types that every session of it has (T-25).
    #[must_use]
    pub fn role_types(&self) -> &RoleTypes {
        &self.role_types
    }

    /// What the template says about who may create a session, before anything is merged (S-34).
    #[must_use]
    pub fn initiators(&self) -> Option<&Json> {
        self.system.get("initiators")
    }
}

struct Remarks(Vec<Remark>);

impl Remarks {
    fn push(&mut self, fatal: bool, at: impl Into<String>, why: impl Into<String>) {
        self.0.push(Remark { fatal, at: at.into(), why: why.into() });
    }

    fn refuse(&mut self, refusal: &Refusal) {
        let (at, why) = refusal.text.split_once(": ").unwrap_or(("", &refusal.text));
        self.push(true, at, why);
    }
}

fn read(name: TemplateName, document: &Json, remarks: &mut Remarks) -> Template {
    let empty = Object::new();
    let fields = document.as_object().unwrap_or_else(|| {
        remarks.push(true, "", "a template is a JSON object (T-01)");
        &empty
    });
    for key in fields.keys() {
        if !matches!(key.as_str(), "contractVersion" | "constants" | "roleTypes") {
            remarks.push(true, key.to_string(), "a template holds contractVersion, constants and roleTypes only (T-01)");
        }
    }
    let contract_version = match fields.get("contractVersion") {
        None => 107,
        Some(version) => {
            version.as_u64().and_then(|v| u32::try_from(v).ok()).filter(|v| (104..=107).contains(v)).unwrap_or_else(|| {
                remarks.push(true, "contractVersion", "a whole number from 104 to 107 is expected (T-07)");
                107
            })
        }
    };
    let constants = fields.get("constants").map_or(&empty, |constants| {
        constants.as_object().unwrap_or_else(|| {
            remarks.push(true, "constants", "an object of system and custom is expected (T-01)");
            &empty
        })
    });
    for key in constants.keys() {
        if !matches!(key.as_str(), "system" | "custom") {
            remarks.push(true, format!("constants.{key}"), "only system and custom may stand here (S-09)");
        }
    }
    let part = |name: &str, remarks: &mut Remarks| match constants.get(name) {
        None => Object::new(),
        Some(Json::Object(fields)) => fields.clone(),
        Some(other) => {
            remarks.push(true, format!("constants.{name}"), format!("an object is expected, not {}", other.kind()));
            Object::new()
        }
    };
    let (given, custom) = (part("system", remarks), part("custom", remarks));
    let mut system = read_system(&given, remarks);
    if contract_version <= OLD
        && let Some(capabilities) = system.get_mut("capabilities")
    {
        imply_gameplay(capabilities);
    }
    let role_types = fields.get("roleTypes").map_or_else(RoleTypes::default, |types| {
        let (role_types, faults) = RoleTypes::read(types, has_capability(&system, "hasOwners"));
        for (at, why) in faults {
            remarks.push(true, at, why);
        }
        role_types
    });
    for (at, why) in contradictions(&system) {
        remarks.push(true, format!("constants.system.{at}"), why);
    }
    let mut bag = Object::new();
    bag.insert("system".into(), given.into());
    bag.insert("custom".into(), custom.clone().into());
    let mut published = Object::new();
    published.insert("contractVersion".into(), contract_version.into());
    published.insert("constants".into(), bag.into());
    if let Some(types) = fields.get("roleTypes") {
        published.insert("roleTypes".into(), types.clone());
    }
    Template { name, contract_version, system, custom, role_types, published: published.into(), plain: OnceLock::new() }
}

fn read_system(given: &Object, remarks: &mut Remarks) -> Object {
    let limits = Limits { unknown_fields: UnknownFields::Reject, ..Limits::default() };
    let given = modernise(given, format_args!("constants.system")).unwrap_or_else(|refusal| {
        remarks.refuse(&refusal);
        Object::new()
    });
    let mut kept = Object::new();
    for (key, value) in &given {
        let name = key.as_str();
        let at = format_args!("constants.system.{name}");
        if *value == Json::Null {
            match system::find(CONSTANTS, format_args!("constants.system"), name, &limits) {
                Ok(_) => drop(kept.insert(key.clone(), Json::Null)),
                Err(refusal) => remarks.refuse(&refusal),
            }
            continue;
        }
        let (mut value, mut unknown) = (value.clone(), Object::new());
        if let (true, Json::Object(flags)) = (name == "capabilities", &mut value) {
            flags.retain(|flag, set| {
                let known = CAPABILITIES.contains(&flag.as_str());
                if !known {
                    remarks.push(
                        set.as_bool().is_none(),
                        format!("{at}.{flag}"),
                        "unknown capability, kept without effect (T-33)",
                    );
                    unknown.insert(flag.clone(), set.clone());
                }
                known
            });
        }
        let admitted = system::find(CONSTANTS, format_args!("constants.system"), name, &limits)
            .and_then(|field| field.map_or(Ok(None), |field| system::admit(&field.shape, at, &value, &limits)));
        match admitted {
            Ok(Some(mut value)) => {
                if let Json::Object(flags) = &mut value {
                    flags.extend(unknown);
                }
                kept.insert(key.clone(), value);
            }
            Ok(None) => {}
            Err(refusal) => remarks.refuse(&refusal),
        }
    }
    kept
}

/// The timeouts that 107 renamed (T-50): their old name inside `timeouts`, and their new one.
pub const RENAMED_TIMEOUTS: &[(&str, &str)] = &[
    ("reserved", "reservedRemovalTimeout"),
    ("inactive", "inactiveRemovalTimeout"),
    ("ready", "readyRemovalTimeout"),
    ("sessionEmpty", "sessionEmptyTimeout"),
];

/// Brings `constants.system` of an old request or of any template into the names of 107 (T-50, T-55).
///
/// # Errors
/// 400 for both forms of one setting (W-71), and for old sections that are no objects of known fields.
pub fn modernise(given: &Object, at: At<'_>) -> Result<Object, Refusal> {
    let mut new = Object::new();
    for (name, value) in given {
        let at = format_args!("{at}.{name}");
        let fields = |value: &Json| {
            value.as_object().cloned().ok_or_else(|| Refusal::invalid(at, format!("an object is expected, not {}", value.kind())))
        };
        let mut put = |name: &str, value: Json, at: At<'_>| {
            if new.insert(name.into(), value).is_some() || given.contains_key(name) {
                return Err(Refusal::invalid(at, format!("the same setting is given as {name} too (W-71)")));
            }
            Ok(())
        };
        match name.as_str() {
            "timeouts" => {
                for (old, value) in fields(value)? {
                    let at = format_args!("{at}.{old}");
                    let Some((_, name)) = RENAMED_TIMEOUTS.iter().find(|(known, _)| *known == old.as_str()) else {
                        return Err(Refusal::invalid(at, "there is no such timeout"));
                    };
                    put(name, value, at)?;
                }
            }
            "managedInitialization" if *value == Json::Null => put("memberInitialization", Json::Null, at)?,
            "managedInitialization" => {
                let mut section = fields(value)?;
                if let Some(auto) = section.shift_remove("autoEvaluate") {
                    let Some(auto) = auto.as_bool() else {
                        return Err(Refusal::invalid(format_args!("{at}.autoEvaluate"), "true or false is expected"));
                    };
                    if section.insert("externalEvaluation".into(), (!auto).into()).is_some() {
                        let why = "the same setting is given as externalEvaluation too (W-71)";
                        return Err(Refusal::invalid(format_args!("{at}.autoEvaluate"), why));
                    }
                }
                put("memberInitialization", section.into(), at)?;
            }
            _ => drop(new.insert(name.clone(), value.clone())),
        }
    }
    Ok(new)
}

/// Brings a member's `properties.system` of an old request into the names of 107 (T-50).
///
/// # Errors
/// 400 for both forms of one setting (W-71).
pub fn modernise_member<'o>(given: &'o Object, form: Form, at: At<'_>) -> Result<Cow<'o, Object>, Refusal> {
    const NEW: &str = "initializationGroup";
    let Some(group) = given.get("group").filter(|_| form == Form::Old) else { return Ok(Cow::Borrowed(given)) };
    if given.contains_key(NEW) {
        return Err(Refusal::invalid(format_args!("{at}.group"), format!("the same setting is given as {NEW} too (W-71)")));
    }
    let mut new = given.clone();
    new.insert(NEW.into(), group.clone());
    new.shift_remove("group");
    Ok(Cow::Owned(new))
}

/// The constants of a new session: the template's, the creator's where it is silent, defaults for the rest.
#[derive(Debug, Clone)]
pub struct Merged {
    /// What the session will carry.
    pub constants: Arc<Bag>,
    /// The first contradiction between template and request, to be refused once nothing is wrong in itself (T-20, E-10).
    pub conflict: Option<Refusal>,
}

/// Merges a template with the constants of a create request (T-20 to T-23).
///
/// `system` is in the names of 107.
///
/// # Errors
/// 400 for fields that are wrong in themselves, and for constants that cannot stand together.
pub fn merge(template: &Template, system: &Object, custom: Option<&Json>, limits: &Limits) -> Result<Merged, Refusal> {
    if system.is_empty() && custom.is_none() {
        return template.plain.get_or_init(|| merge_given(template, system, None, limits)).clone();
    }
    merge_given(template, system, custom, limits)
}

fn merge_given(template: &Template, system: &Object, custom: Option<&Json>, limits: &Limits) -> Result<Merged, Refusal> {
    let mut conflict = None;
    let mut constants = template.system.clone();
    for (name, value) in system {
        let name = name.as_str();
        let at = format_args!("constants.system.{name}");
        let Some(field) = system::find(CONSTANTS, format_args!("constants.system"), name, limits)? else { continue };
        let value = match value {
            Json::Null => Some(Json::Null),
            value => system::admit(&field.shape, at, value, limits)?,
        };
        let Some(mut value) = value else { continue };
        match template.system.get(field.name) {
            None => {
                if let (Shape::Flags(_), Json::Object(flags)) = (&field.shape, &mut value) {
                    flags.retain(|_, set| *set != Json::Bool(false));
                }
                constants.insert(field.name.into(), value);
            }
            Some(fixed) if repeats(fixed, &value, &field.shape) => {}
            Some(_) => {
                conflict.get_or_insert_with(|| Refusal::conflict(at, "differs from what the template fixes"));
            }
        }
    }
    let mut kept = template.custom.clone();
    kept.retain(|_, value| *value != Json::Null);
    match custom.map(Json::opened).as_deref() {
        None => {}
        Some(Json::Null) if template.custom.is_empty() => {}
        Some(Json::Object(fields)) => {
            for (name, value) in fields {
                match template.custom.get(name) {
                    Some(fixed) if fixed == value => {}
                    Some(_) => {
                        conflict.get_or_insert_with(|| {
                            Refusal::conflict(format!("constants.custom.{name}"), "differs from what the template fixes")
                        });
                    }
                    None if *value == Json::Null => {}
                    None => drop(kept.insert(name.clone(), value.clone())),
                }
            }
        }
        Some(other) if template.custom.is_empty() => {
            return together(with_defaults(constants, template), other.clone(), conflict);
        }
        Some(_) => {
            conflict.get_or_insert_with(|| Refusal::conflict("constants.custom", "differs from what the template fixes"));
        }
    }
    together(with_defaults(constants, template), kept.into(), conflict)
}

fn together(system: Object, custom: Json, conflict: Option<Refusal>) -> Result<Merged, Refusal> {
    match contradictions(&system).into_iter().next() {
        Some((at, why)) => Err(Refusal::invalid(format_args!("constants.system.{at}"), why)),
        None => Ok(Merged { constants: Arc::new(Bag { system, custom }), conflict }),
    }
}

/// Whether a value given anew says nothing else than the one that is fixed (T-20, T-21, W-32); objects may be repeated in part.
#[must_use]
pub fn repeats(fixed: &Json, given: &Json, shape: &Shape) -> bool {
    match (shape, fixed, given) {
        (Shape::Flags(_), Json::Object(fixed), Json::Object(given)) => given.iter().all(|(name, flag)| match fixed.get(name) {
            Some(fixed) => fixed == flag,
            None => *flag == Json::Bool(false),
        }),
        (Shape::Word(_), Json::String(fixed), Json::String(given)) => match (fixed.decode(), given.decode()) {
            (Some(fixed), Some(given)) => fixed.to_lowercase() == given.to_lowercase(),
            _ => fixed == given,
        },
        (Shape::Object(_) | Shape::Map(_) | Shape::LowerMap(_) | Shape::AnyObject, Json::Object(fixed), Json::Object(given)) => {
            given.iter().all(|(name, value)| fixed.get(name) == Some(value))
        }
        _ => fixed == given,
    }
}

/// Fills in the defaults of the template's contract version (T-40, T-51) and takes out what is explicitly unset.
fn with_defaults(mut given: Object, template: &Template) -> Object {
    let old = template.contract_version <= OLD;
    let mut kept = Object::new();
    let required = |name: &str| given.get(name).is_some_and(|value| *value != Json::Null);
    let measured =
        has_capability(&given, "connectivity") && (required("peerToPeerRequirements") || required("peerToHostRequirements"));
    for field in CONSTANTS {
        let value = given.shift_remove(field.name).or_else(|| match field.name {
            "version" => Some(1_u64.into()),
            "maxMembersCount" => Some(limits::MAX_MEMBERS.into()),
            "visibility" => Some("open".into()),
            "reservedRemovalTimeout" => Some(30_000_u64.into()),
            "inactiveRemovalTimeout" => Some(if old { 7_200_000_u64 } else { 0 }.into()),
            "readyRemovalTimeout" => Some(180_000_u64.into()),
            "sessionEmptyTimeout" => Some(0_u64.into()),
            "capabilities" => Some(Json::object()),
            "metrics" if measured => {
                Some(METRICS.iter().map(|metric| ((*metric).into(), true.into())).collect::<Object>().into())
            }
            _ => None,
        });
        if let Some(mut value) = value.filter(|value| *value != Json::Null) {
            fill_in(field.name, &mut value, old);
            if old && field.name == "capabilities" {
                imply_gameplay(&mut value);
            }
            kept.insert(field.name.into(), value);
        }
    }
    kept
}

/// Sets the capability that 104 and 105 implied, unless it is spoken of (T-54).
fn imply_gameplay(capabilities: &mut Json) {
    if let Json::Object(capabilities) = capabilities {
        capabilities.get_or_insert_with("gameplay".into(), || Json::Bool(true));
    }
}

/// Fills in what an object of constants does not say (T-40, T-41, M-50).
fn fill_in(name: &str, value: &mut Json, old: bool) {
    let numbers: &[(&str, u64)] = match (name, old) {
        ("memberInitialization", false) => {
            &[("joinTimeout", 10_000), ("measurementTimeout", 30_000), ("evaluationTimeout", 5000), ("membersNeededToStart", 1)]
        }
        ("memberInitialization", true) => {
            &[("joinTimeout", 5000), ("measurementTimeout", 5000), ("evaluationTimeout", 5000), ("membersNeededToStart", 2)]
        }
        ("peerToPeerRequirements", _) => &[("latencyMaximum", 250), ("bandwidthMinimum", 10_000)],
        ("peerToHostRequirements", _) => {
            &[("latencyMaximum", 250), ("bandwidthDownMinimum", 100_000), ("bandwidthUpMinimum", 1000)]
        }
        _ => return,
    };
    let Json::Object(fields) = value else { return };
    for (name, number) in numbers {
        fields.get_or_insert_with((*name).into(), || (*number).into());
    }
    match name {
        "peerToHostRequirements" => drop(fields.get_or_insert_with("hostSelectionMetric".into(), || "latency".into())),
        "memberInitialization" => drop(fields.get_or_insert_with("externalEvaluation".into(), || old.into())),
        _ => {}
    }
}

/// The metrics that requirements on peers measure (M-60).
const METRICS: [&str; 3] = ["latency", "bandwidthDown", "bandwidthUp"];

struct Contradictions(Vec<(String, String)>);

impl Contradictions {
    fn refuse(&mut self, wrong: bool, at: impl Display, why: impl Display) {
        if wrong {
            self.0.push((at.to_string(), why.to_string()));
        }
    }
}

/// Constants that cannot stand together: path below `constants.system`, and why (T-30, T-31).
fn contradictions(system: &Object) -> Vec<(String, String)> {
    let mut found = Contradictions(Vec::new());
    let has = |capability: &str| has_capability(system, capability);
    let given = |name: &str| system.get(name).is_some_and(|value| *value != Json::Null);
    for capability in ["connectivity", "autoPopulateServerCandidates", "userAuthorizationStyle", "team", "arbitration"] {
        let at = format_args!("capabilities.{capability}");
        found.refuse(has(capability) && has("large"), at, "cannot be combined with the capability large (T-30)");
    }
    found.refuse(has("broadcast") && !has("large"), "capabilities.broadcast", "needs the capability large (T-30)");
    found.refuse(has("team") && has("gameplay"), "capabilities.team", "cannot be combined with the capability gameplay (T-30)");
    found.refuse(has("arbitration") && !has("gameplay"), "capabilities.arbitration", "needs the capability gameplay (T-30)");
    let searchable = has("searchable") && has("userAuthorizationStyle") && !has("hasOwners");
    found.refuse(searchable, "capabilities.searchable", "with userAuthorizationStyle it needs the capability hasOwners (T-30)");
    for (name, capability) in [
        ("metrics", "connectivity"),
        ("cloudComputePackage", "cloudCompute"),
        ("ownershipPolicies", "hasOwners"),
        ("arbitration", "arbitration"),
        ("broadcastViewerTitleIds", "broadcast"),
    ] {
        found.refuse(given(name) && !has(capability), name, format_args!("needs the capability {capability} (T-31)"));
    }
    for name in
        ["metrics", "memberInitialization", "peerToPeerRequirements", "peerToHostRequirements", "measurementServerAddresses"]
    {
        found.refuse(given(name) && has("large"), name, "cannot be set on large sessions (T-31)");
    }
    let count = system.get("maxMembersCount").and_then(Json::as_u64).unwrap_or(limits::MAX_MEMBERS);
    found.refuse(
        count > limits::MAX_MEMBERS && !has("large"),
        "maxMembersCount",
        "more than 100 needs the capability large (T-31)",
    );
    let number = |object: &str, field: &str, default: u64| {
        system.get(object).and_then(|object| object.get(field)).and_then(Json::as_u64).unwrap_or(default)
    };
    if given("memberInitialization") {
        let needed = number("memberInitialization", "membersNeededToStart", 1);
        found.refuse(needed > count, "memberInitialization.membersNeededToStart", "is more than maxMembersCount (T-40)");
    }
    if given("arbitration") {
        let (forfeit, arbitration) =
            (number("arbitration", "forfeitTimeout", 60_000), number("arbitration", "arbitrationTimeout", 300_000));
        found.refuse(arbitration < forfeit, "arbitration.arbitrationTimeout", "is less than forfeitTimeout (T-31)");
    }
    let measured = |metric: &str| system.get("metrics").and_then(|all| all.get(metric)).and_then(Json::as_bool).unwrap_or(false);
    let required = given("peerToPeerRequirements") || given("peerToHostRequirements");
    for metric in METRICS {
        let missing = given("metrics") && required && !measured(metric);
        found.refuse(missing, format_args!("metrics.{metric}"), "is needed by the peer requirements (M-60)");
    }
    found.0
}

#[cfg(test)]
mod tests;
