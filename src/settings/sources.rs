//! Where each value comes from, for people who ask why the service does what it does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{Loaded, SettingsError, show};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: it is the built-in default.
    Default,
    /// In the file of `--config`, at this line as far as it is known.
    File(PathBuf, Option<usize>),
    /// In an environment variable of this name.
    Variable(String),
    /// By a flag on the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One effective setting, fit to be shown: a secret is masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The section in `config/default.toml`.
    pub section: String,
    /// The name in it.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Where that was given.
    pub source: Source,
}

impl Entry {
    /// The line of a settings file that would set this value.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} = {}", self.name, show::toml(&self.value))
    }
}

/// Settings, and where each of them comes from.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The settings.
    pub loaded: Loaded,
    /// By the whole key, `section.name`. What is not here is a default.
    pub(super) given: BTreeMap<String, Source>,
}

impl Explained {
    /// Where the value of a key was given.
    #[must_use]
    pub fn source(&self, key: &str) -> Source {
        self.given.get(key).cloned().unwrap_or(Source::Default)
    }

    /// Every key in the order of `config/default.toml`, with its effective value.
    ///
    /// # Errors
    /// When a path is not valid UTF-8.
    pub fn entries(&self) -> Result<Vec<Entry>, SettingsError> {
        let values = serde_json::to_value(&self.loaded.settings).map_err(|error| SettingsError::Unshowable(error.to_string()))?;
        let entry = |(section, name): (&str, &str)| Entry {
            section: section.to_owned(),
            name: name.to_owned(),
            value: values[section][name].clone(),
            source: self.source(&format!("{section}.{name}")),
        };
        Ok(keys().into_iter().map(entry).collect())
    }

    /// What the settings are made of, in a line: defaults, file, and whatever variables and flags set something.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts = vec!["built-in defaults".to_owned()];
        let file = self.given.values().find_map(|source| match source {
            Source::File(path, _) => Some(path.display()),
            _ => None,
        });
        if let Some(path) = file {
            let count = self.given.values().filter(|source| matches!(source, Source::File(..))).count();
            parts.push(format!("{path} ({count} {})", if count == 1 { "key" } else { "keys" }));
        }
        let mut others: Vec<String> = self
            .given
            .values()
            .filter(|source| matches!(source, Source::Variable(_) | Source::Flag(_)))
            .map(ToString::to_string)
            .collect();
        // Upper case first: variables, then flags, each in their order.
        others.sort_by_key(|name| (name.starts_with('-'), name.clone()));
        parts.extend(others);
        parts.join(", ")
    }
}

/// Every key, as section and name, in the order of `config/default.toml`.
fn keys() -> Vec<(&'static str, &'static str)> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in super::DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push((section, name));
        }
    }
    keys
}

/// The lines of a TOML file that keys are given in, by the whole key.
pub(super) fn lines_of(file: &Path) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut lines = BTreeMap::new();
    if let Ok(table) = DeTable::parse(&text) {
        note_lines(&text, "", table.get_ref(), &mut lines);
    }
    lines
}

fn note_lines(text: &str, path: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = if path.is_empty() { name.get_ref().to_string() } else { format!("{path}.{}", name.get_ref()) };
        match value.get_ref() {
            DeValue::Table(table) => note_lines(text, &key, table, lines),
            _ => drop(lines.insert(key, text[..name.span().start].matches('\n').count() + 1)),
        }
    }
}
