//! Filters as text: what is printed parses to the same tree, in the smallest grammar that can say it.

use std::fmt::{self, Display};

use chrono::SecondsFormat;

use super::{Filter, LISTS, List, Literal, Operator, Predicate, RoleNumber, SCALARS, Scalar};

/// What stands around a part of a filter, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Around {
    Nothing,
    Or,
    AndOrNot,
}

impl Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Around::Nothing)
    }
}

impl Filter {
    fn write(&self, f: &mut fmt::Formatter<'_>, around: Around) -> fmt::Result {
        match self {
            Self::Any(parts) => write_parts(f, parts, " or ", Around::Or, around > Around::Nothing),
            Self::All(parts) => write_parts(f, parts, " and ", Around::AndOrNot, around > Around::Or),
            Self::Not(part) => match &**part {
                // This is how the smaller grammar says it.
                Self::List(..) => write!(f, "{part} eq false"),
                part => {
                    f.write_str("not ")?;
                    part.write(f, Around::AndOrNot)
                }
            },
            Self::Scalar(scalar, predicate) => write_test(f, scalar, predicate),
            Self::List(list, predicate) => {
                write!(f, "{list}/any(d:")?;
                write_test(f, &"d", predicate)?;
                f.write_str(")")
            }
        }
    }
}

fn write_parts(f: &mut fmt::Formatter<'_>, parts: &[Filter], word: &str, around: Around, enclosed: bool) -> fmt::Result {
    f.write_str(if enclosed { "(" } else { "" })?;
    for (at, part) in parts.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { word })?;
        part.write(f, around)?;
    }
    f.write_str(if enclosed { ")" } else { "" })
}

fn write_test(f: &mut fmt::Formatter<'_>, operand: &dyn Display, predicate: &Predicate) -> fmt::Result {
    match predicate {
        Predicate::Compare(operator, literal) => write!(f, "{operand} {operator} {literal}"),
        Predicate::In(literals) => {
            write!(f, "{operand} in (")?;
            for (at, literal) in literals.iter().enumerate() {
                write!(f, "{}{literal}", if at == 0 { "" } else { "," })?;
            }
            f.write_str(")")
        }
        Predicate::StartsWith(text) => write!(f, "startswith({operand},{})", Quoted(text)),
        Predicate::Contains(text) => write!(f, "contains({operand},{})", Quoted(text)),
    }
}

/// A text as a literal: a quote in it is written twice.
struct Quoted<'t>(&'t str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => Quoted(text).fmt(f),
            Self::Number(number) => {
                // Both say exactly this number; of the very large and very small ones the second is far shorter.
                let (plain, scientific) = (number.to_string(), format!("{number:e}"));
                f.write_str(if plain.len() <= scientific.len() { &plain } else { &scientific })
            }
            Self::Truth(truth) => truth.fmt(f),
            Self::Instant(instant) => write!(f, "'{}'", instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(name) => write!(f, "strings/{name}"),
            Self::Number(name) => write!(f, "numbers/{name}"),
            Self::Role { role_type, role, number } => write!(f, "session/roles/{role_type}/{role}/{number}"),
            other => {
                let (path, _) = SCALARS.iter().find(|(_, scalar)| scalar == other).expect("the table has all others");
                f.write_str(path)
            }
        }
    }
}

impl Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, _) = LISTS.iter().find(|(_, list)| list == self).expect("the table has all");
        f.write_str(path)
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for RoleNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
