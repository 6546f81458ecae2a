//! What a change did to a document, in the form of a write (W-10): a field is given as a whole, a `null` field is gone.
//!
//! Kept in the change log. A new session's delta is its whole document; a deleted one has none. `roleTypes`, `initializing` and
//! `hostCandidates` are given as a whole, `servers` entry by entry. Of a large session the members are under their indices.

use std::sync::Arc;

use super::fields::Fields;
use super::stored::{body_of, entry, episode, linked, members_info, server};
use crate::domain::instant::render_instant;
use crate::domain::names::MemberIndex;
use crate::domain::roles::Holders;
use crate::domain::session::{Member, Session};
use crate::domain::timers;
use crate::json::{self, Json, Object, STORED_DEPTH};

/// Renders the difference between two states of one branch.
#[must_use]
pub fn between(before: &Session, after: &Session) -> String {
    let mut out = String::with_capacity(512);
    let mut fields = Fields::open(&mut out);
    fields.number("changeNumber", after.change_number);
    let next = timers::next(after);
    if timers::next(before) != next {
        fields.value("nextTimer", &next.map_or(Json::Null, |next| render_instant(next).into()));
    }
    let listed = |session: &Session| session.listing.as_ref().map(|listing| listing.id);
    if listed(before) != listed(after) {
        fields.value("searchHandle", &listed(after).map_or(Json::Null, |handle| handle.to_string().into()));
    }
    let initializing = |session: &Session| session.initializing.as_ref().map_or(Json::Null, episode);
    if before.initializing != after.initializing {
        fields.value("initializing", &initializing(after));
    }
    if before.host_candidates != after.host_candidates {
        let tokens: Json = after.host_candidates.iter().map(String::as_str).collect();
        fields.value("hostCandidates", if after.host_candidates.is_empty() { &Json::Null } else { &tokens });
    }
    let mut properties = Object::new();
    put_some(&mut properties, "system", objects(&before.properties.system, &after.properties.system));
    let custom = (&before.properties.custom, &after.properties.custom);
    if custom.0 != custom.1 {
        match (&*custom.0.opened(), &*custom.1.opened()) {
            (Json::Object(before), Json::Object(after)) => put_some(&mut properties, "custom", objects(before, after)),
            (_, after) => drop(properties.insert("custom".into(), after.clone())),
        }
    }
    if !properties.is_empty() {
        fields.value("properties", &properties.into());
    }
    let servers = servers(before, after);
    if !servers.is_empty() {
        fields.value("servers", &servers.into());
    }
    if !after.role_types.is_empty() && !same_roles(before, after) {
        let types = |session: &Session| {
            let holders = (!session.is_large()).then(|| Holders::of(session));
            session.role_types.render(Some(&session.taken()), holders.as_ref())
        };
        let now = types(after);
        if types(before) != now {
            fields.value("roleTypes", &now.into());
        }
    }
    let info = |session| {
        let mut out = String::with_capacity(128);
        members_info(session, &mut out);
        out
    };
    let now = info(after);
    if info(before) != now {
        fields.key("membersInfo").push_str(&now);
    }
    if let Some(members) = members(before, after) {
        fields.key("members").push_str(&members);
    }
    fields.close();
    out
}

/// Whether nothing shows that anybody's roles differ: the types are the same, and so are all members who have some.
fn same_roles(before: &Session, after: &Session) -> bool {
    fn with_roles(session: &Session) -> impl Iterator<Item = &Arc<Member>> {
        session.members.iter().filter(|member| !member.roles.is_empty())
    }
    let same = |(one, two): (&Arc<Member>, &Arc<Member>)| Arc::ptr_eq(one, two);
    before.role_types == after.role_types
        && before.crowd == after.crowd
        && with_roles(before).count() == with_roles(after).count()
        && with_roles(before).zip(with_roles(after)).all(same)
}

/// The whole document as the delta of a new session: of a large one, unlike what any reader sees, with every member that is loaded
/// under its index.
#[must_use]
pub fn whole(session: &Session) -> String {
    let mut out = body_of(session);
    if !session.is_large() {
        return out;
    }
    out.pop();
    let mut tail = String::with_capacity(1024);
    let mut fields = Fields::open(&mut tail);
    if !session.role_types.is_empty() {
        fields.value("roleTypes", &session.role_types.render(Some(&session.taken()), None).into());
    }
    members_info(session, fields.key("membersInfo"));
    let mut members = Fields::open(fields.key("members"));
    for member in &session.members {
        entry(member, None, false, members.key(&member.index.to_string()));
    }
    members.close();
    fields.close();
    out.push(',');
    out.push_str(&tail[1..]);
    out
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

/// The servers whose entries came, went or changed, each as a whole.
fn servers(before: &Session, after: &Session) -> Object {
    let changed = after.servers.iter().filter(|(name, entry)| before.servers.get(*name) != Some(entry));
    let gone = before.servers.keys().filter(|name| !after.servers.contains_key(*name));
    let changed = changed.map(|(name, entry)| (name.as_str().into(), server(entry)));
    changed.chain(gone.map(|name| (name.as_str().into(), Json::Null))).collect()
}

/// A member as its entry shows it: with the index of the one after it, which in a large session depends on the reader, and whether it
/// is its turn.
type Shown<'a> = (&'a Arc<Member>, Option<MemberIndex>, bool);

fn shown(session: &Session) -> Vec<Shown<'_>> {
    let turn = session.turn();
    let next = |next| (!session.is_large()).then_some(next);
    linked(session).map(|(member, after)| (member, next(after), turn.contains(&member.index))).collect()
}

/// The members that came, went or changed, these by what differs down to the fields of their bags; `None` if nobody did.
fn members(before: &Session, after: &Session) -> Option<String> {
    let (old, new) = (shown(before), shown(after));
    let find = |members: &[Shown], index| members.binary_search_by_key(&index, |(member, _, _)| member.index).ok();
    let mut out = String::new();
    let mut changed = Fields::open(&mut out);
    for one in &new {
        let (member, next, turn) = *one;
        match find(&old, member.index).map(|at| old[at]) {
            Some(other) if other == *one => {}
            Some(other) => {
                let fields = if Arc::ptr_eq(other.0, member) {
                    place_fields(other, *one)
                } else {
                    entry_fields(&tree(other), &tree(*one))
                };
                if !fields.is_empty() {
                    json::write_object(&fields, changed.numbered(member.index));
                }
            }
            None => entry(member, next, turn, changed.numbered(member.index)),
        }
    }
    for (member, _, _) in old.iter().filter(|(member, _, _)| find(&new, member.index).is_none()) {
        changed.numbered(member.index).push_str("null");
    }
    let any = !changed.is_empty();
    changed.close();
    any.then_some(out)
}

/// What differs of a member that is the same, among others that are not.
fn place_fields((_, old_next, old_turn): Shown, (_, next, turn): Shown) -> Object {
    let mut fields = Object::new();
    if let Some(next) = next.filter(|_| old_next != next) {
        fields.insert("next".into(), next.into());
    }
    if old_turn != turn {
        fields.insert("turn".into(), if turn { true.into() } else { Json::Null });
    }
    fields
}

/// The rendered entry as a value.
fn tree((member, next, turn): Shown) -> Object {
    let mut text = String::new();
    entry(member, next, turn, &mut text);
    match json::parse(text.as_bytes(), STORED_DEPTH) {
        Ok(Json::Object(fields)) => fields,
        _ => unreachable!("what is rendered can be read"),
    }
}

/// As `objects`, one level deeper for the bags.
fn entry_fields(old: &Object, new: &Object) -> Object {
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
    fields
}
