//! What stands beside the service: the same SQL by pgbench, as scripts.
//!
//! For reads these are the service's own statements with its own arguments, except that one user or one key asks at a time: nothing is
//! gathered. For writes they are the least that any service would have to write, on copies of the tables.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

use crate::dataset::SCID;

/// The folder of scripts.
pub struct Scripts<'a> {
    pub folder: &'a Path,
}

impl Scripts<'_> {
    /// Writes a statement of the service with an expression for each of its parameters: `$1` is the first. `{k}` in an expression is a
    /// random number from 1 to `keys`.
    pub fn statement(&self, name: &str, sql: &str, arguments: &[String], keys: usize) -> anyhow::Result<PathBuf> {
        let mut text = format!("\\set k random(1, {keys})\n");
        text.push_str(filled(sql, arguments).replace("{k}", "(:k)::int").trim_end());
        text.push_str(";\n");
        self.write(name, &text)
    }

    /// Writes a script out of `bench/sql`, with `:name` replaced as told.
    pub fn script(&self, name: &str, sql: &str, values: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        let text = values.iter().fold(without_comments(sql), |text, (name, value)| text.replace(&format!(":{name}"), value));
        self.write(name, &text)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(format!("{name}.sql"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// Replaces parameters, the longest numbers first, so that `$1` does not take a part of `$10`.
fn filled(sql: &str, arguments: &[String]) -> String {
    let arguments = arguments.iter().enumerate().rev();
    arguments.fold(without_comments(sql), |text, (at, value)| text.replace(&format!("${}", at + 1), value))
}

fn without_comments(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// One of some values, by the random number: `('{…}'::uuid[])[:k]`. The list is a constant of the plan, so a choice costs nothing.
pub fn one_of<T: std::fmt::Display>(kind: &str, values: impl IntoIterator<Item = T>) -> String {
    format!("({})[{{k}}]", list(kind, values))
}

/// A constant array.
pub fn list<T: std::fmt::Display>(kind: &str, values: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for value in values {
        let comma = if text.is_empty() { "" } else { "," };
        write!(text, "{comma}{value}").expect("a string takes it");
    }
    format!("'{{{text}}}'::{kind}[]")
}

/// The service config.
pub fn scid() -> String {
    format!("'{SCID}'::uuid")
}

/// The keys of sessions as an array.
pub fn sids(sids: &[Uuid]) -> String {
    list("uuid", sids)
}
