//! What happened, in lines for human readers.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::super::{Json, Record, Session, Xuid, document, json};
use super::cast::Cast;
use crate::domain::change::{self, KINDS};
use crate::domain::session::{Member, Standing};
use crate::domain::timers;
use crate::wire::delta;

/// How many changed members are shown one by one.
const MANY: usize = 6;

/// What is told at the head of a change, or is made up anew for every session.
const TOLD: &[&str] = &["branch", "changeNumber", "contractVersion", "correlationId", "nextTimer", "startTime"];

/// A transcript while it is written.
pub(super) struct Transcript {
    pub text: String,
    /// When the story began: instants are shown as seconds since then.
    start: DateTime<Utc>,
}

/// Constants that say what they say anyway (T-40) are not told of a new session.
const DEFAULTS: &[(&str, &str)] = &[
    ("constants.system.capabilities", "{}"),
    ("constants.system.inactiveRemovalTimeout", "0"),
    ("constants.system.maxMembersCount", "100"),
    ("constants.system.readyRemovalTimeout", "180000"),
    ("constants.system.reservedRemovalTimeout", "30000"),
    ("constants.system.sessionEmptyTimeout", "0"),
    ("constants.system.version", "1"),
    ("constants.system.visibility", r#""open""#),
];

/// The path of a changed value, and the value.
type Leaf = (Vec<String>, String);

impl Transcript {
    pub fn new(start: DateTime<Utc>) -> Self {
        Self { text: String::new(), start }
    }

    /// Copies a line of the script.
    pub fn copy(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Adds a line of what came of it.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.text, "| {line}").expect("a text takes anything");
    }

    fn instant(&self, instant: DateTime<Utc>) -> String {
        let ms = (instant - self.start).num_milliseconds();
        let fraction = format!(".{:03}", ms.abs() % 1000);
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        format!("@{}{}{fraction}s", if ms < 0 { "-" } else { "" }, ms.abs() / 1000)
    }

    /// The change number and the next timer.
    pub fn head(&self, session: &Session) -> String {
        let timer = timers::next(session).map_or("no timer".to_owned(), |next| format!("next timer {}", self.instant(next)));
        format!("change {}, {timer}", session.change_number)
    }

    /// Everything that a change did, one path in a line, and whom it taps.
    pub fn tell_change(&mut self, before: &Record, after: &Record, cast: &Cast) {
        let Some(now) = after else { return };
        let mut found = match before {
            Some(before) if before.branch == now.branch => {
                // Role types are given as a whole: only what is new about them is told.
                let known: HashSet<Leaf> = leaves(&role_types(before)).into_iter().collect();
                let mut found = leaves(&json(&delta::between(before, now)));
                found.retain(|leaf| !known.contains(leaf));
                found
            }
            _ => leaves(&document(now)),
        };
        found.retain(|leaf| before.is_some() || !DEFAULTS.contains(&(&*leaf.0.join("."), &*leaf.1)));
        let name = |index: u32| Some(cast.name_of(before.as_ref()?.member_at(index)?.xuid));
        self.tell_leaves(&found, name, cast);
        let kinds = change::between(before, after).kinds;
        let named: Vec<&str> = KINDS.iter().filter(|(_, bit)| kinds.0 & bit.0 != 0).map(|(name, _)| *name).collect();
        self.tell(&format!("  taps: {}", if named.is_empty() { "everything only".to_owned() } else { named.join(" ") }));
    }

    /// Tells values under their paths. Where many members change in the same fields, only the first of them is shown.
    pub fn tell_leaves(&mut self, found: &[Leaf], name: impl Fn(u32) -> Option<String>, cast: &Cast) {
        let mut members: BTreeMap<u32, Vec<&Leaf>> = BTreeMap::new();
        for leaf in found {
            if let Some(index) = member_index(&leaf.0) {
                members.entry(index).or_default().push(leaf);
            }
        }
        // The members that change alike, by what changes.
        let mut alike: BTreeMap<Vec<&[String]>, Vec<u32>> = BTreeMap::new();
        for (index, leaves) in &members {
            alike.entry(leaves.iter().map(|(path, _)| &path[2..]).collect()).or_default().push(*index);
        }
        let groups: BTreeMap<u32, &Vec<u32>> = alike.values().map(|group| (group[0], group)).collect();
        let many = members.len() > MANY;
        for (at, leaf) in found.iter().enumerate() {
            let Some(index) = member_index(&leaf.0) else {
                self.tell_leaf(leaf, None, cast);
                continue;
            };
            let again = at > 0 && member_index(&found[at - 1].0) == Some(index);
            let group = groups.get(&index).filter(|_| many);
            if again || (many && group.is_none()) {
                continue;
            }
            members[&index].iter().for_each(|leaf| self.tell_leaf(leaf, name(index), cast));
            if let Some([_, others @ .., last]) = group.map(|group| group.as_slice()) {
                self.tell(&format!("  … and so {} more, up to members.{last}", others.len() + 1));
            }
        }
    }

    fn tell_leaf(&mut self, (path, value): &Leaf, name: Option<String>, cast: &Cast) {
        let whose = name.filter(|_| value == "gone" && path.len() == 2).map_or(String::new(), |name| format!(" ({name})"));
        let (path, value) = (cast.written(&path.join(".")), self.readable(value, cast));
        self.tell(&format!("  {path}: {value}{whose}"));
    }

    /// A value with words in the place of ids and seconds in the place of instants.
    pub fn readable(&self, value: &str, cast: &Cast) -> String {
        let parts: Vec<String> = cast.written(value).split('"').map(str::to_owned).collect();
        let instant = |text: &str| {
            let instant = text.parse::<DateTime<Utc>>().ok().filter(|_| text.len() == 28 && text.ends_with('Z'))?;
            Some(self.instant(instant))
        };
        parts.iter().map(|part| instant(part).unwrap_or_else(|| part.clone())).collect::<Vec<_>>().join("\"")
    }
}

/// The values of a document or delta at the level of fields, ordered by their paths; numbers count as such.
pub(super) fn leaves(document: &Json) -> Vec<Leaf> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), document, &mut found);
    let is_key = |path: &[String]| matches!(path, [of, key, field @ ..] if of == "members" && key != "me" && field == ["constants", "system", "index"]);
    found.retain(|(path, _)| !TOLD.contains(&path[0].as_str()) && !is_key(path));
    let key = |(path, _): &Leaf| -> Vec<(u64, String)> {
        path.iter().map(|name| (name.parse().unwrap_or(u64::MAX), name.clone())).collect()
    };
    found.sort_by_cached_key(key);
    found
}

/// A document with the role types only.
fn role_types(session: &Session) -> Json {
    let Json::Object(mut fields) = document(session) else { unreachable!("a document is an object") };
    fields.retain(|name, _| name.to_string() == "roleTypes");
    fields.into()
}

/// The member that a path leads to.
fn member_index(path: &[String]) -> Option<u32> {
    if path[0] == "members" { path.get(1)?.parse().ok() } else { None }
}

/// Whether the value at a path is not a field of its own but holds fields.
fn is_structure(path: &[&str]) -> bool {
    match path {
        [] | ["members" | "servers" | "roleTypes"] | ["members" | "servers" | "roleTypes", _] | ["roleTypes", _, "roles"] => true,
        ["members" | "servers", _, rest @ ..] | rest => {
            matches!(rest, ["constants" | "properties"] | ["constants" | "properties", "system" | "custom"])
        }
    }
}

fn walk(path: &mut Vec<String>, value: &Json, found: &mut Vec<Leaf>) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match value {
        Json::Object(fields) if is_structure(&names) => {
            let before = found.len();
            for (name, value) in fields {
                path.push(name.to_string());
                walk(path, value, found);
                path.pop();
            }
            if found.len() == before && matches!(path.as_slice(), [of, _] if of == "servers") {
                found.push((path.clone(), "{}".to_owned()));
            }
        }
        Json::Null => found.push((path.clone(), "gone".to_owned())),
        value => found.push((path.clone(), value.to_string())),
    }
}

/// Who is there and how they stand, in one line.
pub(super) fn roster(session: &Session, cast: &Cast) -> String {
    let host = session.properties.system.get("host").and_then(Json::as_str);
    let stands = |member: &Member| {
        let mut line = format!("{} {} {}", member.index, cast.name_of(member.xuid), standing(member));
        let is_host = host.as_ref().is_some_and(|host| member.device_token().is_some_and(|own| own.eq_ignore_ascii_case(host)));
        let owns = session.owners().contains(&member.index);
        for (what, so) in [("host", is_host), ("owner", owns), ("turn", session.turn().contains(&member.index))] {
            if so {
                write!(line, " {what}").expect("a text takes anything");
            }
        }
        let episode = member.episode.map(|episode| format!(" episode {episode}")).unwrap_or_default();
        let failure = member.failure.map(|failure| format!(" failed {}", failure.as_str())).unwrap_or_default();
        line + &episode + &failure
    };
    let lines: Vec<String> = session.members.iter().map(|member| stands(member)).collect();
    if lines.is_empty() { "nobody".to_owned() } else { lines.join(", ") }
}

fn standing(member: &Member) -> &'static str {
    match member.state.standing() {
        Standing::Reserved => "reserved",
        Standing::Inactive => "inactive",
        Standing::Ready => "ready",
        Standing::Active => "active",
    }
}

/// The own view of a large session, without what never changes.
pub(super) fn own_view(session: &Session, viewer: Option<Xuid>) -> Vec<Leaf> {
    let shown = json(&crate::wire::large::document(session, viewer));
    let mut found = leaves(&shown);
    found.retain(|(path, _)| path[0] == "members" || path[0] == "membersInfo");
    if !found.iter().any(|(path, _)| path[0] == "members") {
        found.insert(0, (vec!["members".to_owned()], "{}".to_owned()));
    }
    found
}
