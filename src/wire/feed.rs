//! The change feed as text: the ids of its events, their data, what one reader sees of a change to a large session, and who could
//! read a session that has ended.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::fields::Fields;
use crate::domain::access::Nearness;
use crate::domain::change::{KINDS, Kinds};
use crate::domain::names::{Branch, ETag, MemberIndex, Scid, Xuid};
use crate::domain::principal::Principal;
use crate::domain::session::{Restriction, Visibility, has_capability};
use crate::json::{self, Json, Object, STORED_DEPTH};

/// Reads the id of an event, `{branch}.{changeNumber}`.
#[must_use]
pub fn read_id(text: &str) -> Option<ETag> {
    let (branch, number) = text.split_once('.')?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(ETag { branch: Branch::parse(branch)?, change_number: number.parse().ok()? })
}

/// The data of the first event for a reader that knows nothing yet: the document as that reader sees it.
#[must_use]
pub fn snapshot(id: ETag, document: &str) -> String {
    let mut out = String::with_capacity(document.len() + 128);
    let mut fields = Fields::open(&mut out);
    place(&mut fields, id);
    fields.key("delta").push_str(document);
    fields.close();
    out
}

/// A change as the log tells it, without what it did to the document.
#[derive(Debug, Clone, Copy)]
pub struct Happened {
    /// The state after it.
    pub id: ETag,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// Why, as the code of the log.
    pub cause: i16,
    /// What changed (N-37).
    pub kinds: Kinds,
}

/// The data of a change, in one line; a change that ended the session has no delta. Who did it is not told: that names others.
#[must_use]
pub fn change(happened: &Happened, delta: Option<&str>) -> String {
    let mut out = String::with_capacity(delta.map_or(0, str::len) + 256);
    let mut fields = Fields::open(&mut out);
    place(&mut fields, happened.id);
    fields.instant("at", happened.at);
    fields.plain("cause", cause(happened.cause));
    let kinds = KINDS.iter().filter(|(name, _)| happened.kinds.contains(name)).map(|(name, _)| *name);
    fields.value("changeTypes", &kinds.collect());
    if let Some(delta) = delta {
        fields.key("delta").push_str(delta);
    }
    fields.close();
    out
}

fn place(fields: &mut Fields, id: ETag) {
    fields.plain("branch", &id.branch.to_string());
    fields.number("changeNumber", id.change_number);
}

/// The name of a cause in the log.
fn cause(code: i16) -> &'static str {
    match code {
        0 => "request",
        1 => "timer",
        2 => "connection",
        _ => "other",
    }
}

/// Whether a document is that of a large session.
#[must_use]
pub fn is_large(document: &str) -> bool {
    let document = parse(document);
    document.get("constants").and_then(|constants| constants.get("system")?.as_object()).is_some_and(large)
}

fn large(system: &Object) -> bool {
    has_capability(system, "large")
}

/// What is rendered by the service can be read; anything else says nothing.
fn parse(text: &str) -> Json {
    json::parse(text.as_bytes(), STORED_DEPTH).unwrap_or_else(|_| Json::object())
}

/// How one reader sees changes of a large session (M-95): of the members only the own entry, under `me`.
///
/// What sums up all members for this reader (`membersInfo`, `roleTypes`, `next`) depends on states that the log does not hold. It is
/// told once the document that the reader may see has been reached, and taken from there.
#[derive(Debug, Default)]
pub struct Peephole {
    /// The indices the reader has, or had a short while ago.
    own: Vec<MemberIndex>,
    /// Which sums have changed since they were told last.
    owes_info: bool,
    owes_roles: bool,
}

impl Peephole {
    /// Learns indices that the reader has, had or will have.
    pub fn know(&mut self, own: &[MemberIndex]) {
        self.own.extend(own);
    }

    /// Learns the reader's indices: from the document, and from changes that are to be shown, given by their deltas and by who left.
    pub fn learn(&mut self, reader: Option<Xuid>, document: Option<&str>, changes: &[(Option<&str>, Option<&str>)]) {
        let Some(reader) = reader.map(|xuid| xuid.to_string()) else { return };
        let is_reader = |constants: Option<&Json>| {
            constants.and_then(|constants| constants.get("system")?.get("xuid")?.as_str()).as_deref() == Some(&reader)
        };
        if let Some(document) = document.map(parse) {
            self.own.extend(own_index(&document));
        }
        for (delta, departed) in changes {
            let delta = delta.map(parse);
            let members = delta.as_ref().and_then(|delta| delta.get("members")?.as_object());
            let joined = members.into_iter().flatten().filter(|(_, entry)| is_reader(entry.get("constants")));
            self.own.extend(joined.filter_map(|(index, _)| index.decode()?.parse::<MemberIndex>().ok()));
            let departed = departed.map(parse);
            let left = departed.as_ref().and_then(Json::as_array).unwrap_or_default();
            let left = left.iter().filter(|one| one.get("xuid").and_then(Json::as_str).as_deref() == Some(&reader));
            self.own.extend(left.filter_map(|one| MemberIndex::try_from(one.get("index")?.as_u64()?).ok()));
        }
        self.own.sort_unstable();
        self.own.dedup();
    }

    /// The same from a session that has ended, as it was after the change that is to be shown.
    pub fn learn_past(&mut self, reader: Option<Xuid>, past: &Past, delta: &str, departed: Option<&str>) {
        let own = past.members.iter().filter(|(_, member)| Some(**member) == reader).map(|(index, _)| *index);
        self.own.extend(own);
        self.learn(reader, None, &[(Some(delta), departed)]);
    }

    /// What the reader sees of a change; `document` is what the reader sees of the state after it, if that is the present one.
    #[must_use]
    pub fn show(&mut self, delta: &str, document: Option<&str>) -> String {
        let Json::Object(fields) = parse(delta) else { return "{}".to_owned() };
        let whole = fields.contains_key("constants");
        let mut shown = Object::with_capacity(fields.len());
        let mut members = Object::new();
        for (name, value) in fields {
            match name.decode().as_deref() {
                Some("membersInfo") => self.owes_info = true,
                Some("roleTypes") => self.owes_roles = true,
                Some("members") => members = self.own_entry(&value),
                _ => drop(shown.insert(name, value)),
            }
        }
        let document = document.map(parse);
        if let Some(document) = &document {
            let sums = [("membersInfo", &mut self.owes_info), ("roleTypes", &mut self.owes_roles)];
            for (name, owes) in sums {
                if let (true, Some(value)) = (std::mem::take(owes), document.get(name)) {
                    shown.insert(name.into(), value.clone());
                }
            }
            // Whoever is the only one in its list has the next free index after it.
            let next = shown.get("membersInfo").and_then(|info| info.get("next")).cloned();
            if let (Some(next), Some(_)) = (next, own_index(document))
                && let Json::Object(me) = members.get_or_insert_with("me".into(), Json::object)
            {
                me.insert("next".into(), next);
            }
        }
        if whole || !members.is_empty() {
            shown.insert("members".into(), members.into());
        }
        Json::from(shown).to_string()
    }

    /// The reader's own entry of a delta's members; one that is there counts more than one that is gone.
    fn own_entry(&self, members: &Json) -> Object {
        let is_own = |index: &json::Text| {
            index.decode().and_then(|index| index.parse::<MemberIndex>().ok()).is_some_and(|index| self.own.contains(&index))
        };
        let own: Vec<&Json> =
            members.as_object().into_iter().flatten().filter(|(index, _)| is_own(index)).map(|(_, entry)| entry).collect();
        let entry = own.iter().find(|entry| ***entry != Json::Null).or(own.first());
        entry.map(|entry| ("me".into(), (*entry).clone())).into_iter().collect()
    }
}

/// The reader's own index in the document of a large session.
fn own_index(document: &Json) -> Option<MemberIndex> {
    let index = document.get("members")?.get("me")?.get("constants")?.get("system")?.get("index")?.as_u64()?;
    MemberIndex::try_from(index).ok()
}

/// As much of a session that has ended as tells who could read it: what the log had of it, change after change.
///
/// Whom members followed, and on which devices they were, is not in the log: a restriction keeps everybody out but members.
#[derive(Debug)]
pub struct Past {
    visibility: Visibility,
    restriction: Restriction,
    large: bool,
    members: BTreeMap<MemberIndex, Xuid>,
}

impl Default for Past {
    /// Nothing is known: nobody but a server could read it.
    fn default() -> Self {
        Self { visibility: Visibility::Private, restriction: Restriction::None, large: false, members: BTreeMap::new() }
    }
}

impl Past {
    /// Takes over one change; the first one tells the whole session.
    pub fn take(&mut self, delta: &str) {
        let delta = parse(delta);
        let system = |part: &str| delta.get(part).and_then(|part| part.get("system")?.as_object());
        if let Some(constants) = system("constants") {
            self.large = large(constants);
            self.visibility = Visibility::read(constants);
        }
        let first = delta.get("constants").is_some();
        if let Some(properties) = system("properties").filter(|fields| first || fields.contains_key("readRestriction")) {
            self.restriction = Restriction::read(properties, "readRestriction");
        }
        for (index, entry) in delta.get("members").and_then(Json::as_object).into_iter().flatten() {
            let Some(index) = index.decode().and_then(|index| index.parse::<MemberIndex>().ok()) else { continue };
            if *entry == Json::Null {
                self.members.remove(&index);
            }
            let xuid = entry.get("constants").and_then(|constants| constants.get("system")?.get("xuid")?.as_str());
            if let Some(xuid) = xuid.and_then(|xuid| Xuid::parse(&xuid).ok()) {
                self.members.insert(index, xuid);
            }
        }
    }

    /// Whether a caller could read the session as it was then (A-10).
    #[must_use]
    pub fn may_read(&self, scid: &Scid, principal: &Principal) -> bool {
        let users = principal.users();
        if self.large && users.len() > 1 {
            return false;
        }
        let is_member = |xuid: Xuid| self.members.values().any(|member| *member == xuid);
        let nearness = Nearness { member: users.iter().any(|user| is_member(user.xuid)), ..Nearness::default() };
        principal.is_server_for(scid) || (!users.is_empty() && nearness.may_read(self.visibility, self.restriction))
    }

    /// Whether the session was a large one.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.large
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::principal::{Server, User};

    const BRANCH: &str = "c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11";

    fn id(number: u64) -> ETag {
        ETag { branch: Branch::parse(BRANCH).unwrap(), change_number: number }
    }

    #[rstest]
    #[case("c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11.7", Some(7))]
    #[case("C58D2B0E-3D30-4B5F-9A4A-3A2C4E1F8D11.0", Some(0))]
    #[case("c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11.18446744073709551615", Some(u64::MAX))]
    #[case("c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11.18446744073709551616", None)]
    #[case("c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11.+7", None)]
    #[case("c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11.", None)]
    #[case("c58d2b0e-3d30-4b5f-9a4a-3a2c4e1f8d11", None)]
    #[case("c58d2b0e3d304b5f9a4a3a2c4e1f8d11.7", None)]
    #[case("7", None)]
    #[case("", None)]
    fn ids_are_those_of_states(#[case] text: &str, #[case] number: Option<u64>) {
        assert_eq!(read_id(text), number.map(id));
    }

    #[rstest]
    #[case(0, "request")]
    #[case(1, "timer")]
    #[case(2, "connection")]
    #[case(9, "other")]
    fn a_change_is_one_line(#[case] code: i16, #[case] word: &str) {
        let at = "2031-04-05T18:00:00.5Z".parse().unwrap();
        let happened = Happened { id: id(7), at, cause: code, kinds: Kinds(1 | 1 << 6) };
        let common = format!(
            r#""branch":"{BRANCH}","changeNumber":7,"at":"2031-04-05T18:00:00.5000000Z","cause":"{word}","changeTypes":["host","customProperty"]"#
        );
        assert_eq!(change(&happened, Some("{}")), format!(r#"{{{common},"delta":{{}}}}"#));
        assert_eq!(change(&happened, None), format!("{{{common}}}"));
    }

    #[test]
    fn m95_a_reader_sees_the_own_entry_whenever_it_had_it() {
        let join =
            r#"{"members":{"4":{"constants":{"system":{"xuid":"1","index":4}}},"5":{"constants":{"system":{"xuid":"2"}}}}}"#;
        let update = r#"{"changeNumber":3,"members":{"4":{"properties":{"custom":{"a":1}}},"5":{"properties":{}}}}"#;
        let leave = (r#"{"members":{"4":null,"5":null}}"#, r#"[{"index":4,"xuid":"1"},{"index":5,"xuid":"2"}]"#);
        // The update comes first: only that the reader leaves later tells whose it is.
        let mut peephole = Peephole::default();
        peephole.learn(Some(Xuid(1)), None, &[(Some(update), None), (Some(leave.0), Some(leave.1))]);
        assert_eq!(peephole.show(update, None), r#"{"changeNumber":3,"members":{"me":{"properties":{"custom":{"a":1}}}}}"#);
        assert_eq!(peephole.show(leave.0, None), r#"{"members":{"me":null}}"#);
        let mut joined = Peephole::default();
        joined.learn(Some(Xuid(1)), None, &[(Some(join), None)]);
        assert_eq!(joined.show(join, None), r#"{"members":{"me":{"constants":{"system":{"xuid":"1","index":4}}}}}"#);
        let mut server = Peephole::default();
        server.learn(None, None, &[(Some(join), None), (Some(leave.0), Some(leave.1))]);
        assert_eq!(server.show(update, None), r#"{"changeNumber":3}"#);
    }

    #[test]
    fn m95_sums_are_told_when_the_document_is_reached() {
        let document =
            r#"{"roleTypes":{"own":1},"membersInfo":{"first":4,"next":9},"members":{"me":{"constants":{"system":{"index":4}}}}}"#;
        let delta = r#"{"roleTypes":{"all":1},"membersInfo":{"next":8},"members":{"7":{}}}"#;
        let mut peephole = Peephole::default();
        peephole.learn(Some(Xuid(1)), Some(document), &[]);
        assert_eq!(peephole.show(delta, None), "{}");
        let told = r#"{"changeNumber":9,"membersInfo":{"first":4,"next":9},"roleTypes":{"own":1},"members":{"me":{"next":9}}}"#;
        assert_eq!(peephole.show(r#"{"changeNumber":9}"#, Some(document)), told);
        assert_eq!(peephole.show(r#"{"changeNumber":10}"#, Some(document)), r#"{"changeNumber":10}"#, "once");
    }

    fn user(xuid: u64) -> Principal {
        let (device_id, device_type) = (Some("device".to_owned()), None);
        Principal::User(User { xuid: Xuid(xuid), gamertag: None, title_id: None, device_id, device_type, multiplayer: true })
    }

    #[test]
    fn a10_the_log_tells_who_could_read() {
        let scid = Scid::parse("5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7").unwrap();
        let server = Principal::Server(Server { name: "arena".into(), scids: vec![scid] });
        let mut past = Past::default();
        assert!(!past.may_read(&scid, &user(1)) && past.may_read(&scid, &server), "nothing is known");
        past.take(r#"{"constants":{"system":{"visibility":"private"}},"properties":{"system":{}},"members":{"0":{"constants":{"system":{"xuid":"1"}}}}}"#);
        assert_eq!([1, 2].map(|xuid| past.may_read(&scid, &user(xuid))), [true, false]);
        past.take(r#"{"members":{"0":{"properties":{}},"1":{"constants":{"system":{"xuid":"2"}}}}}"#);
        assert_eq!([1, 2].map(|xuid| past.may_read(&scid, &user(xuid))), [true, true]);
        past.take(r#"{"members":{"0":null}}"#);
        assert_eq!([1, 2].map(|xuid| past.may_read(&scid, &user(xuid))), [false, true]);

        let mut past = Past::default();
        past.take(r#"{"constants":{"system":{}},"properties":{"system":{"readRestriction":"local"}},"members":{}}"#);
        assert!(!past.may_read(&scid, &user(1)));
        past.take(r#"{"properties":{"system":{"closed":true}}}"#);
        assert!(!past.may_read(&scid, &user(1)), "a restriction stays until it is written");
        past.take(r#"{"properties":{"system":{"readRestriction":null}}}"#);
        assert!(past.may_read(&scid, &user(1)) && !past.may_read(&scid, &Principal::Admin { name: "op".into() }));
    }
}
