//! The grammar of filters, by recursive descent: a function per rule of handles.md, which reads that rule and nothing else.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike as _, Utc};

use super::cursor::{Cursor, shortened};
use super::{Filter, Grammar, Kind, LISTS, List, Literal, Malformed, Operator, Predicate, RoleNumber, SCALARS, Scalar};
use crate::domain::limits::{MAX_FILTER, MAX_FILTER_DEPTH, MAX_FILTER_TESTS};

/// Ends a message about something that the other grammar has.
const ELSEWHERE: &str = "\"grammar\": \"extended\" allows it";

/// Numbers of a title may come as texts (H-89).
const DECIMAL: &str = "a number or a quoted decimal number";
const TIMESTAMP: &str = "a quoted timestamp such as '2026-03-01T12:00:00Z'";
const OPERATORS: &str = "an operator (eq, ne, gt, ge, lt, le)";

/// Reads a filter. None: the text is empty, and everything is kept.
///
/// # Errors
/// When the text is no filter of this grammar, or a larger one than the limits allow.
pub fn parse(text: &str, grammar: Grammar) -> Result<Option<Filter>, Malformed> {
    let length = text.chars().count();
    if length > MAX_FILTER {
        let why = format!("expected at most {MAX_FILTER} characters, found {length}");
        return Err(Malformed { position: MAX_FILTER + 1, why });
    }
    let mut parser = Parser { cursor: Cursor::new(text), grammar, tests: 0, depth: 0 };
    if parser.cursor.is_at_end() {
        return Ok(None);
    }
    let filter = parser.disjunction()?;
    if parser.cursor.is_at_end() { Ok(Some(filter)) } else { Err(parser.cursor.expected("`and`, `or` or the end")) }
}

/// What a path leads to.
pub(super) enum Path {
    Scalar(Scalar),
    List(List),
}

/// Reads a path (H-81, H-86).
pub(super) fn read_path(cursor: &mut Cursor<'_>) -> Result<Path, Malformed> {
    let start = *cursor;
    let mut path = cursor.word().to_owned();
    match path.to_ascii_lowercase().as_str() {
        "" => return Err(start.expected("a path")),
        "string" | "strings" => return Ok(Path::Scalar(Scalar::Text(cursor.name("a name")?.to_lowercase()))),
        "number" | "numbers" => return Ok(Path::Scalar(Scalar::Number(cursor.name("a name")?.to_lowercase()))),
        "session" => {
            let name = cursor.name("an attribute of the session")?;
            if name.eq_ignore_ascii_case("roles") {
                return read_role(cursor).map(Path::Scalar);
            }
            let _ = write!(path, "/{name}");
        }
        _ => {}
    }
    let scalar = SCALARS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&path));
    let list = LISTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&path));
    match (scalar, list) {
        (Some((_, scalar)), _) => Ok(Path::Scalar(scalar.clone())),
        (None, Some((_, list))) => Ok(Path::List(*list)),
        (None, None) => {
            let path = shortened(&path);
            Err(start.says(format!("expected a path such as tags, strings/…, numbers/… or session/…, found `{path}`")))
        }
    }
}

/// Reads what stands behind `session/roles` (H-88).
fn read_role(cursor: &mut Cursor<'_>) -> Result<Scalar, Malformed> {
    let role_type = cursor.name("a role type")?.to_lowercase();
    let role = cursor.name("a role")?.to_lowercase();
    let mut start = *cursor;
    let word = cursor.name("count, target or needs")?;
    let number = RoleNumber::ALL.into_iter().find(|number| number.as_str().eq_ignore_ascii_case(word));
    number.map(|number| Scalar::Role { role_type, role, number }).ok_or_else(|| {
        start.takes('/');
        start.expected("count, target or needs")
    })
}

impl Path {
    /// What values it has.
    fn kind(&self) -> Kind {
        match self {
            Self::Scalar(scalar) => scalar.kind(),
            Self::List(_) => Kind::Text,
        }
    }

    /// Whether case makes no difference, so that literals are taken in lower case (S-05, Q-10).
    fn is_without_case(&self) -> bool {
        matches!(self, Self::Scalar(Scalar::Scid | Scalar::TemplateName) | Self::List(List::Keywords))
    }

    /// Whether titles choose the values, so that a literal of another type is no mistake but matches nothing (H-84).
    fn is_free(&self) -> bool {
        matches!(self, Self::Scalar(Scalar::Text(_) | Scalar::Number(_)))
    }

    /// A text as this attribute is compared to it.
    fn text(&self, text: String) -> String {
        if self.is_without_case() { text.to_lowercase() } else { text }
    }

    /// A literal as this attribute is compared to it, or what would be one.
    fn literal(&self, literal: Literal) -> Result<Literal, &'static str> {
        match (self.kind(), literal) {
            (Kind::Text, Literal::Text(text)) => Ok(Literal::Text(self.text(text))),
            (Kind::Number, Literal::Number(number)) => Ok(Literal::Number(number)),
            (Kind::Number, Literal::Text(text)) if matches!(self, Self::Scalar(Scalar::TitleId)) => {
                read_decimal(&text).map(Literal::Number).ok_or(DECIMAL)
            }
            (Kind::Instant, Literal::Text(text)) => read_instant(&text).map(Literal::Instant).ok_or(TIMESTAMP),
            (_, literal) if self.is_free() => Ok(literal),
            (Kind::Text, _) => Err("a text in quotes"),
            (Kind::Number, _) => Err("a number"),
            (Kind::Instant, _) => Err(TIMESTAMP),
        }
    }
}

/// A number in decimal digits, and nothing else (H-89).
fn read_decimal(text: &str) -> Option<f64> {
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number: &f64| is_decimal && number.is_finite())
}

/// An instant to the microsecond, which is how finely instants are kept.
fn read_instant(text: &str) -> Option<DateTime<Utc>> {
    let instant = DateTime::parse_from_rfc3339(text).ok()?;
    // An offset may lead out of the years that RFC 3339 can name.
    DateTime::from_timestamp_micros(instant.timestamp_micros()).filter(|instant| (0..=9999).contains(&instant.year()))
}

/// What makes a predicate of the text that is searched for.
type Search = fn(String) -> Predicate;

struct Parser<'t> {
    cursor: Cursor<'t>,
    grammar: Grammar,
    /// How many tests there were so far.
    tests: usize,
    /// In how many parentheses and `not`s the cursor is.
    depth: usize,
}

impl<'t> Parser<'t> {
    /// `filter`, which the extended grammar has in parentheses as well.
    fn disjunction(&mut self) -> Result<Filter, Malformed> {
        let mut parts = vec![self.conjunction()?];
        loop {
            let before = self.cursor;
            if !self.cursor.takes_word("or") {
                return Ok(Filter::any(parts));
            }
            if self.depth > 0 {
                self.extended(before, "`and` or `)` (an `or` stands outside of parentheses)")?;
            } else if parts.len() > 1 {
                self.extended(before, "`and` or the end (there is one `or` at most)")?;
            }
            parts.push(self.conjunction()?);
        }
    }

    /// `conj`
    fn conjunction(&mut self) -> Result<Filter, Malformed> {
        let mut parts = vec![self.term()?];
        while self.cursor.takes_word("and") {
            parts.push(self.term()?);
        }
        Ok(Filter::all(parts))
    }

    /// `term`, which may be negated in the extended grammar.
    fn term(&mut self) -> Result<Filter, Malformed> {
        let start = self.cursor;
        if self.cursor.takes('(') {
            let inner = self.nested(start, Self::disjunction)?;
            return if self.cursor.takes(')') { Ok(inner) } else { Err(self.cursor.expected("`and`, `or` or `)`")) };
        }
        if self.cursor.takes_word("not") {
            self.extended(start, "a test or `(`")?;
            return self.nested(start, Self::term).map(Filter::not);
        }
        if self.cursor.peek_function().is_empty() {
            return match read_path(&mut self.cursor)? {
                Path::List(list) => self.lambda(list),
                Path::Scalar(scalar) => self.comparison(scalar),
            };
        }
        if let Some(search) = self.takes_search()? {
            let before = self.cursor;
            let scalar = self.operand()?;
            if scalar.kind() != Kind::Text {
                return Err(before.expected("a path of texts (only those are searched)"));
            }
            let predicate = self.search(search, &Path::Scalar(scalar.clone()))?;
            return Ok(Filter::Scalar(scalar, predicate));
        }
        let scalar = self.operand()?;
        self.comparison(scalar)
    }

    /// `operand`: the path of a scalar, by itself or in `tolower(…)`, which makes no difference (H-82).
    fn operand(&mut self) -> Result<Scalar, Malformed> {
        let function = self.cursor.peek_function();
        let lowered = function.eq_ignore_ascii_case("tolower");
        if lowered {
            self.cursor.word();
            self.cursor.take('(')?;
        } else if !function.is_empty() {
            let functions = if self.grammar == Grammar::Extended { "tolower, startswith and contains" } else { "tolower" };
            return Err(self.cursor.expected(format!("a path (functions are {functions})")));
        }
        let start = self.cursor;
        let Path::Scalar(scalar) = read_path(&mut self.cursor)? else {
            return Err(start.expected("a path with one value (a list is followed by `/any(`)"));
        };
        if lowered {
            self.cursor.take(')')?;
        }
        Ok(scalar)
    }

    /// The rest of `compare`.
    fn comparison(&mut self, scalar: Scalar) -> Result<Filter, Malformed> {
        let predicate = self.predicate(&Path::Scalar(scalar.clone()))?;
        Ok(Filter::Scalar(scalar, predicate))
    }

    /// The rest of `lambda`.
    fn lambda(&mut self, list: List) -> Result<Filter, Malformed> {
        let mut before = self.cursor;
        if !self.cursor.takes('/') || !self.cursor.takes_word("any") {
            before.takes('/');
            return Err(before.expected("`any(…)` behind the slash of a list"));
        }
        self.cursor.take('(')?;
        let before = self.cursor;
        let variable = self.cursor.word();
        if variable.is_empty() {
            return Err(before.expected("a variable"));
        }
        self.cursor.take(':')?;
        let path = Path::List(list);
        let predicate = if let Some(search) = self.takes_search()? {
            self.variable(variable)?;
            self.search(search, &path)?
        } else {
            self.variable(variable)?;
            self.predicate(&path)?
        };
        if !self.cursor.takes(')') {
            return Err(self.cursor.expected("`)`, for `any(…)` holds one test"));
        }
        let test = Filter::List(list, predicate);
        let differs = if self.cursor.takes_word("eq") {
            false
        } else if self.cursor.takes_word("ne") {
            true
        } else {
            return Ok(test);
        };
        let expected = self.cursor.takes_word("true");
        if !expected && !self.cursor.takes_word("false") {
            return Err(self.cursor.expected("true or false"));
        }
        Ok(if expected == differs { Filter::not(test) } else { test })
    }

    /// The variable of a lambda, by itself or in `tolower(…)`.
    fn variable(&mut self, name: &str) -> Result<(), Malformed> {
        let lowered = self.cursor.peek_function().eq_ignore_ascii_case("tolower");
        if lowered {
            self.cursor.word();
            self.cursor.take('(')?;
        }
        let before = self.cursor;
        if self.cursor.word().to_lowercase() != name.to_lowercase() {
            return Err(before.expected(format!("the variable `{}`", shortened(name))));
        }
        if lowered { self.cursor.take(')') } else { Ok(()) }
    }

    /// `startswith(` or `contains(`, if one comes next.
    fn takes_search(&mut self) -> Result<Option<Search>, Malformed> {
        let start = self.cursor;
        let function = self.cursor.peek_function();
        let search: Search = if function.eq_ignore_ascii_case("startswith") {
            Predicate::StartsWith
        } else if function.eq_ignore_ascii_case("contains") {
            Predicate::Contains
        } else {
            return Ok(None);
        };
        self.extended(start, "a path or `tolower(`")?;
        self.cursor.word();
        self.cursor.take('(')?;
        Ok(Some(search))
    }

    /// The rest of `startswith(…)` and `contains(…)`, whose operand has been read.
    fn search(&mut self, search: Search, path: &Path) -> Result<Predicate, Malformed> {
        self.cursor.take(',')?;
        let start = self.cursor;
        let text = self.cursor.quoted()?;
        if text.is_empty() {
            return Err(start.says("expected a text to search for, found an empty one"));
        }
        self.cursor.take(')')?;
        self.count(start)?;
        Ok(search(path.text(text)))
    }

    /// `op literal`, or `in (…)` in the extended grammar.
    fn predicate(&mut self, path: &Path) -> Result<Predicate, Malformed> {
        let start = self.cursor;
        if self.cursor.takes_word("in") {
            self.extended(start, OPERATORS)?;
            self.cursor.take('(')?;
            let mut literals = vec![self.literal(path)?];
            while self.cursor.takes(',') {
                literals.push(self.literal(path)?);
            }
            self.cursor.take(')')?;
            return Ok(Predicate::one_of(literals));
        }
        let operator = Operator::ALL.into_iter().find(|operator| self.cursor.takes_word(operator.as_str()));
        let operator = operator.ok_or_else(|| self.cursor.expected(OPERATORS))?;
        Ok(Predicate::Compare(operator, self.literal(path)?))
    }

    fn literal(&mut self, path: &Path) -> Result<Literal, Malformed> {
        let start = self.cursor;
        let literal = self.cursor.literal()?;
        self.count(start)?;
        path.literal(literal).map_err(|expected| start.expected(expected))
    }

    /// Reads something that may hold itself again.
    fn nested<T>(&mut self, start: Cursor<'t>, read: impl FnOnce(&mut Self) -> Result<T, Malformed>) -> Result<T, Malformed> {
        if self.depth == MAX_FILTER_DEPTH {
            return Err(start.expected(format!("at most {MAX_FILTER_DEPTH} parentheses and `not`s around a test")));
        }
        self.depth += 1;
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn count(&mut self, start: Cursor<'t>) -> Result<(), Malformed> {
        self.tests += 1;
        if self.tests > MAX_FILTER_TESTS {
            return Err(start.says(format!("expected at most {MAX_FILTER_TESTS} tests (every literal is one), found one more")));
        }
        Ok(())
    }

    /// Objects to what only the extended grammar has: something else was expected.
    fn extended(&self, start: Cursor<'t>, expected: &str) -> Result<(), Malformed> {
        if self.grammar == Grammar::Extended {
            return Ok(());
        }
        let Malformed { position, why } = start.expected(expected);
        Err(Malformed { position, why: format!("{why}; {ELSEWHERE}") })
    }
}
