//! Laws of filters: random trees, printed, respelt and read back, and held against random subjects; and texts that are no filters,
//! or hardly.
//!
//! `OPENMPSD_LAWS` is the number of cases of each law (1,000 when unset), `OPENMPSD_FUZZ` the number of texts (20,000). A failure
//! names the seed that repeats it: `PROPTEST_RNG_SEED=<seed>`, `OPENMPSD_FUZZ_SEED=<seed>`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::catch_unwind;

use chrono::DateTime;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::{
    Filter, Grammar, Kind, LISTS, List, Literal, Malformed, Operator, Predicate, RoleNumber, SCALARS, Scalar, Subject, Value,
    parse,
};
use crate::domain::limits::MAX_FILTER;
use crate::domain::tests::dice::Dice;

pub(crate) const NAMES: &[&str] =
    &["level", "map", "and", "or", "not", "any", "in", "eq", "a-b.c", "x:y", "42", "é", "i̇", "$\"="];
pub(crate) const TEXTS: &[&str] =
    &["", "x", "coop", "Coop", "it's", "''", "'", "a b", ") or (", "0", "é", "ς", "\u{1f3ae}", "\n", "%_\\", "\u{7f}", "e"];
pub(crate) const NUMBERS: &[f64] = &[0.0, 1.0, -1.0, 0.1, 12.0, 1e21, -1e-7, 5e-324, f64::MAX, f64::MIN, 4_294_967_295.0];

/// A subject by the keys of its attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    scalars: BTreeMap<String, Value<'static>>,
    lists: Vec<(List, String)>,
}

impl Sample {
    /// The same with an attribute.
    pub(super) fn with(mut self, key: &str, value: Value<'static>) -> Self {
        self.scalars.insert(key.to_owned(), value);
        self
    }

    /// The same with elements of a list.
    pub(super) fn listing(mut self, list: List, elements: &[&str]) -> Self {
        self.lists.extend(elements.iter().map(|element| (list, (*element).to_owned())));
        self
    }
}

impl Subject for Sample {
    fn scalar(&self, scalar: &Scalar) -> Option<Value<'_>> {
        self.scalars.get(&scalar.key()).cloned()
    }

    fn list(&self, list: List) -> Vec<Cow<'_, str>> {
        self.lists.iter().filter(|(of, _)| *of == list).map(|(_, element)| Cow::Borrowed(element.as_str())).collect()
    }
}

fn index(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.roll() % count as u64).expect("an index")
}

fn name(dice: &mut Dice) -> String {
    dice.of(NAMES).to_owned()
}

fn number(dice: &mut Dice) -> f64 {
    let any = f64::from_bits(dice.roll());
    if dice.percent(20) && any.is_finite() { any + 0.0 } else { NUMBERS[index(dice, NUMBERS.len())] }
}

/// Mostly one of a few around now, so that equal ones meet.
fn instant(dice: &mut Dice) -> Literal {
    const YEAR_1: i64 = -62_135_596_800_000_000;
    const YEAR_10000: i64 = 253_402_300_800_000_000;
    let micros = if dice.percent(20) {
        YEAR_1 + i64::try_from(dice.roll() >> 1).expect("63 bits") % (YEAR_10000 - YEAR_1)
    } else {
        1_772_366_400_000_000 + [0, 1, 1_000, 1_500_000][index(dice, 4)]
    };
    Literal::Instant(DateTime::from_timestamp_micros(micros).expect("an instant"))
}

pub(crate) fn scalar(dice: &mut Dice) -> Scalar {
    match dice.roll() % 8 {
        0 | 1 => Scalar::Text(name(dice)),
        2 | 3 => Scalar::Number(name(dice)),
        4 => Scalar::Role { role_type: name(dice), role: name(dice), number: RoleNumber::ALL[index(dice, 3)] },
        _ => SCALARS[index(dice, SCALARS.len())].1.clone(),
    }
}

fn literal(dice: &mut Dice, scalar: Option<&Scalar>, without_case: bool) -> Literal {
    let mut kind = scalar.map_or(Kind::Text, Scalar::kind);
    if matches!(scalar, Some(Scalar::Text(_) | Scalar::Number(_))) && dice.percent(15) {
        match dice.roll() % 3 {
            0 => return Literal::Truth(dice.percent(50)),
            1 => kind = Kind::Text,
            _ => kind = Kind::Number,
        }
    }
    match kind {
        Kind::Text if without_case => Literal::Text(dice.of(TEXTS).to_lowercase()),
        Kind::Text => Literal::Text(dice.of(TEXTS).to_owned()),
        Kind::Number => Literal::Number(number(dice)),
        Kind::Instant => instant(dice),
    }
}

/// A test of a scalar or list, with at most that many literals.
fn test(dice: &mut Dice, grammar: Grammar, most: usize) -> Filter {
    let scalar = if dice.percent(65) { Some(scalar(dice)) } else { None };
    let list = LISTS[index(dice, LISTS.len())].1;
    let without_case = match &scalar {
        Some(scalar) => matches!(scalar, Scalar::Scid | Scalar::TemplateName),
        None => list == List::Keywords,
    };
    let is_text = scalar.as_ref().is_none_or(|scalar| scalar.kind() == Kind::Text);
    let mut next = || literal(dice, scalar.as_ref(), without_case);
    let first = next();
    let more: Vec<Literal> = (1..most.min(4)).map(|_| next()).collect();
    let predicate = match (dice.roll() % 6, first) {
        (0 | 1, first) if grammar == Grammar::Extended => {
            Predicate::one_of(std::iter::once(first).chain(more.into_iter().take(index(dice, 4))).collect())
        }
        (2, Literal::Text(text)) if grammar == Grammar::Extended && is_text && !text.is_empty() => Predicate::StartsWith(text),
        (3, Literal::Text(text)) if grammar == Grammar::Extended && is_text && !text.is_empty() => Predicate::Contains(text),
        (_, first) => Predicate::Compare(Operator::ALL[index(dice, 6)], first),
    };
    match scalar {
        Some(scalar) => Filter::Scalar(scalar, predicate),
        None => Filter::List(list, predicate),
    }
}

fn extended(dice: &mut Dice, most: usize, depth: u32) -> Filter {
    if most < 2 || depth == 0 || dice.percent(15) {
        return test(dice, Grammar::Extended, most);
    }
    if dice.percent(25) {
        return Filter::not(extended(dice, most, depth - 1));
    }
    let count = 2 + index(dice, 2);
    let parts = (0..count).map(|_| extended(dice, most / count, depth - 1)).collect();
    if dice.percent(50) { Filter::all(parts) } else { Filter::any(parts) }
}

fn conjunction(dice: &mut Dice) -> Filter {
    let count = 1 + index(dice, 4);
    let terms = (0..count).map(|_| match test(dice, Grammar::Mpsd, 1) {
        Filter::List(list, predicate) if dice.percent(25) => Filter::not(Filter::List(list, predicate)),
        test => test,
    });
    Filter::all(terms.collect())
}

/// The random tree of this number, in normal form, that the grammar can say.
pub(crate) fn numbered(number: u64, grammar: Grammar) -> Filter {
    tree(&mut Dice::new(number, ""), grammar)
}

fn tree(dice: &mut Dice, grammar: Grammar) -> Filter {
    match grammar {
        Grammar::Mpsd => {
            let count = 1 + index(dice, 2);
            Filter::any((0..count).map(|_| conjunction(dice)).collect())
        }
        Grammar::Extended => {
            let depth = u32::try_from(dice.roll() % 6).expect("small");
            extended(dice, 24, depth)
        }
    }
}

/// A random subject, with the values that random trees ask for.
fn sample(dice: &mut Dice) -> Sample {
    let mut sample = Sample::default();
    for _ in 0..24 {
        let scalar = scalar(dice);
        // Nothing has it.
        if scalar == Scalar::RegistrationState {
            continue;
        }
        let value = match scalar.kind() {
            Kind::Text => Value::Text(dice.of(TEXTS).to_lowercase().into()),
            Kind::Number => Value::Number(number(dice)),
            Kind::Instant => match instant(dice) {
                Literal::Instant(instant) => Value::Instant(instant),
                _ => unreachable!("it is one"),
            },
        };
        sample = sample.with(&scalar.key(), value);
    }
    for _ in 0..12 {
        let element = dice.of(TEXTS).to_lowercase();
        sample = sample.listing(LISTS[index(dice, LISTS.len())].1, &[&element]);
    }
    sample
}

/// The same text in other case and with other whitespace, outside of quotes (H-81).
fn respelt(dice: &mut Dice, text: &str) -> String {
    let (mut respelt, mut quoted) = (String::new(), false);
    let space = |respelt: &mut String, dice: &mut Dice| respelt.push_str(dice.of(&["", "", " ", "\t", "\r\n", "\u{a0}"]));
    for c in text.chars() {
        quoted ^= c == '\'';
        match c {
            _ if quoted => respelt.push(c),
            '/' | '(' | ')' | ',' => {
                space(&mut respelt, dice);
                respelt.push(c);
                space(&mut respelt, dice);
            }
            ' ' => {
                respelt.push(' ');
                space(&mut respelt, dice);
            }
            c if dice.percent(30) => respelt.push(c.to_ascii_uppercase()),
            c => respelt.push(c),
        }
    }
    respelt
}

/// A number from the environment.
fn read(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the service")]
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Holds random dice against a law.
fn holds(law: impl Fn(&mut Dice)) {
    let cases = read("OPENMPSD_LAWS").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(1_000);
    let seed = read("PROPTEST_RNG_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let config = Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let outcome = TestRunner::new(config).run(&any::<u64>().no_shrink(), |number| {
        law(&mut Dice::new(number, ""));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("PROPTEST_RNG_SEED={seed} OPENMPSD_LAWS={cases}: {failure}"));
}

fn either(dice: &mut Dice) -> Grammar {
    if dice.percent(50) { Grammar::Mpsd } else { Grammar::Extended }
}

#[test]
fn h81_what_is_printed_reads_back_however_it_is_spelt() {
    holds(|dice| {
        let grammar = either(dice);
        let tree = tree(dice, grammar);
        let printed = tree.to_string();
        for text in [respelt(dice, &printed), printed] {
            assert_eq!(parse(&text, grammar), Ok(Some(tree.clone())), "{text}");
        }
    });
}

#[test]
fn h80_the_extended_grammar_reads_the_smaller_one_in_the_same_meaning() {
    holds(|dice| {
        let tree = numbered(dice.roll(), Grammar::Mpsd);
        assert_eq!(tree.grammar(), Grammar::Mpsd);
        let text = tree.to_string();
        assert_eq!(parse(&text, Grammar::Mpsd), parse(&text, Grammar::Extended), "{text}");
    });
}

#[test]
fn the_smallest_grammar_is_the_smallest() {
    holds(|dice| {
        let tree = tree(dice, Grammar::Extended);
        let text = tree.to_string();
        assert_eq!(parse(&text, Grammar::Mpsd).is_ok(), tree.grammar() == Grammar::Mpsd, "{text}");
    });
}

#[test]
fn normal_form_changes_no_meaning() {
    holds(|dice| {
        let grammar = either(dice);
        let parts: Vec<Filter> = (0..=index(dice, 3)).map(|_| tree(dice, grammar)).collect();
        let (sample, first) = (sample(dice), parts[0].clone());
        let matches: Vec<bool> = parts.iter().map(|part| part.matches(&sample)).collect();
        assert_eq!(Filter::Not(Box::new(first.clone())).matches(&sample), !matches[0]);
        assert_eq!(Filter::not(first).matches(&sample), !matches[0]);
        assert_eq!(Filter::all(parts.clone()).matches(&sample), !matches.contains(&false));
        assert_eq!(Filter::any(parts).matches(&sample), matches.contains(&true));
    });
}

/// What a text may be, from nonsense to a filter with a slip of the pen.
struct Text(String);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(500).collect();
        write!(f, "{shown:?}")
    }
}

impl Text {
    fn any(dice: &mut Dice) -> Self {
        Self(match dice.roll() % 16 {
            0 => {
                let count = index(dice, 200);
                let bytes: Vec<u8> = (0..count).map(|_| dice.roll().to_le_bytes()[0]).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            1..=3 => Self::tokens(dice),
            4 => dice.of(&["(", "not ", "not(", "'", "tags/any(", "1", "a/", "''"]).repeat(index(dice, 40)),
            // A few are about as long as a filter may be.
            5 if dice.percent(2) => "strings/x eq 'a' and ".repeat(index(dice, 400)) + "keywords/any(d:d eq 'b')",
            _ => Self::slips(dice),
        })
    }

    fn tokens(dice: &mut Dice) -> String {
        const TOKENS: &str = "tags|achievementIds|memberXuids|keywords|session|strings|numbers|language|roles|needs|/|/|/any(d:|any|(|)|d|:|\
            tolower(|startswith(|contains(|,|eq|ne|gt|in|in(|and|or|not|true|false|null|'x'|''|'|12|-1.5e3|1e999|scid|\
            titleId|postedTime|'2026-03-01T12:00:00Z'|\0|İ|strings/map|numbers/level|tags/any(d:d eq 'x')";
        let tokens: Vec<&str> = TOKENS.split('|').collect();
        let count = index(dice, 30);
        (0..count).map(|_| dice.of(&tokens).to_owned() + dice.of(&["", " ", " ", " "])).collect()
    }

    fn slips(dice: &mut Dice) -> String {
        let grammar = either(dice);
        let mut chars: Vec<char> = tree(dice, grammar).to_string().chars().collect();
        for _ in 0..index(dice, 4) {
            let (at, other) = (index(dice, chars.len() + 1), index(dice, chars.len() + 1));
            let (from, to) = (at.min(other), at.max(other).min(at.min(other) + 20));
            let new = "'()/:,.-+ edD0\u{0}é\u{2003}\u{10ffff}".chars().nth(index(dice, 18)).expect("there are 18");
            match dice.roll() % 6 {
                0 if at < chars.len() => drop(chars.remove(at)),
                1 if at < chars.len() => chars[at] = new,
                2 => chars.insert(at, new),
                3 => drop(chars.drain(from..to)),
                4 => drop(chars.splice(at..at, chars[from..to].to_vec())),
                _ => {
                    let other: Vec<char> = tree(dice, Grammar::Extended).to_string().chars().collect();
                    chars.truncate(at);
                    chars.extend(&other[index(dice, other.len())..]);
                }
            }
        }
        chars.into_iter().collect()
    }

    /// Whatever it is, it is refused with reason, or means what it says. Returns whether it is a filter.
    fn check(&self) -> bool {
        let length = self.0.chars().count();
        let answers = [Grammar::Mpsd, Grammar::Extended].map(|grammar| parse(&self.0, grammar));
        for answer in &answers {
            match answer {
                Ok(None) => assert_eq!(self.0.trim(), ""),
                Ok(Some(tree)) => {
                    let printed = tree.to_string();
                    // The short forms of paths print in full.
                    if printed.chars().count() <= MAX_FILTER {
                        assert_eq!(parse(&printed, tree.grammar()).as_ref(), Ok(&Some(tree.clone())), "{printed}");
                    }
                }
                Err(Malformed { position, why }) => {
                    assert!((1..=length + 1).contains(position), "{position}: {why}");
                    assert!(why.starts_with("expected ") && why.contains(", found ") && !why.contains('\0'), "{why}");
                }
            }
        }
        let [mpsd, extended] = answers;
        if let Ok(filter) = &mpsd {
            assert_eq!(mpsd, extended);
            assert!(filter.as_ref().is_none_or(|filter| filter.grammar() == Grammar::Mpsd));
        }
        extended.is_ok()
    }
}

#[test]
fn filter_parser_survives_anything() {
    let count = read("OPENMPSD_FUZZ").unwrap_or(20_000);
    let seed = read("OPENMPSD_FUZZ_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let mut filters = 0;
    for number in 0..count {
        let seed = seed.wrapping_add(number);
        let text = Text::any(&mut Dice::new(seed, ""));
        let is_filter = catch_unwind(|| text.check());
        assert!(is_filter.is_ok(), "OPENMPSD_FUZZ_SEED={seed} OPENMPSD_FUZZ=1 is {text}");
        filters += u64::from(is_filter.is_ok_and(|is_filter| is_filter));
    }
    println!("OPENMPSD_FUZZ_SEED={seed} OPENMPSD_FUZZ={count}: {filters} were filters");
    assert!(count < 1_000 || (count / 10..count * 9 / 10).contains(&filters), "{filters} of {count} were filters");
}
