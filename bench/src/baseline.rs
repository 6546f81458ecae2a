//! What stands beside the service: the same SQL by pgbench, as scripts.
//!
//! For reads these are the service's own statements with its own arguments, except that one user or one key asks at a time: nothing is
//! gathered. For writes they are the least that any service would have to write. All work on copies of the tables whose keys are
//! computed (`sql/prepare.sql`): a script draws a number, and everything it asks for follows from that.

use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::dataset::SCID;

/// The folder of scripts.
pub struct Scripts<'a> {
    pub folder: &'a Path,
}

impl Scripts<'_> {
    /// Writes a script that draws its numbers first.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn script(&self, name: &str, numbers: &[String], sql: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(format!("{name}.sql"));
        fs::write(&path, text(numbers, sql)).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Writes a statement of the service as a script, with an expression for each of its parameters: `$1` is the first.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn statement(&self, name: &str, numbers: &[String], sql: &str, arguments: &[String]) -> anyhow::Result<PathBuf> {
        self.script(name, numbers, &filled(sql, arguments))
    }
}

fn text(numbers: &[String], sql: &str) -> String {
    let mut text = String::new();
    for number in numbers {
        writeln!(text, "\\set {number}").expect("a string takes it");
    }
    text += without_comments(sql).trim_end().trim_end_matches(';');
    text + ";\n"
}

/// Replaces parameters, the longest numbers first, so that `$1` does not take a part of `$10`.
fn filled(sql: &str, arguments: &[String]) -> String {
    let arguments = arguments.iter().enumerate().rev();
    arguments.fold(without_comments(sql), |text, (at, value)| text.replace(&format!("${}", at + 1), value))
}

/// Comments are left out: pgbench would look for its variables in them.
pub fn without_comments(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// One of a few values, by the number `:at`, which begins at 1. The list is a constant that is copied for every execution: a long one
/// would cost more than the statement.
pub fn one_of<T: Display>(kind: &str, values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    format!("('{{{}}}'::{kind}[])[(:at)::int]", values.join(","))
}

/// The service config.
pub fn scid() -> String {
    format!("'{SCID}'::uuid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_an_expression_for_each_parameter_and_no_comments() {
        let arguments: Vec<String> = (1..=10).map(|n| format!("<{n}>")).collect();
        let sql = "-- Some rows: $1.\nselect *\nfrom t -- not at the start\nwhere a = $1 and b = $10 and c = $2";
        assert_eq!(filled(sql, &arguments), "select *\nfrom t -- not at the start\nwhere a = <1> and b = <10> and c = <2>\n");
    }

    #[test]
    fn a_script_draws_its_numbers_and_ends_with_one_semicolon() {
        let numbers = ["k random(0, 9)".to_owned(), "n :k * 2".to_owned()];
        for sql in ["-- One.\nselect :n", "select :n;\n"] {
            assert_eq!(text(&numbers, sql), "\\set k random(0, 9)\n\\set n :k * 2\nselect :n;\n");
        }
        assert_eq!(text(&[], "\\set tick 7\nselect :tick;\nselect 2;"), "\\set tick 7\nselect :tick;\nselect 2;\n");
    }

    #[test]
    fn a_value_is_chosen_by_its_place() {
        assert_eq!(one_of("bigint", [4_u64, 5]), "('{4,5}'::bigint[])[(:at)::int]");
    }
}
