//! Reading JSON texts (RFC 8259) of bounded depth.

use std::fmt::Write as _;

use super::{Json, Number, Object, Text, push_escaped};

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

/// Finds the value of a field in the text of an object that this service wrote itself, without reading what stands before it; what
/// stands behind it is not looked at. `None` when the object has no such field.
///
/// # Errors
/// Text that is no JSON object, as far as it is looked at: of values that are passed over that is little more than their brackets.
pub fn find<'a>(text: &'a str, name: &str) -> Result<Option<&'a str>, SyntaxError> {
    let mut reader = Reader { text, at: 0, depth: STORED_DEPTH };
    reader.skip_space();
    if !reader.take(b'{') {
        return reader.fail("expected an object");
    }
    reader.skip_space();
    if reader.take(b'}') {
        return Ok(None);
    }
    loop {
        reader.skip_space();
        if reader.peek() != Some(b'"') {
            return reader.fail("expected a field name in quotes");
        }
        let key = reader.pass()?;
        reader.skip_space();
        if !reader.take(b':') {
            return reader.fail("expected ':' after a field name");
        }
        reader.skip_space();
        let value = reader.pass()?;
        if &key[1..key.len() - 1] == name {
            return Ok(Some(value));
        }
        reader.skip_space();
        if reader.take(b'}') {
            return Ok(None);
        }
        if !reader.take(b',') {
            return reader.fail("expected ',' or '}' in an object");
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Passes over a value and returns its text.
    fn pass(&mut self) -> Result<&'a str, SyntaxError> {
        let (start, mut open) = (self.at, 0_usize);
        loop {
            match self.peek() {
                Some(b'"') => self.pass_string()?,
                Some(b'{' | b'[') => {
                    self.at += 1;
                    open += 1;
                }
                Some(b'}' | b']') if open > 0 => {
                    self.at += 1;
                    open -= 1;
                }
                Some(b',' | b':' | b' ' | b'\n' | b'\r' | b'\t') if open > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(b'-' | b'0'..=b'9' | b'a'..=b'z') => {
                    while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')) {
                        self.at += 1;
                    }
                }
                Some(_) => return self.fail("expected a JSON value"),
                None => return self.fail("the text ends where a JSON value is expected"),
            }
            if open == 0 {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    fn pass_string(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
                Some(plain) if rest[plain] == b'"' => {
                    self.at += plain + 1;
                    return Ok(());
                }
                // Whatever is escaped does not end the string.
                Some(plain) => self.at = (self.at + plain + 2).min(self.text.len()),
                None => return self.fail("a string is not closed"),
            }
        }
    }
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
