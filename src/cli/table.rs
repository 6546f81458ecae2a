//! Answers of the service for people and for programs.

use std::io::{self, Write};

use anyhow::Context;

use super::remote::Gathered;
use crate::json::Json;

/// A column: its heading, and what an entry has there.
pub type Column = (&'static str, fn(&Json) -> String);

/// Prints a list: as JSON, or as a table.
pub fn list(gathered: Gathered, columns: &[Column], json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", gathered.into_json()).context("cannot print the answer");
    }
    write!(out, "{}", table(&gathered.items, columns)).context("cannot print the answer")?;
    drop(out);
    if let Some(next) = gathered.next {
        eprintln!("there may be more: --take a larger number, or go on with --continue {next}");
    }
    Ok(())
}

/// An aligned table with its headings; only those when there is nothing.
pub fn table(items: &[Json], columns: &[Column]) -> String {
    let heading: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cells = |item| columns.iter().map(|(_, cell)| cell(item)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(items.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// What stands at a path of an entry: texts without quotes, nothing as `-`. Whatever could move the cursor is left out.
pub fn at(item: &Json, path: &[&str]) -> String {
    let found = path.iter().try_fold(item, |value, name| value.get(name));
    let text = match found {
        None | Some(Json::Null) => "-".to_owned(),
        Some(Json::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Json::Array(items)) => items.iter().map(|item| at(item, &[])).collect::<Vec<_>>().join(","),
        Some(value) => value.as_str().map_or_else(|| value.to_string(), std::borrow::Cow::into_owned),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let items =
            [r#"{"a":{"b":"harbour"},"n":12}"#, r#"{"a":{},"n":[1,"two"]}"#].map(|text| json::parse(text.as_bytes(), 8).unwrap());
        let columns: [Column; 2] = [("NAME", |item| at(item, &["a", "b"])), ("N", |item| at(item, &["n"]))];
        assert_eq!(table(&items, &columns), "NAME     N\nharbour  12\n-        1,two\n");
        assert_eq!(table(&[], &columns), "NAME  N\n");
    }

    #[test]
    fn nothing_in_a_cell_moves_the_cursor() {
        assert_eq!(at(&Json::from("a\u{1b}[2J\nb"), &[]), "a [2J b");
    }
}
