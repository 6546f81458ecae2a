//! The fixed schema of `system` data, as tables a reader can hold against session-document.md.
//!
//! A bag's `system` object is kept as validated JSON in the contract's own spelling. Every value that enters passes [`admit`],
//! which checks it against its field's [`Shape`] and brings it into one form: enumerations in the contract's spelling (S-11), flags
//! that are false and lists that are empty as absent (S-08, W-14), ids as strings (S-04), timestamps in seven digits (S-07).
//! What depends on other fields (`locked` needs `closed`, and its like) is judged after the merge, in `decide`.

use chrono::{DateTime, Datelike as _, Utc};

use super::instant::render_instant;
use super::limits::{self, Limits, UnknownFields};
use super::names::{TitleId, Xuid, is_name, parse_guid};
use super::refusal::{At, Refusal};
use crate::json::{Json, Object, Text};

/// One field of a `system` object.
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it may hold.
    pub shape: Shape,
}

/// What a field may hold and the form it is kept in.
pub enum Shape {
    /// `true`; `false` is the same as absent (S-08).
    Flag,
    /// As `Flag`, and the strings `"true"` and `"false"` are understood.
    LooseFlag,
    /// `true` or `false`, both kept.
    Truth,
    /// A whole number within bounds.
    Whole(u64, u64),
    /// One of these words, in any case (S-11).
    OneOf(&'static [&'static str]),
    /// A text of at most so many characters.
    Text(usize),
    /// As `Text`, compared without regard to case.
    Word(usize),
    /// A text that means "absent" when empty.
    TextOrNothing(usize),
    /// A GUID in any case, kept as it is written.
    Guid,
    /// An instant (S-07).
    Timestamp,
    /// A list of user ids, kept as strings (S-04).
    Xuids,
    /// A list of title ids, kept as strings (S-04).
    TitleIds,
    /// A list of member indices; an empty one is kept when the flag says so.
    Indices {
        /// Whether `[]` is a value.
        keep_empty: bool,
    },
    /// A list of texts of at most so many characters, without doubles in the sense of case; empty = absent (W-14).
    Texts(usize),
    /// The kinds of changes of a subscription; unknown ones are ignored where they are read (N-37).
    ChangeTypes,
    /// The keywords of a session (S-44).
    Keywords,
    /// A list of names (S-06).
    Names,
    /// An object with a schema of its own.
    Object(&'static [Field]),
    /// An object of booleans, of these names only.
    Flags(&'static [&'static str]),
    /// A map from free names to objects of one schema.
    Map(&'static [Field]),
    /// As `Map`, its keys in lower case.
    LowerMap(&'static [Field]),
    /// A map from free names to whole numbers up to a bound.
    Numbers(u64),
    /// Any object: stored and given back but for `null` fields (low, S-03).
    AnyObject,
    /// Any value: stored and given back but for `null` fields (low, S-03).
    Anything,
    /// The title's own data within system data: any value, stored and given back.
    Custom,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape }
}

const TIMEOUT: Shape = Shape::Whole(0, limits::MAX_TIMEOUT_MS);
const TEXT: Shape = Shape::Text(limits::MAX_TEXT);
const COUNT: Shape = Shape::Whole(0, limits::MAX_TIMEOUT_MS);

/// All capabilities (T-30).
pub const CAPABILITIES: &[&str] = &[
    "connectivity",
    "suppressPresenceActivityCheck",
    "gameplay",
    "large",
    "connectionRequiredForActiveMembers",
    "cloudCompute",
    "autoPopulateServerCandidates",
    "userAuthorizationStyle",
    "crossPlay",
    "broadcast",
    "team",
    "arbitration",
    "hasOwners",
    "searchable",
    "clientMatchmaking",
    "blockBadMsaReputation",
];

/// `constants.system` of a session, in the names of contract version 107.
pub const CONSTANTS: &[Field] = &[
    field("version", Shape::Whole(1, limits::MAX_TIMEOUT_MS)),
    field("maxMembersCount", Shape::Whole(1, limits::MAX_MEMBERS_LARGE)),
    field("visibility", Shape::OneOf(&["open", "visible", "private"])),
    field("initiators", Shape::Xuids),
    field("inviteProtocol", Shape::Word(limits::MAX_INVITE_PROTOCOL)),
    field("reservedRemovalTimeout", TIMEOUT),
    field("inactiveRemovalTimeout", TIMEOUT),
    field("readyRemovalTimeout", TIMEOUT),
    field("sessionEmptyTimeout", TIMEOUT),
    field("capabilities", Shape::Flags(CAPABILITIES)),
    field("metrics", Shape::Flags(&["latency", "bandwidthDown", "bandwidthUp", "custom"])),
    field(
        "memberInitialization",
        Shape::Object(&[
            field("joinTimeout", TIMEOUT),
            field("measurementTimeout", TIMEOUT),
            field("evaluationTimeout", TIMEOUT),
            field("externalEvaluation", Shape::Truth),
            field("membersNeededToStart", Shape::Whole(0, limits::MAX_MEMBERS)),
        ]),
    ),
    field("peerToPeerRequirements", Shape::Object(&[field("latencyMaximum", COUNT), field("bandwidthMinimum", COUNT)])),
    field(
        "peerToHostRequirements",
        Shape::Object(&[
            field("latencyMaximum", COUNT),
            field("bandwidthDownMinimum", COUNT),
            field("bandwidthUpMinimum", COUNT),
            field("hostSelectionMetric", Shape::OneOf(&["latency", "bandwidthup", "bandwidthdown", "bandwidth"])),
        ]),
    ),
    field(
        "measurementServerAddresses",
        Shape::LowerMap(&[field("secureDeviceAddress", Shape::Text(limits::MAX_DEVICE_ADDRESS))]),
    ),
    field(
        "ownershipPolicies",
        Shape::Object(&[
            field("migration", Shape::OneOf(&["endsession", "oldest"])),
            field("allowNonOwnerInviteHandles", Shape::Truth),
            field("nonOwnerModifiableSystemProperties", Shape::Texts(limits::MAX_TEXT)),
        ]),
    ),
    field("broadcastViewerTitleIds", Shape::TitleIds),
    field("cloudComputePackage", Shape::AnyObject),
    field("arbitration", Shape::Object(&[field("forfeitTimeout", TIMEOUT), field("arbitrationTimeout", TIMEOUT)])),
];

/// `properties.system` of a session.
pub const PROPERTIES: &[Field] = &[
    field("joinRestriction", Shape::OneOf(&["none", "local", "followed"])),
    field("readRestriction", Shape::OneOf(&["none", "local", "followed"])),
    field("closed", Shape::Flag),
    field("locked", Shape::Flag),
    field("keywords", Shape::Keywords),
    field("turn", Shape::Indices { keep_empty: true }),
    field("host", Shape::TextOrNothing(39)),
    field("owners", Shape::Indices { keep_empty: false }),
    field("initializationSucceeded", Shape::Truth),
    field("serverConnectionStringCandidates", Shape::Texts(limits::MAX_TEXT)),
    field(
        "matchmaking",
        Shape::Object(&[
            field("targetSessionConstants", Shape::AnyObject),
            field("serverConnectionString", TEXT),
            field(
                "clientResult",
                Shape::Object(&[
                    field("status", Shape::OneOf(&["searching", "expired", "found", "failed", "canceled"])),
                    field("statusDetails", TEXT),
                    field("typicalWait", COUNT),
                    field("targetSessionRef", Shape::AnyObject),
                ]),
            ),
            field("resubmit", Shape::Truth),
        ]),
    ),
    field("matchmakingResubmit", Shape::Truth),
    field("allocateCloudCompute", Shape::Flag),
    field(
        "description",
        Shape::Object(&[field("text", Shape::Text(limits::MAX_DESCRIPTION)), field("locale", Shape::Text(100))]),
    ),
    field("scheduledTime", Shape::Timestamp),
    field("searchHandleVisibility", Shape::Text(100)),
];

/// `constants.system` of a member; `xuid` and `index` belong to the member itself and are read by the one who reads the entry.
pub const MEMBER_CONSTANTS: &[Field] =
    &[field("initialize", Shape::LooseFlag), field("team", TEXT), field("matchmakingResult", Shape::AnyObject)];

const SUBSCRIPTION: Shape = Shape::Object(&[field("id", Shape::Guid), field("changeTypes", Shape::ChangeTypes)]);

/// `properties.system` of a member; the state flags `active` and `ready` are kept apart (W-12).
pub const MEMBER_PROPERTIES: &[Field] = &[
    field("connection", Shape::Guid),
    field("subscription", SUBSCRIPTION),
    field(
        "secondarySubscriptions",
        Shape::Map(&[field("changeTypes", Shape::ChangeTypes), field("rta", Shape::Object(&[field("connection", Shape::Guid)]))]),
    ),
    field(
        "subscriptions",
        Shape::Map(&[
            field("profile", Shape::OneOf(&["party", "matchmaking", "initialization", "roster", "queuehost", "queue"])),
            field("onBehalfOfTitleId", Shape::Anything),
        ]),
    ),
    field("secureDeviceAddress", Shape::TextOrNothing(limits::MAX_DEVICE_ADDRESS)),
    field("initializationGroup", Shape::Indices { keep_empty: false }),
    field("groups", Shape::Names),
    field("encounters", Shape::Names),
    field(
        "measurements",
        Shape::LowerMap(&[
            field("latency", COUNT),
            field("bandwidthDown", COUNT),
            field("bandwidthUp", COUNT),
            field("custom", Shape::Custom),
        ]),
    ),
    field("serverMeasurements", Shape::Map(&[field("latency", COUNT)])),
    field("RolePreference", Shape::Numbers(100)),
    field("arbitration", Shape::AnyObject),
];

/// `servers.matchmaking.properties.system` (S-91).
pub const MATCHMAKING: &[Field] = &[
    field("lockId", TEXT),
    field("status", TEXT),
    field("statusDetails", TEXT),
    field("typicalWait", COUNT),
    field("targetSessionRef", Shape::AnyObject),
];

/// A field's value in the form it is kept in; `None` means that this value is the same as none.
pub type Admitted = Option<Json>;

/// Finds the schema of a field.
///
/// # Errors
/// Refuses unknown fields by name (S-09), unless the installation ignores them: then `None`.
pub fn find<'t>(table: &'t [Field], at: At<'_>, name: &str, limits: &Limits) -> Result<Option<&'t Field>, Refusal> {
    match table.iter().find(|field| field.name == name) {
        Some(field) => Ok(Some(field)),
        None if limits.unknown_fields == UnknownFields::Ignore => Ok(None),
        None => Err(Refusal::invalid(format_args!("{at}.{name}"), "this system field does not exist")),
    }
}

/// Checks a value against a shape and brings it into the one form it is kept in.
///
/// `at` is the path of the field for messages. `null` is never a value here: the caller has its own meaning for it (W-11).
///
/// # Errors
/// 400 with the path of the field and what it takes.
pub fn admit(shape: &Shape, at: At<'_>, value: &Json, limits: &Limits) -> Result<Admitted, Refusal> {
    let wants = |what: &str| Err(Refusal::invalid(at, format!("{what} is expected, not {}", value.kind())));
    match shape {
        Shape::Flag | Shape::LooseFlag => match (value, shape) {
            (Json::Bool(true), _) => Ok(Some(true.into())),
            (Json::Bool(false), _) => Ok(None),
            (Json::String(text), Shape::LooseFlag) => match text.decode().as_deref() {
                Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true.into())),
                Some(text) if text.eq_ignore_ascii_case("false") => Ok(None),
                _ => wants("true or false"),
            },
            _ => wants("true or false"),
        },
        Shape::Truth => value.as_bool().map(|truth| Some(truth.into())).map_or_else(|| wants("true or false"), Ok),
        Shape::Whole(least, most) => match value.as_u64() {
            Some(number) if (*least..=*most).contains(&number) => Ok(Some(number.into())),
            Some(_) => Err(Refusal::invalid(at, format!("a whole number from {least} to {most} is expected"))),
            None => wants(&format!("a whole number from {least} to {most}")),
        },
        Shape::OneOf(words) => one_of(at, value, words).map(Some),
        Shape::Text(most) | Shape::Word(most) => text(at, value, *most).map(|text| Some(text.as_str().into())),
        Shape::TextOrNothing(most) => {
            text(at, value, *most).map(|text| if text.is_empty() { None } else { Some(text.as_str().into()) })
        }
        Shape::Guid => match value.as_str().as_deref().and_then(parse_guid) {
            Some(_) => Ok(Some(value.clone())),
            None => wants("a GUID of 36 characters"),
        },
        Shape::Timestamp => {
            let instant = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
            // An offset may lead out of the years that RFC 3339 can name.
            match instant.map(|instant| instant.with_timezone(&Utc)).filter(|instant| (0..=9999).contains(&instant.year())) {
                Some(instant) => Ok(Some(render_instant(instant).into())),
                None => wants("an RFC 3339 timestamp"),
            }
        }
        Shape::Xuids => list(at, value, limits.array_entries, |at, item| Ok(xuid(at, item)?.to_string().into())).map(kept),
        Shape::TitleIds => list(at, value, limits.array_entries, |at, item| Ok(title_id(at, item)?.to_string().into())).map(kept),
        Shape::Indices { keep_empty } => {
            let items = indices(at, value, limits)?;
            Ok(if items.is_empty() && !keep_empty { None } else { Some(items.into_iter().collect()) })
        }
        Shape::Texts(most) => texts(at, value, 0, *most, limits.array_entries),
        Shape::ChangeTypes => texts(at, value, 0, limits::MAX_TEXT, limits.change_types),
        Shape::Keywords => texts(at, value, 1, limits::MAX_KEYWORD, limits.keywords),
        Shape::Names => list(at, value, limits.array_entries, |at, item| match item.as_str() {
            Some(name) if is_name(&name) => Ok(item.clone()),
            _ => Err(Refusal::invalid(at, "a name of 1 to 100 characters of A-Z a-z 0-9 - _ . ( ) is expected")),
        })
        .map(kept),
        Shape::Object(table) => object(table, at, value, limits).map(|fields| Some(fields.into())),
        Shape::Flags(names) => {
            let Some(fields) = value.as_object() else { return wants("an object of booleans") };
            for (name, flag) in fields {
                if !names.iter().any(|known| *known == name.as_str()) {
                    return Err(Refusal::invalid(format_args!("{at}.{name}"), "there is no such name here"));
                }
                if flag.as_bool().is_none() {
                    return Err(Refusal::invalid(
                        format_args!("{at}.{name}"),
                        format!("true or false is expected, not {}", flag.kind()),
                    ));
                }
            }
            Ok(Some(value.clone()))
        }
        Shape::Map(table) | Shape::LowerMap(table) => {
            let Some(entries) = value.as_object() else { return wants("an object") };
            map_size(at, entries, limits)?;
            let mut kept = Object::new();
            for (name, entry) in entries {
                let key = if matches!(shape, Shape::LowerMap(_)) {
                    name.decode().map_or_else(|| name.clone(), |name| name.to_lowercase().as_str().into())
                } else {
                    name.clone()
                };
                kept.insert(key, object(table, format_args!("{at}.{name}"), entry, limits)?.into());
            }
            Ok(Some(kept.into()))
        }
        Shape::Numbers(most) => {
            let Some(entries) = value.as_object() else { return wants("an object of numbers") };
            too_many(at, entries.len(), limits.array_entries)?;
            let mut kept = Object::new();
            for (name, entry) in entries {
                if let Some(number) = admit(&Shape::Whole(0, *most), format_args!("{at}.{name}"), entry, limits)? {
                    kept.insert(name.clone(), number);
                }
            }
            Ok(Some(kept.into()))
        }
        Shape::AnyObject => {
            if value.as_object().is_some() {
                without_nulls(at, value).map(Some)
            } else {
                wants("an object")
            }
        }
        Shape::Anything => without_nulls(at, value).map(Some),
        Shape::Custom => Ok(Some(value.clone())),
    }
}

/// Takes `null` fields out of free system data, where clients cannot bear them; `custom` parts keep theirs (S-03, R-06).
pub fn without_nulls(at: At<'_>, value: &Json) -> Result<Json, Refusal> {
    match value {
        Json::Null => Err(Refusal::invalid(at, "null is not allowed here")),
        Json::Object(fields) => {
            let mut kept = Object::new();
            for (name, value) in fields.iter().filter(|(_, value)| **value != Json::Null) {
                let plain = name.as_str();
                let value = if plain == "custom" { value.clone() } else { without_nulls(format_args!("{at}.{plain}"), value)? };
                kept.insert(name.clone(), value);
            }
            Ok(kept.into())
        }
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, item)| without_nulls(format_args!("{at}[{n}]"), item))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        other => Ok(other.clone()),
    }
}

/// Reads an object of one schema; a field that is `null` is as if it were not there (W-11 speaks of the level above).
fn object(table: &[Field], at: At<'_>, value: &Json, limits: &Limits) -> Result<Object, Refusal> {
    let Some(fields) = value.as_object() else {
        return Err(Refusal::invalid(at, format!("an object is expected, not {}", value.kind())));
    };
    let mut kept = Object::new();
    for (name, value) in fields {
        let name = name.as_str();
        let Some(field) = find(table, at, name, limits)? else { continue };
        if *value == Json::Null {
            continue;
        }
        if let Some(value) = admit(&field.shape, format_args!("{at}.{name}"), value, limits)? {
            kept.insert(field.name.into(), value);
        }
    }
    Ok(kept)
}

fn kept(items: Vec<Json>) -> Admitted {
    if items.is_empty() { None } else { Some(Json::Array(items)) }
}

fn too_many(at: At<'_>, count: usize, most: usize) -> Result<(), Refusal> {
    if count > most { Err(Refusal::invalid(at, format!("at most {most} entries are allowed"))) } else { Ok(()) }
}

/// Bounds the entries of a map and their names. A name may be long, so it is not repeated.
fn map_size(at: At<'_>, entries: &Object, limits: &Limits) -> Result<(), Refusal> {
    too_many(at, entries.len(), limits.array_entries)?;
    let most = limits::MAX_ENTRY_NAME;
    let size = |name: &Text| name.decode().map_or_else(|| name.to_string().len(), |name| name.chars().count());
    if entries.keys().all(|name| size(name) <= most) {
        return Ok(());
    }
    Err(Refusal::invalid(at, format!("names of entries may have at most {most} characters")))
}

fn list(
    at: At<'_>,
    value: &Json,
    most: usize,
    mut item: impl FnMut(At<'_>, &Json) -> Result<Json, Refusal>,
) -> Result<Vec<Json>, Refusal> {
    let Some(items) = value.as_array() else {
        return Err(Refusal::invalid(at, format!("an array is expected, not {}", value.kind())));
    };
    too_many(at, items.len(), most)?;
    items.iter().enumerate().map(|(n, value)| item(format_args!("{at}[{n}]"), value)).collect()
}

fn texts(at: At<'_>, value: &Json, least: usize, most: usize, entries: usize) -> Result<Admitted, Refusal> {
    let mut seen: Vec<String> = Vec::new();
    let mut items = list(at, value, entries, |at, item| {
        let text = text(at, item, most)?;
        if text.chars().count() < least {
            return Err(Refusal::invalid(at, "an empty text is not allowed"));
        }
        Ok(text.as_str().into())
    })?;
    items.retain(|item| {
        let key = item.to_string().to_lowercase();
        let fresh = !seen.contains(&key);
        seen.push(key);
        fresh
    });
    Ok(kept(items))
}

/// Reads a text of at most `most` characters. NUL and unpaired surrogates are for custom data only (S-96): no column takes them.
pub fn text(at: At<'_>, value: &Json, most: usize) -> Result<String, Refusal> {
    match (value.as_str(), value) {
        (Some(text), _) if text.chars().count() > most => {
            Err(Refusal::invalid(at, format!("at most {most} characters are allowed")))
        }
        (Some(text), _) if !text.contains('\0') => Ok(text.into_owned()),
        (_, Json::String(_)) => {
            Err(Refusal::invalid(at, "NUL and unpaired surrogates are not allowed here, only in custom data"))
        }
        _ => Err(Refusal::invalid(at, format!("a text is expected, not {}", value.kind()))),
    }
}

/// Reads one of a few words in any case and gives it in the contract's spelling (S-11).
pub fn one_of(at: At<'_>, value: &Json, words: &[&str]) -> Result<Json, Refusal> {
    value
        .as_str()
        .and_then(|text| words.iter().find(|word| word.eq_ignore_ascii_case(&text)).map(|word| Json::from(*word)))
        .ok_or_else(|| Refusal::invalid(at, format!("one of {} is expected", words.join(", "))))
}

/// Reads a user id, a decimal string or a whole number (S-04).
pub fn xuid(at: At<'_>, value: &Json) -> Result<Xuid, Refusal> {
    decimal(value)
        .and_then(|text| Xuid::parse(&text).ok())
        .ok_or_else(|| Refusal::invalid(at, "an xuid is an unsigned 64-bit decimal, as a string or a number"))
}

/// Reads a title id, a decimal string or a whole number (S-04).
pub fn title_id(at: At<'_>, value: &Json) -> Result<TitleId, Refusal> {
    decimal(value)
        .and_then(|text| TitleId::parse(&text).ok())
        .ok_or_else(|| Refusal::invalid(at, "a title id is an unsigned 32-bit decimal, as a string or a number"))
}

fn decimal(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => text.decode().map(std::borrow::Cow::into_owned),
        Json::Number(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// Reads a list of member indices, without doubles.
pub fn indices(at: At<'_>, value: &Json, limits: &Limits) -> Result<Vec<u32>, Refusal> {
    let mut seen = Vec::new();
    list(at, value, limits.array_entries, |at, item| match item.as_u64().and_then(|n| u32::try_from(n).ok()) {
        Some(index) => {
            if !seen.contains(&index) {
                seen.push(index);
            }
            Ok(Json::Null)
        }
        None => Err(Refusal::invalid(at, "a member index is expected")),
    })?;
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::json::parse;

    fn try_field(table: &[Field], name: &str, value: &str) -> Result<Option<String>, String> {
        let limits = Limits::default();
        let field = table.iter().find(|field| field.name == name).expect("the field is in the table");
        let value = parse(value.as_bytes(), 32).expect("test data is JSON");
        admit(&field.shape, format_args!("{name}"), &value, &limits)
            .map(|kept| kept.map(|kept| kept.to_string()))
            .map_err(|refusal| refusal.text)
    }

    #[rstest]
    #[case::s11("joinRestriction", r#""Followed""#, Some(r#""followed""#))]
    #[case::s08("closed", "false", None)]
    #[case::s08("closed", "true", Some("true"))]
    #[case::s50("matchmakingResubmit", "false", Some("false"))]
    #[case::w14("keywords", "[]", None)]
    #[case::s44("keywords", r#"["EU","eu","na"]"#, Some(r#"["EU","na"]"#))]
    #[case::w14("turn", "[]", Some("[]"))]
    #[case::s45("turn", "[1,1,0]", Some("[1,0]"))]
    #[case::s07("scheduledTime", r#""2031-04-05T06:07:08+02:00""#, Some(r#""2031-04-05T04:07:08.0000000Z""#))]
    fn property_forms(#[case] name: &str, #[case] given: &str, #[case] kept: Option<&str>) {
        assert_eq!(try_field(PROPERTIES, name, given), Ok(kept.map(str::to_owned)));
    }

    #[rstest]
    #[case("joinRestriction", r#""friends""#)]
    #[case("joinRestriction", "1")]
    #[case("closed", r#""true""#)]
    #[case("turn", "[-1]")]
    #[case("turn", "[1.5]")]
    #[case("keywords", r#"[""]"#)]
    #[case("keywords", r#"["\u0000"]"#)]
    #[case("keywords", r#""eu""#)]
    #[case("scheduledTime", r#""tomorrow""#)]
    #[case("description", r#"{"text":1}"#)]
    #[case("description", r#"{"txt":"a"}"#)]
    fn s09_wrong_values_are_refused_by_name(#[case] name: &str, #[case] given: &str) {
        let text = try_field(PROPERTIES, name, given).expect_err("refused");
        assert!(text.starts_with(name), "{text}");
    }

    #[rstest]
    #[case("inactiveRemovalTimeout", "0", Ok(Some("0")))]
    #[case("inactiveRemovalTimeout", "7200000.0", Ok(Some("7200000")))]
    #[case("initiators", r#"[1,"2"]"#, Ok(Some(r#"["1","2"]"#)))]
    #[case("visibility", r#""Open""#, Ok(Some(r#""open""#)))]
    #[case("capabilities", r#"{"large":false}"#, Ok(Some(r#"{"large":false}"#)))]
    #[case("inactiveRemovalTimeout", "2147483648", Err(()))]
    #[case("inactiveRemovalTimeout", r#""0""#, Err(()))]
    #[case("maxMembersCount", "0", Err(()))]
    #[case("visibility", r#""full""#, Err(()))]
    #[case("capabilities", r#"{"fly":true}"#, Err(()))]
    fn constant_forms(#[case] name: &str, #[case] given: &str, #[case] kept: Result<Option<&str>, ()>) {
        assert_eq!(try_field(CONSTANTS, name, given).map_err(|_| ()), kept.map(|kept| kept.map(str::to_owned)));
    }

    #[test]
    fn s70_initialize_may_be_a_string() {
        assert_eq!(try_field(MEMBER_CONSTANTS, "initialize", r#""true""#), Ok(Some("true".into())));
        assert_eq!(try_field(MEMBER_CONSTANTS, "initialize", r#""false""#), Ok(None));
        assert!(try_field(MEMBER_CONSTANTS, "initialize", r#""yes""#).is_err());
    }
}
