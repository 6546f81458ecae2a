//! The parameters of administrative routes: each known by name, given once, and judged; whatever else is given is a mistake.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::domain::names::{Scid, Xuid};
use crate::domain::refusal::Refusal;
use crate::store::TAKE_MAX;

/// The entries of a page when nobody says how many.
const TAKE: usize = 50;
/// The longest text, in characters.
const TEXT_MAX: usize = 500;

/// The parameters of a request, each with its name as it is documented.
pub struct Parameters<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    /// Reads a query string; names are compared without case.
    ///
    /// # Errors
    /// 400 naming a parameter that does not exist here, or is given twice.
    pub fn read(query: &'a str, known: &[&'static str]) -> Result<Self, Refusal> {
        let mut found: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(known) = known.iter().find(|known| known.eq_ignore_ascii_case(&name)) else {
                let short: String = name.chars().take(40).collect();
                let why = match known {
                    [] => "there are no parameters here".to_owned(),
                    known => format!("there is no such parameter here, only {}", known.join(", ")),
                };
                return Err(Refusal::invalid(short, why));
            };
            if found.iter().any(|(other, _)| other == known) {
                return Err(Refusal::invalid(known, "is given twice"));
            }
            found.push((known, value));
        }
        Ok(Self(found))
    }

    /// A parameter as it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// A parameter of some form.
    ///
    /// # Errors
    /// 400 with what is expected.
    pub fn parsed<T>(&self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
        let wrong = || Refusal::invalid(name, format!("{expected} is expected"));
        self.get(name).map(|text| parse(text).ok_or_else(wrong)).transpose()
    }

    /// A text that is not empty.
    pub fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let expected = format!("a text of 1 to {TEXT_MAX} characters other than NUL");
        let fits = |text: &str| !text.is_empty() && text.chars().count() <= TEXT_MAX && !text.contains('\0');
        self.parsed(name, &expected, |text| fits(text).then(|| text.to_owned()))
    }

    /// True or false.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.parsed(name, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// An instant.
    pub fn instant(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        self.parsed(name, "an instant like 2031-04-05T18:00:00Z", read_instant)
    }

    /// A user.
    pub fn xuid(&self) -> Result<Option<Xuid>, Refusal> {
        self.parsed("xuid", "an unsigned decimal number of 64 bits", |text| Xuid::parse(text).ok())
    }

    /// A service config.
    pub fn scid(&self) -> Result<Option<Scid>, Refusal> {
        self.parsed("scid", "a GUID", |text| Scid::parse(text).ok())
    }

    /// How many entries a page shall have at most.
    pub fn take(&self) -> Result<usize, Refusal> {
        let read = |text: &str| text.parse().ok().filter(|take| (1..=TAKE_MAX).contains(take) && !text.starts_with('+'));
        Ok(self.parsed("take", &format!("a whole number from 1 to {TAKE_MAX}"), read)?.unwrap_or(TAKE))
    }

    /// Where the page goes on.
    pub fn continuation<K>(&self, read: impl Fn(&str) -> Option<K>) -> Result<Option<K>, Refusal> {
        self.parsed("continuationToken", "the continuationToken of an answer to the same question", read)
    }
}

/// Reads an instant as RFC 3339 has it.
pub fn read_instant(text: &str) -> Option<DateTime<Utc>> {
    // A plus sign is a space in a query string that nobody has escaped.
    let at = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok()?.with_timezone(&Utc);
    // Later and earlier ones have no form here.
    (at.timestamp() >= 0 && at.timestamp() < 253_402_300_800).then_some(at)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const KNOWN: &[&str] = &["scid", "xuid", "take", "closed", "since", "target", "continuationToken"];

    #[rstest]
    #[case("scids=1", "scids: ")]
    #[case("take=1&Take=2", "take: ")]
    #[case("take=0", "take: ")]
    #[case("take=201", "take: ")]
    #[case("take=%2B5", "take: ")]
    #[case("closed=yes", "closed: ")]
    #[case("xuid=-1", "xuid: ")]
    #[case("scid=all", "scid: ")]
    #[case("since=yesterday", "since: ")]
    #[case("since=-0001-01-01T00:00:00Z", "since: ")]
    #[case("target=", "target: ")]
    #[case("target=%00", "target: ")]
    #[case("continuationToken=x", "continuationToken: ")]
    fn what_is_wrong_is_named(#[case] query: &str, #[case] start: &str) {
        let judged = Parameters::read(query, KNOWN).and_then(|given| {
            given.scid()?;
            given.xuid()?;
            given.take()?;
            given.flag("closed")?;
            given.instant("since")?;
            given.text("target")?;
            given.continuation(|text| text.parse::<u32>().ok())
        });
        let refusal = judged.expect_err(query);
        assert!(refusal.text.starts_with(start), "{refusal}");
    }

    #[test]
    fn names_are_compared_without_case() {
        let given = Parameters::read("TAKE=200&since=2031-04-05T20:00:00+02:00&Closed=TRUE", KNOWN).unwrap();
        assert_eq!(given.take(), Ok(200));
        assert_eq!(given.flag("closed"), Ok(Some(true)));
        assert_eq!(given.instant("since").unwrap().unwrap().to_rfc3339(), "2031-04-05T18:00:00+00:00");
        assert_eq!(Parameters::read("", KNOWN).unwrap().take(), Ok(TAKE));
    }
}
