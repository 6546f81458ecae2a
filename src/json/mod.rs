//! JSON as this service has to keep it: numbers in their own spelling, strings that are no valid Unicode, fields in their order.
//!
//! A session's `custom` data belongs to the title and is never interpreted, so it must come back as it went in (W-16, W-17, S-96):
//! integers beyond 2^64, `1e400`, `1.10`, `"\u0000"` and unpaired surrogate escapes are all data. A general JSON value loses the
//! first three or refuses the last, or smuggles numbers through magic object keys; hence a value type, a reader and a writer of our
//! own. What is *not* here: any conversion to and from Rust types by reflection; settings and tokens use serde for that.

mod object;
mod reader;
#[cfg(test)]
mod tests;

use std::borrow::{Borrow, Cow};
use std::fmt::{self, Write as _};
use std::sync::Arc;

pub use object::Object;
pub use reader::{Leave, STORED_DEPTH, SyntaxError, find, parse, parse_but, parse_foreign_but};

/// A JSON value. Two values are equal when they mean the same: numbers by value, objects without regard to order.
#[derive(Debug, Clone)]
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
    /// An object or array that was left as a text ([`parse_but`], [`parse_foreign_but`]). It has fields and items when it is
    /// [opened](Json::opened).
    Raw(Raw),
}

/// The text of an object or array that is not empty, as [`Json::write`] writes it.
#[derive(Debug, Clone)]
pub struct Raw(Arc<str>);

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Number(one), Self::Number(two)) => one == two,
            (Self::String(one), Self::String(two)) => one == two,
            (Self::Array(one), Self::Array(two)) => one == two,
            (Self::Object(one), Self::Object(two)) => one == two,
            (Self::Raw(one), Self::Raw(two)) => {
                one.0 == two.0 || reader::same(one, two).unwrap_or_else(|| reader::open(one) == reader::open(two))
            }
            (Self::Raw(raw), other @ (Self::Array(_) | Self::Object(_)))
            | (other @ (Self::Array(_) | Self::Object(_)), Self::Raw(raw)) => {
                raw.kind() == other.kind() && !other.is_empty() && reader::open(raw) == *other
            }
            _ => false,
        }
    }
}

impl Eq for Json {}

impl Raw {
    /// Whether it is an object, and surely one without a field that is `null`, as a look at the text tells.
    #[must_use]
    pub fn is_object_without_null(&self) -> bool {
        self.0.starts_with('{') && !self.0.contains("null")
    }

    fn kind(&self) -> &'static str {
        if self.0.starts_with('{') { "an object" } else { "an array" }
    }
}

impl Json {
    /// Whether this is an object or array with nothing in it.
    fn is_empty(&self) -> bool {
        match self {
            Self::Object(fields) => fields.is_empty(),
            Self::Array(items) => items.is_empty(),
            _ => false,
        }
    }

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
            Self::Raw(raw) => raw.kind(),
        }
    }

    /// This value with fields and items of its own, if it was left as it stands in a stored text; those within may still be left.
    #[must_use]
    pub fn opened(&self) -> Cow<'_, Self> {
        match self {
            Self::Raw(raw) => Cow::Owned(reader::open(raw)),
            value => Cow::Borrowed(value),
        }
    }

    /// The same in place, for whoever changes a field.
    pub fn open(&mut self) -> &mut Self {
        if let Self::Raw(raw) = self {
            *self = reader::open(raw);
        }
        self
    }

    /// How many bytes the shortest text of this value has.
    #[must_use]
    pub fn text_len(&self) -> usize {
        /// Opening, closing, and what stands between.
        fn around(items: impl ExactSizeIterator<Item = usize>) -> usize {
            2 + items.len().saturating_sub(1) + items.sum::<usize>()
        }
        match self {
            Self::Null | Self::Bool(true) => 4,
            Self::Bool(false) => 5,
            Self::Number(number) => number.0.len(),
            Self::String(text) => text.0.len() + 2,
            Self::Array(items) => around(items.iter().map(Self::text_len)),
            Self::Object(fields) => around(fields.iter().map(|(name, value)| name.0.len() + 3 + value.text_len())),
            Self::Raw(raw) => raw.0.len(),
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
            Self::Raw(raw) => out.push_str(&raw.0),
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
pub struct Text(Arc<str>);

impl Text {
    /// Takes a plain Rust string.
    #[must_use]
    pub fn new(plain: &str) -> Self {
        if !plain.bytes().any(needs_escape) {
            return Self(plain.into());
        }
        let mut out = String::with_capacity(plain.len() + 8);
        escape(plain, &mut out);
        Self(out.into())
    }

    /// The text between the quotes: of a name without escapes, as all of the contract are, the name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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

/// Writes a plain string as JSON, without a value in between.
pub fn write_text(plain: &str, out: &mut String) {
    out.push('"');
    if plain.bytes().any(needs_escape) {
        escape(plain, out);
    } else {
        out.push_str(plain);
    }
    out.push('"');
}

fn escape(plain: &str, out: &mut String) {
    plain.chars().for_each(|c| push_escaped(c, out));
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
pub struct Number(Arc<str>);

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
