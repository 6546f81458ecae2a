//! What a filter means, one subject at a time.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::{Filter, Kind, List, Literal, Operator, Predicate, Scalar};

/// Something that has attributes. Its texts are in lower case already (H-82).
pub trait Subject {
    /// The value of an attribute, of the attribute's kind; none if it is missing.
    fn scalar(&self, scalar: &Scalar) -> Option<Value<'_>>;

    /// The elements of a list; none if it is missing.
    fn list(&self, list: List) -> Vec<Cow<'_, str>>;
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A text in lower case.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// An instant.
    Instant(DateTime<Utc>),
}

impl Filter {
    /// Whether the filter keeps this subject.
    #[must_use]
    pub fn matches(&self, subject: &impl Subject) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(subject)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(subject)),
            Self::Not(part) => !part.matches(subject),
            Self::Scalar(scalar, predicate) => of_scalar(scalar.kind(), predicate, subject.scalar(scalar)),
            Self::List(list, predicate) => of_list(predicate, &subject.list(*list)),
        }
    }
}

fn of_scalar(kind: Kind, predicate: &Predicate, value: Option<Value<'_>>) -> bool {
    match predicate {
        // H-84: a literal of another type matches nothing, whatever the operator, and whether or not there is a value.
        Predicate::Compare(_, literal) if literal.kind() != Some(kind) => false,
        // H-83: what is missing is different, and passes no other test.
        Predicate::Compare(Operator::Ne, literal) => value.is_none_or(|value| !value.equals(literal)),
        other => value.is_some_and(|value| value.passes(other)),
    }
}

fn of_list(predicate: &Predicate, elements: &[Cow<'_, str>]) -> bool {
    let mut values = elements.iter().map(|element| Value::Text(Cow::Borrowed(&**element)));
    match predicate {
        // H-83: not "some element is different".
        Predicate::Compare(Operator::Ne, literal) => values.all(|value| !value.equals(literal)),
        other => values.any(|value| value.passes(other)),
    }
}

impl Value<'_> {
    /// How the value compares to the literal; not at all if that is of another type.
    fn compare(&self, literal: &Literal) -> Option<Ordering> {
        match (self, literal) {
            (Self::Text(value), Literal::Text(literal)) => Some((**value).cmp(literal.as_str())),
            (Self::Number(value), Literal::Number(literal)) => value.partial_cmp(literal),
            (Self::Instant(value), Literal::Instant(literal)) => Some(value.cmp(literal)),
            _ => None,
        }
    }

    fn equals(&self, literal: &Literal) -> bool {
        self.compare(literal) == Some(Ordering::Equal)
    }

    fn passes(&self, predicate: &Predicate) -> bool {
        match predicate {
            Predicate::Compare(operator, literal) => self.compare(literal).is_some_and(|order| operator.holds(order)),
            Predicate::In(literals) => literals.iter().any(|literal| self.equals(literal)),
            Predicate::StartsWith(text) => matches!(self, Self::Text(value) if value.starts_with(text)),
            Predicate::Contains(text) => matches!(self, Self::Text(value) if value.contains(text)),
        }
    }
}

impl Operator {
    /// Whether it holds between a value and a literal that compare so.
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
        }
    }
}
