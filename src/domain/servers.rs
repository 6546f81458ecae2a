//! What servers keep about a session: entries under names of their own, for servers to write and for members to read (S-90 to S-92).

use super::bag::{self, BagDelta};
use super::limits::Limits;
use super::names::is_name;
use super::refusal::{At, Refusal};
use super::session::{Bag, ServerEntry, Session};
use super::system::{self, Field, MATCHMAKING};
use crate::json::{Json, Object};

/// Merges the `servers` of a request; `null` takes an entry away (W-36).
///
/// Names compare without regard to case, as the names of sessions do, and keep the case of the one who came first.
///
/// # Errors
/// 400 for malformed names, unknown fields and wrong values.
pub fn merge(session: &mut Session, given: &Json, limits: &Limits) -> Result<(), Refusal> {
    let Some(given) = given.as_object() else {
        return Err(Refusal::invalid("servers", format!("an object is expected, not {}", given.kind())));
    };
    for (name, entry) in given {
        let name = name.as_str();
        let at = format_args!("servers.{name}");
        if !is_name(name) {
            return Err(Refusal::invalid(at, "a name of 1 to 100 characters of A-Z a-z 0-9 - _ . ( ) is expected"));
        }
        let stored = find(session, name).map(str::to_owned);
        match entry {
            Json::Null => drop(stored.and_then(|name| session.servers.shift_remove(&name))),
            Json::Object(entry) => {
                let table = if name.eq_ignore_ascii_case("matchmaking") { Some(MATCHMAKING) } else { None };
                let stored = session.servers.entry(stored.unwrap_or_else(|| name.to_owned())).or_default();
                write(stored, at, entry, table, limits)?;
            }
            other => return Err(Refusal::invalid(at, format!("an object is expected, not {}", other.kind()))),
        }
    }
    if session.servers.len() > limits.array_entries {
        return Err(Refusal::invalid("servers", format!("at most {} entries are allowed", limits.array_entries)));
    }
    Ok(())
}

/// The name under which an entry is kept, whatever its case.
#[must_use]
pub fn find<'s>(session: &'s Session, name: &str) -> Option<&'s str> {
    session.servers.keys().map(String::as_str).find(|known| known.eq_ignore_ascii_case(name))
}

/// `table` has the fields of its system properties, if they are bound to any.
fn write(stored: &mut ServerEntry, at: At<'_>, given: &Object, table: Option<&[Field]>, limits: &Limits) -> Result<(), Refusal> {
    if let Some(key) = given.keys().find(|key| !matches!(key.as_str(), "constants" | "properties")) {
        return Err(Refusal::invalid(format_args!("{at}.{key}"), "a server's entry holds constants and properties only"));
    }
    let constants = BagDelta::read(format_args!("{at}.constants"), given.get("constants"))?;
    merge_bag(&mut stored.constants, format_args!("{at}.constants"), &constants, None, limits)?;
    let properties = BagDelta::read(format_args!("{at}.properties"), given.get("properties"))?;
    merge_bag(&mut stored.properties, format_args!("{at}.properties"), &properties, table, limits)
}

fn merge_bag(stored: &mut Bag, at: At<'_>, given: &BagDelta, table: Option<&[Field]>, limits: &Limits) -> Result<(), Refusal> {
    if let Some(system) = given.system {
        let at = format_args!("{at}.system");
        match table {
            Some(table) => bag::merge_system(&mut stored.system, system, table, at, limits, &[])?,
            None => merge_free(&mut stored.system, system, at)?,
        }
    }
    if let Some(custom) = given.custom {
        bag::merge_custom(&mut stored.custom, custom);
        bag::check_custom(format_args!("{at}.custom"), &stored.custom, limits.session_custom_bytes)?;
    }
    Ok(())
}

/// Merges system data without a schema of its own: any value, but no `null` inside (S-92, S-03).
fn merge_free(stored: &mut Object, given: &Object, at: At<'_>) -> Result<(), Refusal> {
    for (name, value) in given {
        match value {
            Json::Null => drop(stored.shift_remove(name)),
            value => {
                let value = system::without_nulls(format_args!("{at}.{name}"), value)?;
                if stored.get(name) != Some(&value) {
                    stored.insert(name.clone(), value);
                }
            }
        }
    }
    Ok(())
}
