//! `service.toml`: what there is to say about a service config beside its templates.

use std::path::Path;

use toml::{Table, Value};

use super::finding::{Finding, Position};
use crate::domain::names::TitleId;
use crate::domain::throttle::{KEYS, Key};
use crate::json::{Json, Object};

/// Who may use the service config.
const TITLES: &str = "titles";
/// What its title is called on each platform.
const GAME_TYPES: &str = "game_types";
/// How often users may call.
const THROTTLE: &str = "throttle";
/// The longest name of a platform or package, in characters.
const NAME_MAX: usize = 256;

/// What a `service.toml` says; nothing when there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFile {
    /// The title ids that may use the service config; none at all means any title.
    pub titles: Vec<u32>,
    /// By platform `{"titleId", "pfn", "boundPfns"}`, as handles show it (H-19, H-33); `None` when nothing is configured.
    pub game_types: Option<String>,
    /// Rate limits that differ from the installation, numbers by key (W-80); `None` when it says nothing.
    pub throttle: Option<String>,
}

/// Reads a `service.toml`.
///
/// Tells every mistake to `report`. `None` when there is one: a service config that cannot be read must not be open to everybody.
pub fn read_service_file(path: &Path, text: &[u8], report: &mut Vec<Finding>) -> Option<ServiceFile> {
    let known = report.len();
    let mut mistakes = Mistakes { path, report };
    let mut file = ServiceFile::default();
    for (key, value) in read_table(path, text, &mut mistakes)? {
        match key.as_str() {
            TITLES => file.titles = titles(&value, &mut mistakes),
            GAME_TYPES => file.game_types = game_types(&value, &mut mistakes),
            THROTTLE => file.throttle = throttle(&value, &mut mistakes),
            _ => mistakes.add(&key, "there is no such key, only titles, game_types and throttle"),
        }
    }
    (report.len() == known).then_some(file)
}

/// Where mistakes are told.
struct Mistakes<'a> {
    path: &'a Path,
    report: &'a mut Vec<Finding>,
}

impl Mistakes<'_> {
    fn add(&mut self, at: &str, why: impl Into<String>) {
        self.report.push(Finding::fatal(self.path, why).at(at));
    }

    fn add_type(&mut self, at: &str, expected: &str, found: &Value) {
        self.add(at, format!("{expected} is expected, but this is of type {}", found.type_str()));
    }
}

/// Title ids, numbers or decimal texts.
fn titles(value: &Value, mistakes: &mut Mistakes) -> Vec<u32> {
    let Value::Array(items) = value else {
        mistakes.add_type(TITLES, "a list of title ids", value);
        return Vec::new();
    };
    let mut titles: Vec<u32> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        titles.extend(title(&format!("{TITLES}[{index}]"), item, mistakes));
    }
    titles.sort_unstable();
    titles.dedup();
    titles
}

/// The tables `[game_types.<platform>]`, rendered; `None` when there are none.
fn game_types(value: &Value, mistakes: &mut Mistakes) -> Option<String> {
    let Value::Table(platforms) = value else {
        mistakes.add_type(GAME_TYPES, "a table for each platform", value);
        return None;
    };
    let mut rendered = Object::new();
    for (platform, about) in platforms {
        let at = format!("{GAME_TYPES}.{platform}");
        if platform.is_empty() || platform.chars().count() > NAME_MAX || platform.contains('\0') {
            mistakes.add(&at, format!("a platform's name has 1 to {NAME_MAX} characters"));
        }
        match about {
            Value::Table(about) => drop(rendered.insert(platform.as_str().into(), game_type(&at, about, mistakes))),
            other => mistakes.add_type(&at, "a table", other),
        }
    }
    (!rendered.is_empty()).then(|| Json::Object(rendered).to_string())
}

/// What the title is called on one platform (H-33).
fn game_type(at: &str, about: &Table, mistakes: &mut Mistakes) -> Json {
    let (mut title_id, mut pfn, mut bound) = (None, String::new(), Vec::new());
    for (key, value) in about {
        let at = format!("{at}.{key}");
        match (key.as_str(), value) {
            ("title_id", value) => title_id = title(&at, value, mistakes),
            ("pfn", value) => pfn = package(&at, value, mistakes),
            ("bound_pfns", Value::Array(items)) => {
                bound = items.iter().enumerate().map(|(n, item)| package(&format!("{at}[{n}]"), item, mistakes)).collect();
            }
            ("bound_pfns", other) => mistakes.add_type(&at, "a list of package family names", other),
            _ => mistakes.add(&at, "there is no such key, only title_id, pfn and bound_pfns"),
        }
    }
    if !about.contains_key("title_id") {
        mistakes.add(&format!("{at}.title_id"), "is missing");
    }
    let title_id = title_id.map_or_else(String::new, |title: u32| title.to_string());
    let mut fields = Object::with_capacity(3);
    fields.insert("titleId".into(), title_id.into());
    fields.insert("pfn".into(), pfn.into());
    fields.insert("boundPfns".into(), bound.into_iter().map(Json::from).collect());
    fields.into()
}

/// The table `[throttle]`, rendered; `None` when there is nothing in it.
fn throttle(value: &Value, mistakes: &mut Mistakes) -> Option<String> {
    let Value::Table(numbers) = value else {
        mistakes.add_type(THROTTLE, "a table of numbers", value);
        return None;
    };
    let mut rendered = Object::with_capacity(numbers.len());
    for (name, value) in numbers {
        let at = format!("{THROTTLE}.{name}");
        let Some(key) = Key::find(name) else {
            let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
            mistakes.add(&at, format!("there is no such key, only {}", names.join(", ")));
            continue;
        };
        match value {
            Value::Integer(number) => match u64::try_from(*number).ok().and_then(|number| key.take(number)) {
                Some(number) => drop(rendered.insert(key.name.into(), number.into())),
                None => mistakes.add(&at, format!("must be {} to {}, not {number}", key.range().0, key.range().1)),
            },
            other => mistakes.add_type(&at, "a number", other),
        }
    }
    (!rendered.is_empty()).then(|| Json::Object(rendered).to_string())
}

/// A package family name.
fn package(at: &str, value: &Value, mistakes: &mut Mistakes) -> String {
    match value {
        Value::String(text) if text.chars().count() <= NAME_MAX && !text.contains('\0') => return text.clone(),
        Value::String(_) => mistakes.add(at, format!("a package family name has at most {NAME_MAX} characters")),
        other => mistakes.add_type(at, "a package family name", other),
    }
    String::new()
}

fn read_table(path: &Path, text: &[u8], mistakes: &mut Mistakes) -> Option<Table> {
    let (why, byte) = match std::str::from_utf8(text) {
        Err(error) => ("the text is not valid UTF-8".to_owned(), error.valid_up_to()),
        Ok(text) => match text.parse::<Table>() {
            Ok(table) => return Some(table),
            Err(error) => (error.message().to_owned(), error.span().map_or(0, |span| span.start)),
        },
    };
    mistakes.report.push(Finding::fatal(path, format!("is no TOML: {why}")).on(Position::of(text, byte)));
    None
}

/// A title id, a number or a decimal text (S-04).
fn title(at: &str, value: &Value, mistakes: &mut Mistakes) -> Option<u32> {
    let title = match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::String(text) => TitleId::parse(text).ok().map(|title| title.0),
        _ => None,
    };
    if title.is_none() {
        mistakes.add(at, "a title id is an unsigned 32-bit decimal (S-04)");
    }
    title
}
