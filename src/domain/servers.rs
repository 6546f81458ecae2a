//! What servers keep about a session: entries under names of their own, for servers to write and for members to read (S-90 to S-92).

use super::bag::{self, BagDelta};
use super::limits::Limits;
use super::names::is_name;
use super::refusal::Refusal;
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
        let (at, name) = (format!("servers.{name}"), name.to_string());
        if !is_name(&name) {
            return Err(Refusal::invalid(at, "a name of 1 to 100 characters of A-Z a-z 0-9 - _ . ( ) is expected"));
        }
        let stored = find(session, &name).map(str::to_owned);
        match entry {
            Json::Null => drop(stored.and_then(|name| session.servers.shift_remove(&name))),
            Json::Object(entry) => write(session.servers.entry(stored.unwrap_or(name)).or_default(), &at, entry, limits)?,
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

fn write(stored: &mut ServerEntry, at: &str, given: &Object, limits: &Limits) -> Result<(), Refusal> {
    if let Some(key) = given.keys().find(|key| !matches!(key.as_str(), "constants" | "properties")) {
        return Err(Refusal::invalid(format!("{at}.{key}"), "a server's entry holds constants and properties only"));
    }
    let constants = BagDelta::read(&format!("{at}.constants"), given.get("constants"))?;
    merge_bag(&mut stored.constants, &format!("{at}.constants"), &constants, None, limits)?;
    let properties = BagDelta::read(&format!("{at}.properties"), given.get("properties"))?;
    let table = if at.eq_ignore_ascii_case("servers.matchmaking") { Some(MATCHMAKING) } else { None };
    merge_bag(&mut stored.properties, &format!("{at}.properties"), &properties, table, limits)
}

fn merge_bag(stored: &mut Bag, at: &str, given: &BagDelta, table: Option<&[Field]>, limits: &Limits) -> Result<(), Refusal> {
    if let Some(system) = given.system {
        let at = format!("{at}.system");
        match table {
            Some(table) => bag::merge_system(&mut stored.system, system, table, &at, limits, &[])?,
            None => merge_free(&mut stored.system, system, &at)?,
        }
    }
    if let Some(custom) = given.custom {
        bag::merge_custom(&mut stored.custom, custom);
        bag::check_custom(&format!("{at}.custom"), &stored.custom, limits.session_custom_bytes)?;
    }
    Ok(())
}

/// Merges system data without a schema of its own: any value, but no `null` inside (S-92, S-03).
fn merge_free(stored: &mut Object, given: &Object, at: &str) -> Result<(), Refusal> {
    for (name, value) in given {
        match value {
            Json::Null => drop(stored.shift_remove(name)),
            value => {
                let value = system::without_nulls(&format!("{at}.{name}"), value)?;
                if stored.get(name) != Some(&value) {
                    stored.insert(name.clone(), value);
                }
            }
        }
    }
    Ok(())
}
