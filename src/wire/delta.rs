//! What a change did to a document, in the form of a write (W-10): a field is given as a whole, a `null` field is gone.
//!
//! Kept in the change log. A new session's delta is its whole document; a deleted one has none.

use super::stored::{members, members_info};
use crate::domain::session::Session;
use crate::domain::system::render_instant;
use crate::domain::timers;
use crate::json::{Json, Object};

/// Renders the difference between two states of one branch.
#[must_use]
pub fn between(before: &Session, after: &Session) -> String {
    let mut fields = Object::new();
    fields.insert("changeNumber".into(), after.change_number.into());
    if timers::next(before) != timers::next(after) {
        let next = timers::next(after).map_or(Json::Null, |next| render_instant(next).into());
        fields.insert("nextTimer".into(), next);
    }
    if before.search_handle != after.search_handle {
        fields.insert("searchHandle".into(), after.search_handle.map_or(Json::Null, |handle| handle.to_string().into()));
    }
    let mut properties = Object::new();
    put_some(&mut properties, "system", objects(&before.properties.system, &after.properties.system));
    match (&before.properties.custom, &after.properties.custom) {
        (Json::Object(before), Json::Object(after)) => put_some(&mut properties, "custom", objects(before, after)),
        (before, after) if before == after => {}
        (_, after) => drop(properties.insert("custom".into(), after.clone())),
    }
    put_some(&mut fields, "properties", properties);
    let (old_info, info) = (members_info(before), members_info(after));
    if old_info != info {
        fields.insert("membersInfo".into(), info);
    }
    put_some(&mut fields, "members", entries(&members(before), &members(after)));
    Json::Object(fields).to_string()
}

fn put_some(fields: &mut Object, name: &str, part: Object) {
    if !part.is_empty() {
        fields.insert(name.into(), part.into());
    }
}

/// The fields of `after` that differ, and `null` for those that are gone.
fn objects(before: &Object, after: &Object) -> Object {
    let changed =
        after.iter().filter(|(name, value)| before.get(*name) != Some(value)).map(|(name, value)| (name.clone(), value.clone()));
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), Json::Null));
    changed.chain(gone).collect()
}

/// As `objects`, one level deeper for the bags of members that stay.
fn entries(before: &Object, after: &Object) -> Object {
    let mut changed = objects(before, after);
    for (key, entry) in &mut changed {
        let (Some(Json::Object(old)), Json::Object(new)) = (before.get(key), &mut *entry) else { continue };
        let mut fields = objects(old, new);
        for name in ["constants", "properties"] {
            if let (Some(Json::Object(old)), Some(Json::Object(new))) = (old.get(name), fields.get(name)) {
                let mut bag = objects(old, new);
                for part in ["system", "custom"] {
                    if let (Some(Json::Object(old)), Some(Json::Object(new))) = (old.get(part), bag.get(part)) {
                        let part_fields = objects(old, new);
                        bag.insert(part.into(), part_fields.into());
                    }
                }
                fields.insert(name.into(), bag.into());
            }
        }
        *entry = fields.into();
    }
    changed
}
