//! How often one user may call from one title (W-80): the numbers, and what a service config says instead of the installation.
//!
//! Counting is not here: it needs a clock and remembers callers.

use crate::json::Object;

/// A span of time and how many requests it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The most requests; 0 means any number.
    pub max: u32,
    /// How long it lasts, in seconds.
    pub period_s: u32,
}

/// Two windows that every request counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The short one.
    pub burst: Window,
    /// The long one.
    pub sustained: Window,
}

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Every request.
    Requests,
    /// Searches for search handles.
    SearchReads,
    /// Search handles that are made.
    SearchWrites,
}

/// The numbers of an installation, or of a service config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// For every request.
    pub requests: Limit,
    /// For searches besides.
    pub search_reads: Limit,
    /// For making search handles besides.
    pub search_writes: Limit,
}

impl Default for Numbers {
    /// Those of the contract.
    fn default() -> Self {
        let limit = |burst, sustained| Limit {
            burst: Window { max: burst, period_s: 15 },
            sustained: Window { max: sustained, period_s: 300 },
        };
        Self { requests: limit(30, 300), search_reads: limit(1, 20), search_writes: limit(1, 20) }
    }
}

impl Numbers {
    /// The limit of what is counted apart.
    #[must_use]
    pub fn of(&self, counted: Counted) -> Limit {
        match counted {
            Counted::Requests => self.requests,
            Counted::SearchReads => self.search_reads,
            Counted::SearchWrites => self.search_writes,
        }
    }

    fn number(&mut self, key: Key) -> &mut u32 {
        let limit = match key.counted {
            Counted::Requests => &mut self.requests,
            Counted::SearchReads => &mut self.search_reads,
            Counted::SearchWrites => &mut self.search_writes,
        };
        let window = if key.sustained { &mut limit.sustained } else { &mut limit.burst };
        if key.period { &mut window.period_s } else { &mut window.max }
    }
}

/// One of the twelve numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As in `requests_burst_max`.
    pub name: &'static str,
    counted: Counted,
    sustained: bool,
    period: bool,
}

const fn key(name: &'static str, counted: Counted, sustained: bool, period: bool) -> Key {
    Key { name, counted, sustained, period }
}

/// The names of all numbers, as settings and service configs spell them.
pub const KEYS: [Key; 12] = [
    key("requests_burst_max", Counted::Requests, false, false),
    key("requests_burst_period_s", Counted::Requests, false, true),
    key("requests_sustained_max", Counted::Requests, true, false),
    key("requests_sustained_period_s", Counted::Requests, true, true),
    key("search_reads_burst_max", Counted::SearchReads, false, false),
    key("search_reads_burst_period_s", Counted::SearchReads, false, true),
    key("search_reads_sustained_max", Counted::SearchReads, true, false),
    key("search_reads_sustained_period_s", Counted::SearchReads, true, true),
    key("search_writes_burst_max", Counted::SearchWrites, false, false),
    key("search_writes_burst_period_s", Counted::SearchWrites, false, true),
    key("search_writes_sustained_max", Counted::SearchWrites, true, false),
    key("search_writes_sustained_period_s", Counted::SearchWrites, true, true),
];

/// The largest maximum.
const MOST: u32 = 1_000_000;
/// The longest period, in seconds: a day.
const LONGEST_S: u32 = 86_400;

impl Key {
    /// The key of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        KEYS.into_iter().find(|key| key.name == name)
    }

    /// The least and the largest value of its number.
    #[must_use]
    pub fn range(self) -> (u32, u32) {
        if self.period { (1, LONGEST_S) } else { (0, MOST) }
    }

    /// The number, if it can be one of this key.
    #[must_use]
    pub fn take(self, number: u64) -> Option<u32> {
        let (least, most) = self.range();
        u32::try_from(number).ok().filter(|number| (least..=most).contains(number))
    }
}

/// What a service config says instead of its installation; most say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(Key, u32)>);

impl Overrides {
    /// Reads an object of numbers by key. `None` when a key is unknown or a number impossible.
    #[must_use]
    pub fn read(numbers: &Object) -> Option<Self> {
        let one = |(name, number): (&crate::json::Text, &crate::json::Json)| {
            let key = Key::find(name.as_str())?;
            Some((key, key.take(number.as_u64()?)?))
        };
        numbers.iter().map(one).collect::<Option<_>>().map(Self)
    }

    /// The numbers by key, as they are read.
    #[must_use]
    pub fn render(&self) -> Object {
        self.0.iter().map(|(key, number)| (key.name.into(), (*number).into())).collect()
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The installation's numbers with these in their places.
    #[must_use]
    pub fn over(&self, installation: &Numbers) -> Numbers {
        let mut numbers = installation.clone();
        for (key, number) in &self.0 {
            *numbers.number(*key) = *number;
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::json::{Json, parse};

    fn read(text: &str) -> Option<Overrides> {
        match parse(text.as_bytes(), 8).unwrap() {
            Json::Object(numbers) => Overrides::read(&numbers),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn w80_the_numbers_of_the_contract() {
        let Numbers { requests, search_reads, search_writes } = Numbers::default();
        let flat = |limit: Limit| (limit.burst.max, limit.burst.period_s, limit.sustained.max, limit.sustained.period_s);
        assert_eq!(flat(requests), (30, 15, 300, 300));
        assert_eq!((flat(search_reads), flat(search_writes)), ((1, 15, 20, 300), (1, 15, 20, 300)));
    }

    #[test]
    fn w80_every_key_has_a_place_of_its_own() {
        let mut numbers = Numbers::default();
        for (at, key) in (1000..).zip(KEYS) {
            *numbers.number(key) = at;
        }
        let of = |limit: Limit| [limit.burst.max, limit.burst.period_s, limit.sustained.max, limit.sustained.period_s];
        let all = [numbers.requests, numbers.search_reads, numbers.search_writes].map(of).concat();
        assert_eq!(all, (1000..1012).collect::<Vec<u32>>());
        assert_eq!(KEYS.iter().map(|key| key.name).collect::<HashSet<_>>().len(), 12);
    }

    #[test]
    fn w80_a_service_config_changes_single_numbers() {
        let overrides = read(r#"{"requests_burst_max": 60, "search_reads_sustained_period_s": 60}"#).unwrap();
        let mut expected = Numbers::default();
        expected.requests.burst.max = 60;
        expected.search_reads.sustained.period_s = 60;
        assert_eq!(overrides.over(&Numbers::default()), expected);
        assert!(!overrides.is_empty() && read("{}").unwrap().is_empty());
        assert_eq!(read("{}").unwrap().over(&expected), expected);
    }

    #[test]
    fn w80_impossible_overrides_are_none() {
        for text in [
            r#"{"requests_burst": 1}"#,
            r#"{"requests_burst_max": "1"}"#,
            r#"{"requests_burst_max": 1000001}"#,
            r#"{"requests_burst_period_s": 0}"#,
            r#"{"requests_burst_period_s": 86401}"#,
            r#"{"requests_burst_max": -1}"#,
            r#"{"requests_burst_max": 4294967326}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(read(r#"{"requests_burst_max": 0, "requests_burst_period_s": 86400}"#).is_some());
    }
}
