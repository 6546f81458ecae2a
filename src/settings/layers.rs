//! The layers of the settings laid on top of each other, and what is wrong with them said by key.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Map, Value, ValueKind};
use toml::de::DeTable;

use super::environment::{DATABASE_URL, Environment, PREFIX};
use super::sources::{Source, lines_of};
use super::{DEFAULTS, Settings, SettingsError};

/// The variable that wins over `DATABASE_URL`.
const OUR_DATABASE_URL: &str = "OPENMPSD__DATABASE__URL";

/// What the library calls the environment where it says where a value comes from.
const THE_ENVIRONMENT: &str = "the environment";

/// The layers laid on top of each other.
pub struct Layers {
    /// What comes out, with defaults in place of whatever is a problem.
    pub settings: Settings,
    /// Keys that do not exist and values of the wrong type.
    pub problems: Vec<SettingsError>,
    /// What the operator should hear.
    pub warnings: Vec<String>,
    /// Where keys were given that are not at their defaults.
    pub given: BTreeMap<String, Source>,
}

/// Reads defaults, file and environment into settings, and says everything that is wrong with them.
pub fn read(file: Option<&Path>, environment: &Environment) -> Result<Layers, SettingsError> {
    let defaults = layer(None, None)?;
    let from_files = if file.is_some() { layer(file, None)? } else { defaults.clone() };

    let mut warnings = Vec::new();
    let mut variables = environment.ours();
    let mut names: BTreeMap<String, String> = variables.keys().map(|name| (name.to_ascii_lowercase(), name.clone())).collect();
    if let Some(shared) = environment.get(DATABASE_URL) {
        match variables.get(OUR_DATABASE_URL) {
            Some(ours) if ours != shared => {
                warnings.push(format!("{DATABASE_URL} names another database and is ignored: {OUR_DATABASE_URL} wins"));
            }
            Some(_) => {}
            None => {
                if from_files.get_string("database.url").is_ok_and(|url| !url.is_empty() && url != shared) {
                    warnings.push(format!("{DATABASE_URL} names another database than the settings file, and wins"));
                }
                variables.insert(OUR_DATABASE_URL.to_owned(), shared.to_owned());
                names.insert(OUR_DATABASE_URL.to_ascii_lowercase(), DATABASE_URL.to_owned());
            }
        }
    }

    warnings.extend(environment.near_misses(&from_defaults(&defaults.cache)));
    let mut merged = layer(file, Some(variables))?;
    let mut problems = Vec::new();
    let mut unknown = Vec::new();
    take_unknown("", &mut merged.cache, &defaults.cache, &mut unknown);
    if !unknown.is_empty() {
        unknown.sort();
        problems.push(SettingsError::Unknown(unknown));
    }
    let lines = file.map(lines_of).unwrap_or_default();
    let mut given = BTreeMap::new();
    note_sources("", &merged.cache, &mut |key, origin| {
        let source = match (origin, file) {
            (THE_ENVIRONMENT, _) => {
                let variable = format!("{PREFIX}__{}", key.replace('.', "__"));
                Source::Variable(names.get(&variable.to_ascii_lowercase()).cloned().unwrap_or(variable))
            }
            (_, Some(file)) => Source::File(file.to_owned(), lines.get(key).copied()),
            _ => return,
        };
        given.insert(key.to_owned(), source);
    });
    let settings = loop {
        match merged.clone().try_deserialize() {
            Ok(settings) => break settings,
            Err(error) => {
                let mended = key_of(&error).is_some_and(|key| put_default(&mut merged.cache, &defaults.cache, key));
                let problem = SettingsError::Type(say(&error));
                if !mended {
                    return Err(problem);
                }
                problems.push(problem);
            }
        }
    };
    Ok(Layers { settings, problems, warnings, given })
}

/// Every key as a variable would have it, but with one underscore throughout: `SERVER_LISTEN`.
fn from_defaults(defaults: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    if let ValueKind::Table(sections) = &defaults.kind {
        for (section, value) in sections {
            if let ValueKind::Table(names) = &value.kind {
                keys.extend(names.keys().map(|name| format!("{section}_{name}").to_ascii_uppercase()));
            }
        }
    }
    keys
}

/// Calls `note` with every key that was given somewhere, and where.
fn note_sources(path: &str, value: &Value, note: &mut impl FnMut(&str, &str)) {
    match (&value.kind, value.origin()) {
        (ValueKind::Table(table), _) => {
            for (name, value) in table {
                note_sources(&join(path, name), value, note);
            }
        }
        (_, Some(origin)) => note(path, origin),
        _ => {}
    }
}

/// The key that an error of the reading library is about.
fn key_of(error: &ConfigError) -> Option<&str> {
    match error {
        ConfigError::Type { key: Some(key), .. } | ConfigError::At { key: Some(key), .. } => {
            // An item of a list is `key[0]`.
            Some(key.split('[').next().unwrap_or(key))
        }
        _ => None,
    }
}

/// Replaces the value of a key by its default; `false` when there is no such key, or it has its default already.
fn put_default(given: &mut Value, defaults: &Value, key: &str) -> bool {
    let (name, rest) = key.split_once('.').map_or((key, None), |(name, rest)| (name, Some(rest)));
    let (ValueKind::Table(given), ValueKind::Table(defaults)) = (&mut given.kind, &defaults.kind) else { return false };
    let (Some(value), Some(default)) = (given.get_mut(name), defaults.get(name)) else { return false };
    if let Some(rest) = rest {
        return put_default(value, default, rest);
    }
    let differs = value != default;
    *value = default.clone();
    differs
}

/// Lays the file and the variables, as far as given, on the defaults.
fn layer(file: Option<&Path>, variables: Option<Map<String, String>>) -> Result<Config, SettingsError> {
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(file) = file {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    if let Some(variables) = variables {
        let source = config::Environment::with_prefix(PREFIX).prefix_separator("__").separator("__");
        builder = builder.add_source(source.source(Some(variables)));
    }
    builder.build().map_err(|error| {
        SettingsError::File(match (&error, file) {
            (ConfigError::FileParse { .. }, Some(file)) => {
                slip_in(file).unwrap_or_else(|| format!("{} is no TOML", file.display()))
            }
            _ => say(&error),
        })
    })
}

/// What is no TOML in a file, and where. The line itself stays untold: a password may stand in it.
fn slip_in(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let error = DeTable::parse(&text).err()?;
    let before = text.get(..error.span()?.start)?;
    let (line, column) = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
    Some(format!("{}, line {line}, column {column}: {}", file.display(), error.message()))
}

/// Takes the keys out of `given` that the defaults do not have, and says each with its origin and the nearest key that exists.
fn take_unknown(path: &str, given: &mut Value, defaults: &Value, unknown: &mut Vec<String>) {
    let (ValueKind::Table(given), ValueKind::Table(defaults)) = (&mut given.kind, &defaults.kind) else { return };
    given.retain(|name, value| {
        let at = join(path, name);
        if let Some(default) = defaults.get(name) {
            take_unknown(&at, value, default, unknown);
            return true;
        }
        let origin = origin_of(value).map(|origin| format!(" in {origin}")).unwrap_or_default();
        let advice = nearest(name, defaults.keys()).map(|near| format!(" (did you mean {}?)", join(path, near)));
        unknown.push(format!("{at}{origin}{}", advice.unwrap_or_default()));
        false
    });
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Where a value was given; a table's is that of its first value.
fn origin_of(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Table(table) => table.values().find_map(origin_of),
        _ => value.origin(),
    }
}

/// The candidate that is a slip of the finger away from `name`.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let allowed = (name.len() / 3).max(1);
    candidates
        .map(|candidate| (edits(name, candidate), candidate.as_str()))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters to insert, remove or replace to get from one word to the other (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

/// An error of the reading library with the key in front.
fn say(error: &ConfigError) -> String {
    match error {
        ConfigError::Type { origin, unexpected, expected, key: Some(key) } => {
            let origin = origin.as_deref().map(|origin| format!(" in {origin}")).unwrap_or_default();
            format!("{key}{origin}: must be {expected}, not {unexpected}")
        }
        ConfigError::At { error, key: Some(key), .. } => format!("{key}: {}", say(error)),
        other => other.to_string(),
    }
}
