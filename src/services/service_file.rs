//! `service.toml`: what there is to say about a service config beside its templates.

use std::path::Path;

use toml::{Table, Value};

use super::finding::{Finding, Position};
use crate::domain::names::TitleId;

/// The one key.
const TITLES: &str = "titles";

/// Reads the title ids that may use a service config, numbers or decimal texts; none at all means any title.
///
/// Tells every mistake to `report`. `None` when there is one: a service config that cannot be read must not be open to everybody.
pub fn read_titles(path: &Path, text: &[u8], report: &mut Vec<Finding>) -> Option<Vec<u32>> {
    let known = report.len();
    let mut refuse = |finding| report.push(finding);
    let mut titles = Vec::new();
    for (key, value) in read_table(path, text, &mut refuse)? {
        if key != TITLES {
            refuse(Finding::fatal(path, "there is no such key, only titles").at(key));
            continue;
        }
        let Value::Array(items) = value else {
            refuse(
                Finding::fatal(path, format!("a list of title ids is expected, but this is of type {}", value.type_str()))
                    .at(key),
            );
            continue;
        };
        for (index, item) in items.iter().enumerate() {
            match title(item) {
                Some(title) => titles.push(title),
                None => refuse(
                    Finding::fatal(path, "a title id is an unsigned 32-bit decimal (S-04)").at(format!("{TITLES}[{index}]")),
                ),
            }
        }
    }
    titles.sort_unstable();
    titles.dedup();
    (report.len() == known).then_some(titles)
}

fn read_table(path: &Path, text: &[u8], refuse: &mut impl FnMut(Finding)) -> Option<Table> {
    let (why, byte) = match std::str::from_utf8(text) {
        Err(error) => ("the text is not valid UTF-8".to_owned(), error.valid_up_to()),
        Ok(text) => match text.parse::<Table>() {
            Ok(table) => return Some(table),
            Err(error) => (error.message().to_owned(), error.span().map_or(0, |span| span.start)),
        },
    };
    refuse(Finding::fatal(path, format!("is no TOML: {why}")).on(Position::of(text, byte)));
    None
}

fn title(value: &Value) -> Option<u32> {
    match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::String(text) => TitleId::parse(text).ok().map(|title| title.0),
        _ => None,
    }
}
