//! In which order search results come (H-76).

use super::Scalar;
use super::cursor::Cursor;
use super::parse::{Path, read_path};

/// What `orderBy` asks for. Results without the attribute come last, whichever way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: OrderBy,
    /// The largest first.
    pub descending: bool,
}

/// What results can be ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderBy {
    /// When the handle was made.
    Posted,
    /// An attribute.
    Scalar(Scalar),
}

impl Order {
    /// Reads `"{attribute} asc"` or `desc`, in any case.
    ///
    /// Never fails: no text is the oldest first, `suggestedLfg` the newest first, and an unknown attribute stands for `Timestamp`.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let (attribute, descending) = split(text.unwrap_or_default().trim());
        if attribute.eq_ignore_ascii_case("suggestedLfg") {
            return Self { by: OrderBy::Posted, descending: true };
        }
        // `Timestamp` and `postedTime` alone are no paths of the filter, and so mean the same as all that is unknown.
        let by = match read_scalar(attribute) {
            None | Some(Scalar::PostedTime) => OrderBy::Posted,
            Some(scalar) => OrderBy::Scalar(scalar),
        };
        Self { by, descending }
    }
}

/// The attribute, and whether a last word asks for descending order.
fn split(text: &str) -> (&str, bool) {
    let Some((attribute, word)) = text.rsplit_once(char::is_whitespace) else { return (text, false) };
    let attribute = attribute.trim_end();
    // Behind a slash the word is a name: whitespace is free there (H-81).
    let is = |known: &str| word.eq_ignore_ascii_case(known) && !attribute.ends_with('/');
    if is("asc") || is("desc") { (attribute, is("desc")) } else { (text, false) }
}

fn read_scalar(attribute: &str) -> Option<Scalar> {
    let mut cursor = Cursor::new(attribute);
    match read_path(&mut cursor) {
        Ok(Path::Scalar(scalar)) if cursor.is_at_end() => Some(scalar),
        _ => None,
    }
}
