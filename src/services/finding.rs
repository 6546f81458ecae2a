//! What there is to say about a file: where, what and how grave.

use std::fmt;
use std::path::{Path, PathBuf};

/// Something about a services folder that its owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder it is about.
    pub path: PathBuf,
    /// Where in the text, as far as it is known.
    pub position: Option<Position>,
    /// The path of the field, such as `constants.system.visibility`; empty when it is about the whole file.
    pub at: String,
    /// What about it, with the rule.
    pub why: String,
    /// Whether something is left out because of it.
    pub fatal: bool,
}

/// A place in a text, as editors count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Finding {
    /// A mistake: what it is about is left out.
    pub(super) fn fatal(path: &Path, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), position: None, at: String::new(), why: why.into(), fatal: true }
    }

    /// Something odd without consequences.
    pub(super) fn remark(path: &Path, why: impl Into<String>) -> Self {
        Self { fatal: false, ..Self::fatal(path, why) }
    }

    /// The same, about one field of the file.
    pub(super) fn at(self, at: impl Into<String>) -> Self {
        Self { at: at.into(), ..self }
    }

    /// The same, about one place in the file's text.
    pub(super) fn on(self, position: Position) -> Self {
        Self { position: Some(position), ..self }
    }
}

impl Position {
    /// The place of a byte in a text, which need not be valid UTF-8 from there on.
    pub(super) fn of(text: &[u8], byte: usize) -> Self {
        let lines = text[..byte.min(text.len())].split(|byte| *byte == b'\n');
        let last = lines.clone().next_back().unwrap_or_default();
        Self { line: lines.count(), column: String::from_utf8_lossy(last).chars().count() + 1 }
    }
}

impl fmt::Display for Finding {
    /// `PATH:LINE:COLUMN: FIELD: WHY`, without the parts that are not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.at.is_empty() {
            write!(f, ": {}", self.at)?;
        }
        write!(f, ": {}", self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        for (text, byte, line, column) in
            [("", 0, 1, 1), ("ab", 1, 1, 2), ("a\nb", 2, 2, 1), ("é\n\näö", 6, 3, 2), ("a", 9, 1, 2)]
        {
            assert_eq!(Position::of(text.as_bytes(), byte), Position { line, column }, "{text:?} {byte}");
        }
        assert_eq!(Position::of(b"a\n\xffb", 2), Position { line: 2, column: 1 });
    }

    #[test]
    fn findings_read_like_a_compilers() {
        let finding = Finding::fatal(Path::new("s/Lobby.json"), "odd (T-01)");
        assert_eq!(finding.to_string(), "s/Lobby.json: odd (T-01)");
        let finding = finding.at("constants").on(Position { line: 3, column: 4 });
        assert_eq!(finding.to_string(), "s/Lobby.json:3:4: constants: odd (T-01)");
    }
}
