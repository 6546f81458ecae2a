//! JSON as this service has to keep it: numbers in their own spelling, strings that are no valid Unicode, fields in their order.
//!
//! A session's `custom` data belongs to the title and is never interpreted, so it must come back as it went in (W-16, W-17, S-96):
//! integers beyond 2^64, `1e400`, `1.10`, `"\u0000"` and unpaired surrogate escapes are all data. A general JSON value loses the
//! first three or refuses the last, or smuggles numbers through magic object keys; hence a value type, a reader and a writer of our
//! own. What is *not* here: any conversion to and from Rust types by reflection; settings and tokens use serde for that.

use std::borrow::{Borrow, Cow};
use std::fmt::{self, Write as _};

use indexmap::IndexMap;

/// A JSON value. Two values are equal when they mean the same: numbers by value, objects without regard to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number, in its spelling.
    Number(Number),
    /// A string.
    String(Text),
    /// An array.
    Array(Vec<Json>),
    /// An object, its fields in the order they were first given.
    Object(Object),
}

/// The fields of a JSON object in their order; of duplicate keys the last one wins (W-03).
pub type Object = IndexMap<Text, Json>;

impl Json {
    /// An empty object.
    #[must_use]
    pub fn object() -> Self {
        Self::Object(Object::new())
    }

    /// The fields, if this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }

    /// The items, if this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The text, if this is a string of valid Unicode.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        if let Self::String(text) = self { text.decode() } else { None }
    }

    /// The truth value, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, if this is a whole one from 0 to 2^64 - 1; `3.0` and `30e-1` are 3.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Number(number) = self { number.as_u64() } else { None }
    }

    /// The field of an object; `None` for an absent field and for anything that is no object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object().and_then(|fields| fields.get(key))
    }

    /// What kind of value this is, for messages: `an object`, `a number` …
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Appends the shortest text of this value.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => out.push_str(&number.0),
            Self::String(text) => text.write(out),
            Self::Array(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => write_object(fields, out),
        }
    }
}

/// Appends the shortest text of an object.
pub fn write_object(fields: &Object, out: &mut String) {
    out.push('{');
    for (n, (key, value)) in fields.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        key.write(out);
        out.push(':');
        value.write(out);
    }
    out.push('}');
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(Number(value.to_string().into()))
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        u64::from(value).into()
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::String(Text::new(value))
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::String(Text::new(&value))
    }
}

impl From<Object> for Json {
    fn from(fields: Object) -> Self {
        Self::Object(fields)
    }
}

impl<T: Into<Json>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

/// A string of JSON, kept as the text between its quotes.
///
/// Escapes are in one canonical form (`\"`, `\\`, `\n` and its like, `\u00XX` for other control characters, `\udXXX` for unpaired
/// surrogates, everything else as it is), so equal strings have equal bytes and most need no decoding at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Box<str>);

impl Text {
    /// Takes a plain Rust string.
    #[must_use]
    pub fn new(plain: &str) -> Self {
        if !plain.bytes().any(needs_escape) {
            return Self(plain.into());
        }
        let mut out = String::with_capacity(plain.len() + 8);
        for c in plain.chars() {
            push_escaped(c, &mut out);
        }
        Self(out.into())
    }

    /// The plain string; `None` when it holds an unpaired surrogate.
    #[must_use]
    pub fn decode(&self) -> Option<Cow<'_, str>> {
        if !self.0.contains('\\') {
            return Some(Cow::Borrowed(&self.0));
        }
        let mut out = String::with_capacity(self.0.len());
        let mut rest = &*self.0;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let escape = rest.as_bytes()[at + 1];
            let mut width = 2;
            out.push(match escape {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    width = 6;
                    char::from_u32(u32::from_str_radix(&rest[at + 2..at + 6], 16).expect("canonical text has four digits"))?
                }
                other => char::from(other),
            });
            rest = &rest[at + width..];
        }
        out.push_str(rest);
        Some(Cow::Owned(out))
    }

    fn write(&self, out: &mut String) {
        out.push('"');
        out.push_str(&self.0);
        out.push('"');
    }
}

/// Lets an object be asked for a field by a plain name that needs no escape, as all names of the contract are.
impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(plain: &str) -> Self {
        Self::new(plain)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn push_escaped(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c < ' ' => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// A JSON number in the spelling it was given in.
///
/// Numbers compare by sign, digits and exponent and are never expanded: `1e999999999` is legal data.
#[derive(Debug, Clone)]
pub struct Number(Box<str>);

/// Sign, significant digits without zeros at either end, and the exponent of the last digit.
type Normal<'a> = (bool, Cow<'a, str>, i64);

impl Number {
    /// The spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest double; infinite when there is none near.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// The value, if it is a whole number from 0 to 2^64 - 1.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if self.0.len() <= 20 && self.0.bytes().all(|b| b.is_ascii_digit()) {
            return self.0.parse().ok();
        }
        let (negative, digits, exponent) = self.normal()?;
        if digits.is_empty() {
            return Some(0);
        }
        if negative || !(0..20).contains(&exponent) {
            return None;
        }
        digits.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(u32::try_from(exponent).ok()?)?)
    }

    /// `None` when the exponent itself is beyond all measure.
    fn normal(&self) -> Option<Normal<'_>> {
        let (negative, rest) = self.0.strip_prefix('-').map_or((false, &*self.0), |rest| (true, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = if fraction.is_empty() { Cow::Borrowed(whole) } else { Cow::Owned(format!("{whole}{fraction}")) };
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some((false, Cow::Borrowed(""), 0));
        }
        let trailing = i64::try_from(digits.len() - digits.trim_end_matches('0').len()).ok()?;
        let fraction = i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.parse::<i64>().ok()?.checked_sub(fraction)?.checked_add(trailing)?;
        Some((negative, Cow::Owned(significant.to_owned()), exponent))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
            || match (self.normal(), other.normal()) {
                (Some(one), Some(two)) => one == two,
                _ => false,
            }
    }
}

impl Eq for Number {}

/// What is wrong with a JSON text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why} at byte {at}")]
pub struct SyntaxError {
    /// What was expected or found.
    pub why: &'static str,
    /// The offset in bytes from the start of the text.
    pub at: usize,
}

/// How deep arrays and objects may nest when nothing else is said; deep enough for anything this service wrote itself.
pub const STORED_DEPTH: usize = 512;

/// Reads one JSON text.
///
/// `depth` is how many arrays and objects may be open at once. White space around the value is allowed, anything else after it not.
///
/// # Errors
/// Text that is no UTF-8, no JSON (RFC 8259), or nested deeper than `depth`.
pub fn parse(bytes: &[u8], depth: usize) -> Result<Json, SyntaxError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| SyntaxError { why: "the text is not valid UTF-8", at: error.valid_up_to() })?;
    let mut reader = Reader { text, at: 0, depth };
    reader.skip_space();
    let value = reader.value()?;
    reader.skip_space();
    if reader.at < text.len() { reader.fail("unexpected text after the value") } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn fail<T>(&self, why: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { why, at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, SyntaxError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            self.fail("expected a JSON value")
        }
    }

    fn value(&mut self) -> Result<Json, SyntaxError> {
        match self.peek() {
            Some(b'{') => self.nested(Self::fields),
            Some(b'[') => self.nested(Self::items),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => self.fail("expected a JSON value"),
            None => self.fail("the text ends where a JSON value is expected"),
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Json, SyntaxError>) -> Result<Json, SyntaxError> {
        if self.depth == 0 {
            return self.fail("arrays and objects are nested too deeply");
        }
        self.depth -= 1;
        self.at += 1;
        let value = inner(self)?;
        self.depth += 1;
        Ok(value)
    }

    fn fields(&mut self) -> Result<Json, SyntaxError> {
        let mut fields = Object::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Json::Object(fields));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.fail("expected a field name in quotes");
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return self.fail("expected ':' after a field name");
            }
            self.skip_space();
            let value = self.value()?;
            fields.insert(key, value);
            self.skip_space();
            if self.take(b'}') {
                return Ok(Json::Object(fields));
            }
            if !self.take(b',') {
                return self.fail("expected ',' or '}' in an object");
            }
        }
    }

    fn items(&mut self) -> Result<Json, SyntaxError> {
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value()?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return self.fail("expected ',' or ']' in an array");
            }
        }
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.fail("expected a digit") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Json, SyntaxError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        } else if matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.fail("a number has a leading zero");
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Json::Number(Number(self.text[start..self.at].into())))
    }

    fn string(&mut self) -> Result<Text, SyntaxError> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = Text(self.text[start..self.at].into());
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => return self.string_with_escapes(start),
                Some(byte) if byte < 0x20 => return self.fail("a control character in a string is not escaped"),
                Some(_) => self.at += 1,
                None => return self.fail("a string is not closed"),
            }
        }
    }

    fn string_with_escapes(&mut self, start: usize) -> Result<Text, SyntaxError> {
        let mut out = String::from(&self.text[start..self.at]);
        let mut plain = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    out.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    return Ok(Text(out.into()));
                }
                Some(b'\\') => {
                    out.push_str(&self.text[plain..self.at]);
                    self.escape(&mut out)?;
                    plain = self.at;
                }
                Some(byte) if byte < 0x20 => return self.fail("a control character in a string is not escaped"),
                Some(_) => self.at += 1,
                None => return self.fail("a string is not closed"),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), SyntaxError> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(out);
            }
            _ => return self.fail("unknown escape in a string"),
        };
        self.at += 1;
        push_escaped(c, out);
        Ok(())
    }

    fn unicode(&mut self, out: &mut String) -> Result<(), SyntaxError> {
        let unit = self.hex()?;
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let scalar = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                out.push(char::from_u32(scalar).expect("a surrogate pair is a scalar value"));
                return Ok(());
            }
            self.at = back;
        }
        match char::from_u32(unit) {
            Some(c) => push_escaped(c, out),
            None => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, SyntaxError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).filter(|four| four.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return self.fail("expected four hexadecimal digits") };
        let unit = digits.iter().fold(0, |sum, digit| sum * 16 + char::from(*digit).to_digit(16).unwrap_or(0));
        self.at += 4;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Json {
        parse(text.as_bytes(), 32).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn w16_numbers_keep_their_spelling() {
        for text in ["18446744073709551616", "1.10", "1e400", "-0.0", "1E+5", "[0.1,12345678901234567890123]"] {
            assert_eq!(read(text).to_string(), text);
        }
    }

    #[test]
    fn numbers_compare_by_value_and_are_never_expanded() {
        for (one, two) in [("1", "1.0"), ("10", "1e1"), ("0", "-0.0e7"), ("1e999999999", "10e999999998"), ("120", "1.2E+2")] {
            assert_eq!(read(one), read(two), "{one} {two}");
        }
        for (one, two) in [("1", "-1"), ("1", "10"), ("1e999999999", "1e999999998"), ("1e99999999999999999999", "1")] {
            assert_ne!(read(one), read(two), "{one} {two}");
        }
        assert_eq!(read("30e-1").as_u64(), Some(3));
        assert_eq!(read("18446744073709551615").as_u64(), Some(u64::MAX));
        for none in ["18446744073709551616", "-1", "1.5", "1e30", "true", "1e999999999999999999999"] {
            assert_eq!(read(none).as_u64(), None, "{none}");
        }
    }

    #[test]
    fn s96_strings_that_are_no_text_come_back_as_written() {
        for text in [r#""\u0000""#, r#""\ud800""#, r#""a\udfffb""#, r#"{"\ud800":1}"#, r#""\ud800\ud800""#, r#""\ud800A""#] {
            assert_eq!(read(text).to_string(), text);
        }
        assert_eq!(read(r#""\uD83D\uDE00\u0041\/""#).to_string(), "\"😀A/\"");
        assert_eq!(read(r#""\ud800""#).as_str(), None);
        assert_eq!(read(r#""tab\tquote\"""#).as_str().as_deref(), Some("tab\tquote\""));
        assert_eq!(Json::from("a\n\u{1}\\\"").as_str().as_deref(), Some("a\n\u{1}\\\""));
    }

    #[test]
    fn w17_order_is_kept_and_not_compared() {
        let value = read(r#"{"b":1,"a":{"y":2,"x":3}}"#);
        assert_eq!(value.to_string(), r#"{"b":1,"a":{"y":2,"x":3}}"#);
        assert_eq!(value, read(r#"{"a":{"x":3,"y":2},"b":1}"#));
        assert_ne!(read("[1,2]"), read("[2,1]"));
    }

    #[test]
    fn w03_of_duplicate_keys_the_last_wins() {
        assert_eq!(read(r#"{"a":1,"b":2,"a":3}"#).to_string(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn syntax_errors_say_what_and_where() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("{\"a\"}", 4),
            ("[1,]", 3),
            ("01", 1),
            ("1.", 2),
            ("\"\\x\"", 2),
            ("\"a", 2),
            ("{} x", 3),
            ("nul", 0),
            ("\"\\u12\"", 3),
            ("-", 1),
            ("\"\n\"", 1),
        ] {
            assert_eq!(parse(text.as_bytes(), 32).map_err(|error| error.at), Err(at), "{text}");
        }
        assert_eq!(parse(b"\"\xff\"", 32).unwrap_err().why, "the text is not valid UTF-8");
    }

    #[test]
    fn s95_depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(32).as_bytes(), 32).is_ok());
        assert!(parse(nested(33).as_bytes(), 32).is_err());
        assert!(parse("[".repeat(1_000_000).as_bytes(), 32).is_err());
    }
}
