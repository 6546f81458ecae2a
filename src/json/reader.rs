//! Reading JSON texts (RFC 8259) of bounded depth.

use std::fmt::Write as _;
use std::mem;

use super::{Json, Number, Object, Raw, Text, push_escaped};

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

/// The most names in one object that are compared with each other to see whether one is given twice.
const NAMES: usize = 64;

/// Reads one JSON text.
///
/// `depth` is how many arrays and objects may be open at once. White space around the value is allowed, anything else after it not.
///
/// # Errors
/// Text that is no UTF-8, no JSON (RFC 8259), or nested deeper than `depth`.
pub fn parse(bytes: &[u8], depth: usize) -> Result<Json, SyntaxError> {
    parse_foreign_but(bytes, depth, &Leave::Nothing)
}

/// Reads one JSON text of somebody else, as [`parse`] does, but for what is left as a text. That is spelled as it would be written:
/// without white space, with escapes only where they are needed, and each name once. (An object whose names cannot be told apart at a
/// look is read.)
///
/// # Errors
/// As [`parse`], also for what is left.
pub fn parse_foreign_but(bytes: &[u8], depth: usize, leave: &'static Leave) -> Result<Json, SyntaxError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| SyntaxError { why: "the text is not valid UTF-8", at: error.valid_up_to() })?;
    let spelling = (!matches!(leave, Leave::Nothing)).then(Spelling::default);
    read(Reader { spelling, ..Reader::new(text, depth) }, leave)
}

/// Which objects and arrays of a text are checked but kept as a text ([`Json::Raw`]).
#[derive(Debug)]
pub enum Leave {
    /// None of them.
    Nothing,
    /// This one.
    This,
    /// Some of those in the fields with these names.
    In(&'static [(&'static str, Leave)]),
    /// Some of those in each field.
    InEach(&'static Leave),
}

impl Leave {
    fn in_field(&self, key: &Text) -> &'static Self {
        match self {
            Self::Nothing | Self::This => &Self::Nothing,
            Self::In(fields) => fields.iter().find(|(name, _)| *name == &*key.0).map_or(&Self::Nothing, |(_, inner)| inner),
            Self::InEach(inner) => inner,
        }
    }
}

/// Reads a text that this service wrote itself, but for what is left as it is: the spelling of that must be the one that is written.
///
/// # Errors
/// As [`parse`], also for what is left.
pub fn parse_but(text: &str, leave: &'static Leave) -> Result<Json, SyntaxError> {
    read(Reader::new(text, STORED_DEPTH), leave)
}

fn read(mut reader: Reader<'_>, leave: &'static Leave) -> Result<Json, SyntaxError> {
    reader.skip_space();
    let value = reader.value(leave)?;
    reader.skip_space();
    if reader.at < reader.text.len() { reader.fail("unexpected text after the value") } else { Ok(value) }
}

/// Reads the outermost object or array of a text, and leaves those within it.
pub(super) fn open(raw: &Raw) -> Json {
    const WITHIN: Leave = Leave::InEach(&Leave::This);
    parse_but(&raw.0, &WITHIN).expect("it was checked when it was left")
}

/// Whether two texts that were left mean the same, as far as one look at both of them tells; `None` where fields stand in another order.
pub(super) fn same(one: &Raw, two: &Raw) -> Option<bool> {
    same_value(&mut Reader::new(&one.0, STORED_DEPTH), &mut Reader::new(&two.0, STORED_DEPTH))
}

fn same_value(one: &mut Reader<'_>, two: &mut Reader<'_>) -> Option<bool> {
    match (one.peek()?, two.peek()?) {
        (b'{', b'{') => same_items(one, two, b'}'),
        (b'[', b'[') => same_items(one, two, b']'),
        (b'{' | b'[', _) | (_, b'{' | b'[') => Some(false),
        (first, second) => {
            let (value, other) = (one.passed()?, two.passed()?);
            let is_number = |first| matches!(first, b'-' | b'0'..=b'9');
            let same_number = || is_number(first) && is_number(second) && Number(value.into()) == Number(other.into());
            Some(value == other || same_number())
        }
    }
}

/// The same for what stands between brackets, whose texts have no white space.
fn same_items(one: &mut Reader<'_>, two: &mut Reader<'_>, end: u8) -> Option<bool> {
    one.at += 1;
    two.at += 1;
    let ends = (one.take(end), two.take(end));
    if ends.0 || ends.1 {
        return Some(ends.0 && ends.1);
    }
    loop {
        if end == b'}' && (one.passed()? != two.passed()? || !one.take(b':') || !two.take(b':')) {
            return None;
        }
        if !same_value(one, two)? {
            return Some(false);
        }
        match (one.take(b','), two.take(b',')) {
            (true, true) => {}
            (false, false) => return (one.take(end) && two.take(end)).then_some(true),
            _ => return Some(false),
        }
    }
}

/// Finds the value of a field in the text of an object that this service wrote itself, without reading what stands before it; what
/// stands behind it is not looked at. `None` when the object has no such field.
///
/// # Errors
/// Text that is no JSON object, as far as it is looked at.
pub fn find<'a>(text: &'a str, name: &str) -> Result<Option<&'a str>, SyntaxError> {
    let mut reader = Reader::new(text, STORED_DEPTH);
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
        let start = reader.at;
        reader.pass_string()?;
        let key = &text[start..reader.at];
        reader.skip_space();
        if !reader.take(b':') {
            return reader.fail("expected ':' after a field name");
        }
        reader.skip_space();
        let start = reader.at;
        reader.pass()?;
        let value = &text[start..reader.at];
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
    /// How what is left has to be spelled, where that may not be as it stands there.
    spelling: Option<Spelling<'a>>,
}

/// What is being left, as it would be written.
#[derive(Default)]
struct Spelling<'a> {
    /// It up to `from`, if anything before that differs from the text.
    out: String,
    from: usize,
    /// The names in the objects around the place that is read.
    names: Vec<&'a str>,
    /// Whether a name may stand there twice.
    unsure: bool,
}

impl<'a> Spelling<'a> {
    /// A name of an object, behind those that came since `first`.
    fn name(&mut self, first: usize, name: &'a str) {
        let names = &self.names[first..];
        self.unsure |= names.len() >= NAMES || name.contains('\\') || names.contains(&name);
        if !self.unsure {
            self.names.push(name);
        }
    }
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, depth: usize) -> Self {
        Self { text, at: 0, depth, spelling: None }
    }

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

    fn value(&mut self, leave: &'static Leave) -> Result<Json, SyntaxError> {
        match self.peek() {
            Some(b'{' | b'[') if matches!(leave, Leave::This) => self.left(),
            Some(b'{') => self.nested(|reader| reader.fields(leave)),
            Some(b'[') => self.nested(|reader| reader.items(leave)),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => self.fail("expected a JSON value"),
            None => self.fail("the text ends where a JSON value is expected"),
        }
    }

    /// An object or array that is checked, and kept as a text; an empty one has nothing to be looked at later.
    fn left(&mut self) -> Result<Json, SyntaxError> {
        let start = self.at;
        if let Some(spelling) = &mut self.spelling {
            *spelling = Spelling { from: start, names: mem::take(&mut spelling.names), ..Spelling::default() };
        }
        self.pass()?;
        let text = match &mut self.spelling {
            Some(spelling) if spelling.unsure => {
                spelling.names.clear();
                self.at = start;
                return self.value(&Leave::Nothing);
            }
            Some(spelling) if !spelling.out.is_empty() => {
                spelling.out.push_str(&self.text[spelling.from..self.at]);
                &spelling.out
            }
            _ => &self.text[start..self.at],
        };
        match text {
            "{}" => Ok(Json::object()),
            "[]" => Ok(Json::Array(Vec::new())),
            text => Ok(Json::Raw(Raw(text.into()))),
        }
    }

    /// Goes past a value, checking it.
    fn pass(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            Some(b'{') => self.nested(|reader| reader.pass_each(b'}', true)),
            Some(b'[') => self.nested(|reader| reader.pass_each(b']', false)),
            Some(b'"') => self.pass_string(),
            Some(b'-' | b'0'..=b'9') => self.pass_number(),
            _ => self.value(&Leave::Nothing).map(drop),
        }
    }

    /// The text of a value that is gone past.
    fn passed(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.pass().ok()?;
        Some(&self.text[start..self.at])
    }

    fn pass_each(&mut self, end: u8, with_names: bool) -> Result<(), SyntaxError> {
        let names = self.spelling.as_ref().map_or(0, |spelling| spelling.names.len());
        self.pass_space();
        if self.take(end) {
            return Ok(());
        }
        loop {
            self.pass_space();
            if with_names {
                let start = self.at;
                self.pass_string()?;
                if let Some(spelling) = &mut self.spelling {
                    spelling.name(names, &self.text[start..self.at]);
                }
                self.pass_space();
                if !self.take(b':') {
                    return self.fail("expected ':' after a field name");
                }
                self.pass_space();
            }
            self.pass()?;
            self.pass_space();
            if self.take(end) {
                if let Some(spelling) = &mut self.spelling {
                    spelling.names.truncate(names);
                }
                return Ok(());
            }
            if !self.take(b',') {
                return self.fail("expected ',' or the end of an object or array");
            }
        }
    }

    fn pass_space(&mut self) {
        let start = self.at;
        self.skip_space();
        if self.at > start {
            self.spell(start, "");
        }
    }

    fn pass_string(&mut self) -> Result<(), SyntaxError> {
        if !self.take(b'"') {
            return self.fail("expected a field name in quotes");
        }
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let (start, mut spelled) = (self.at, String::new());
                    self.escape(&mut spelled)?;
                    self.spell(start, &spelled);
                }
                Some(byte) if byte < 0x20 => return self.fail("a control character in a string is not escaped"),
                Some(_) => self.at += 1,
                None => return self.fail("a string is not closed"),
            }
        }
    }

    /// What was passed since `start` is to be spelled like this.
    fn spell(&mut self, start: usize, spelled: &str) {
        if let Some(spelling) = &mut self.spelling
            && self.text[start..self.at] != *spelled
        {
            spelling.out.push_str(&self.text[spelling.from..start]);
            spelling.out.push_str(spelled);
            spelling.from = self.at;
        }
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, SyntaxError>) -> Result<T, SyntaxError> {
        if self.depth == 0 {
            return self.fail("arrays and objects are nested too deeply");
        }
        self.depth -= 1;
        self.at += 1;
        let value = inner(self)?;
        self.depth += 1;
        Ok(value)
    }

    fn fields(&mut self, leave: &'static Leave) -> Result<Json, SyntaxError> {
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
            let value = self.value(leave.in_field(&key))?;
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

    fn items(&mut self, leave: &'static Leave) -> Result<Json, SyntaxError> {
        let within = if let Leave::InEach(within) = leave { within } else { &Leave::Nothing };
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(within)?);
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
        self.pass_number()?;
        Ok(Json::Number(Number(self.text[start..self.at].into())))
    }

    fn pass_number(&mut self) -> Result<(), SyntaxError> {
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
        Ok(())
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
