//! The layers of the settings laid on top of each other, and what is wrong with them said by key.

use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Map, Value, ValueKind};

use super::environment::{DATABASE_URL, Environment, PREFIX};
use super::{Settings, SettingsError};

/// Every key with its default; operators read the same file.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The variable that wins over `DATABASE_URL`.
const OUR_DATABASE_URL: &str = "OPENMPSD__DATABASE__URL";

/// Reads defaults, file and environment into settings and warnings.
pub fn read(file: Option<&Path>, environment: &Environment) -> Result<(Settings, Vec<String>), SettingsError> {
    let defaults = layer(None, None)?;
    let from_files = if file.is_some() { layer(file, None)? } else { defaults.clone() };

    let mut warnings = Vec::new();
    let mut variables = environment.ours();
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
            }
        }
    }

    let merged = layer(file, Some(variables))?;
    let mut unknown = Vec::new();
    find_unknown("", &merged.cache, &defaults.cache, &mut unknown);
    if !unknown.is_empty() {
        unknown.sort();
        return Err(SettingsError::Unknown(unknown));
    }
    let settings = merged.try_deserialize().map_err(|error| SettingsError::Type(say(&error)))?;
    Ok((settings, warnings))
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
    builder.build().map_err(|error| SettingsError::File(say(&error)))
}

/// Collects the keys of `given` that the defaults do not have, with their origin and the nearest key that exists.
fn find_unknown(path: &str, given: &Value, defaults: &Value, unknown: &mut Vec<String>) {
    let (ValueKind::Table(given), ValueKind::Table(defaults)) = (&given.kind, &defaults.kind) else { return };
    for (name, value) in given {
        let at = join(path, name);
        if let Some(default) = defaults.get(name) {
            find_unknown(&at, value, default, unknown);
            continue;
        }
        let origin = origin_of(value).map(|origin| format!(" in {origin}")).unwrap_or_default();
        let advice = nearest(name, defaults.keys()).map(|near| format!(" (did you mean {}?)", join(path, near)));
        unknown.push(format!("{at}{origin}{}", advice.unwrap_or_default()));
    }
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
