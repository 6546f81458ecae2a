//! The letters of a filter: words, names and literals, one after the other, and where each begins.

use super::{Literal, Malformed};

/// As much of a word as a message shows.
pub(super) fn shortened(word: &str) -> &str {
    word.char_indices().nth(40).map_or(word, |(end, _)| &word[..end])
}

/// A place in a text. Whitespace before whatever is read next is passed over (H-81).
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    /// In bytes, always between two characters.
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_whitespace(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The next character that is not whitespace.
    fn peek(&mut self) -> Option<char> {
        self.skip_whitespace();
        self.rest().chars().next()
    }

    /// Whether nothing but whitespace is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Takes this character, if it is the next.
    pub(super) fn takes(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// Takes this character.
    pub(super) fn take(&mut self, wanted: char) -> Result<(), Malformed> {
        if self.takes(wanted) { Ok(()) } else { Err(self.expected(format!("`{wanted}`"))) }
    }

    /// The next word, without taking it; empty if something else comes next.
    pub(super) fn peek_word(&mut self) -> &'t str {
        self.skip_whitespace();
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return "";
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    }

    /// Takes the next word; empty if something else comes next.
    pub(super) fn word(&mut self) -> &'t str {
        let word = self.peek_word();
        self.at += word.len();
        word
    }

    /// Takes this word in any case, if it is the next.
    pub(super) fn takes_word(&mut self, wanted: &str) -> bool {
        let word = self.peek_word();
        let found = word.eq_ignore_ascii_case(wanted);
        if found {
            self.at += word.len();
        }
        found
    }

    /// The next word if a parenthesis follows it, without taking them; otherwise empty.
    pub(super) fn peek_function(mut self) -> &'t str {
        let word = self.word();
        if self.takes('(') { word } else { "" }
    }

    /// Takes a slash and the name behind it: whatever stands between whitespace, slashes, parentheses, commas and quotes.
    pub(super) fn name(&mut self, what: &str) -> Result<&'t str, Malformed> {
        self.take('/')?;
        self.skip_whitespace();
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '(' | ')' | ',' | '\'');
        let end = rest.find(ends).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected(what));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    /// Takes a literal as it is written: a text, a number, or `true` or `false`.
    pub(super) fn literal(&mut self) -> Result<Literal, Malformed> {
        match self.peek() {
            Some('\'') => self.quoted().map(Literal::Text),
            Some('0'..='9' | '-' | '+') => self.number().map(Literal::Number),
            _ if self.takes_word("true") => Ok(Literal::Truth(true)),
            _ if self.takes_word("false") => Ok(Literal::Truth(false)),
            _ => Err(self.expected("a literal ('text', number, true or false)")),
        }
    }

    /// Takes a text in quotes.
    pub(super) fn quoted(&mut self) -> Result<String, Malformed> {
        let start = *self;
        self.take('\'').map_err(|_| start.expected("a text in quotes"))?;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find(['\'', '\0']) else {
                return Err(start.says("expected a quote that closes the text beginning here, found the end"));
            };
            text.push_str(&rest[..end]);
            self.at += end;
            if rest[end..].starts_with('\0') {
                return Err(self.says("expected a character that texts can have, found U+0000"));
            }
            self.at += 1;
            if !rest[end..].starts_with("''") {
                return Ok(text);
            }
            text.push('\'');
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<f64, Malformed> {
        let start = *self;
        let digits = |from: &'t str| from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let rest = self.rest();
        let mut end = usize::from(rest.starts_with(['+', '-']));
        let whole = digits(&rest[end..]);
        end += whole;
        if let Some(fraction) = rest[end..].strip_prefix('.').map(digits).filter(|count| *count > 0) {
            end += 1 + fraction;
        }
        if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let count = digits(&exponent[sign..]);
            end += if count > 0 { 1 + sign + count } else { 0 };
        }
        let ends = !rest[end..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
        self.at += end;
        match rest[..end].parse::<f64>() {
            Ok(number) if whole > 0 && ends && number.is_finite() => Ok(number + 0.0),
            Ok(number) if whole > 0 && ends && number.is_infinite() => {
                Err(start.says(format!("expected a number up to {:e}, found a larger one", f64::MAX)))
            }
            _ => Err(start.says("expected a number such as 12, -0.5 or 1e3, found something like one")),
        }
    }

    /// That something else was expected here, and what is found instead.
    pub(super) fn expected(mut self, what: impl AsRef<str>) -> Malformed {
        let is_number = |rest: &str| rest.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit());
        let found = match (self.peek(), self.peek_word()) {
            (None, _) => "the end".to_owned(),
            (Some('\''), _) => "a text".to_owned(),
            (Some(_), "") if is_number(self.rest()) => "a number".to_owned(),
            (Some(other), "") => format!("`{}`", other.escape_debug()),
            (Some(_), word) => format!("`{}`", shortened(word)),
        };
        self.says(format!("expected {}, found {found}", what.as_ref()))
    }

    /// That something is wrong here.
    pub(super) fn says(mut self, why: impl Into<String>) -> Malformed {
        self.skip_whitespace();
        Malformed { position: self.text[..self.at].chars().count() + 1, why: why.into() }
    }
}
