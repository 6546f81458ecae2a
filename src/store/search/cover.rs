//! Which sessions can match at all: conditions that an index gives the sessions of, so that only those have to be looked at.

use super::compile::{Beside, xuid};
use super::leaf::{Leaf, has_rows};
use crate::domain::filter::{Filter, Kind, List, Literal, Operator, Predicate, Scalar};
use crate::domain::listing::micros;

/// How leaves cover a filter: every session that matches is given by one of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cover {
    /// By this leaf.
    Leaf(usize),
    /// By any of these alone.
    Best(Vec<Cover>),
    /// By all of these together.
    Sum(Vec<Cover>),
}

/// The leaves of a query and how they cover it; `None` when nothing narrows it.
pub(super) fn cover(filter: Option<&Filter>, beside: &Beside) -> (Vec<Leaf>, Option<Cover>) {
    let mut leaves = Vec::new();
    let mut best: Vec<Cover> = filter.and_then(|filter| of_filter(filter, &mut leaves)).into_iter().collect();
    for (users, owners) in [(&beside.members, false), (&beside.owners, true)] {
        if let Some(xuids) = users {
            best.push(leaf(Leaf::People { xuids: xuids.clone(), owners }, &mut leaves));
        }
    }
    let cover = if best.len() > 1 { Some(Cover::Best(best)) } else { best.pop() };
    (leaves, cover)
}

fn leaf(leaf: Leaf, leaves: &mut Vec<Leaf>) -> Cover {
    leaves.push(leaf);
    Cover::Leaf(leaves.len() - 1)
}

fn of_filter(filter: &Filter, leaves: &mut Vec<Leaf>) -> Option<Cover> {
    match filter {
        Filter::All(parts) => {
            let covers: Vec<Cover> = parts.iter().filter_map(|part| of_filter(part, leaves)).collect();
            (!covers.is_empty()).then_some(Cover::Best(covers))
        }
        Filter::Any(parts) => {
            let covers: Vec<Cover> = parts.iter().map(|part| of_filter(part, leaves)).collect::<Option<_>>()?;
            Some(Cover::Sum(covers))
        }
        Filter::Not(_) => None,
        Filter::Scalar(scalar, predicate) => of_scalar(scalar, predicate, leaves),
        Filter::List(list, predicate) => {
            let literals = match predicate {
                Predicate::Compare(Operator::Eq, literal) => std::slice::from_ref(literal),
                Predicate::In(literals) => literals,
                _ => return None,
            };
            if matches!(list, List::MemberXuids | List::OwnerXuids) {
                let xuids = literals.iter().filter_map(xuid).collect();
                return Some(leaf(Leaf::People { xuids, owners: *list == List::OwnerXuids }, leaves));
            }
            let text = |literal: &Literal| if let Literal::Text(text) = literal { Some(text.clone()) } else { None };
            let terms = literals.iter().filter_map(text).map(|text| Leaf::Term(list.term(&text)));
            Some(Cover::Sum(terms.map(|term| leaf(term, leaves)).collect()))
        }
    }
}

fn of_scalar(scalar: &Scalar, predicate: &Predicate, leaves: &mut Vec<Leaf>) -> Option<Cover> {
    if !has_rows(scalar) {
        return None;
    }
    let attribute = scalar.key();
    let text = |text: &str, begins| Leaf::Text { attribute: attribute.clone(), text: text.to_owned(), begins };
    match (scalar.kind(), predicate) {
        (Kind::Text, Predicate::Compare(Operator::Eq, Literal::Text(whole))) => Some(leaf(text(whole, false), leaves)),
        (Kind::Text, Predicate::StartsWith(beginning)) => Some(leaf(text(beginning, true), leaves)),
        (Kind::Text, Predicate::In(literals)) => {
            let words = literals.iter().filter_map(|literal| if let Literal::Text(word) = literal { Some(word) } else { None });
            Some(Cover::Sum(words.map(|word| leaf(text(word, false), leaves)).collect()))
        }
        (Kind::Number | Kind::Instant, Predicate::In(literals)) => {
            let numbers: Vec<f64> = literals.iter().filter_map(number).collect();
            let point = |at: f64| Leaf::Number { attribute: attribute.clone(), low: at, high: at };
            Some(Cover::Sum(numbers.into_iter().map(|at| leaf(point(at), leaves)).collect()))
        }
        (Kind::Number | Kind::Instant, predicate) => {
            let (low, high) = range(predicate)?;
            Some(leaf(Leaf::Number { attribute, low, high }, leaves))
        }
        (Kind::Text, _) => None,
    }
}

fn number(literal: &Literal) -> Option<f64> {
    match literal {
        Literal::Number(number) => Some(*number),
        Literal::Instant(at) => Some(micros(*at)),
        Literal::Text(_) | Literal::Truth(_) => None,
    }
}

/// The numbers that pass a comparison, its ends included; `None` when it bounds nothing.
fn range(predicate: &Predicate) -> Option<(f64, f64)> {
    let Predicate::Compare(operator, literal) = predicate else { return None };
    let at = number(literal)?;
    match operator {
        Operator::Eq => Some((at, at)),
        Operator::Gt | Operator::Ge => Some((at, f64::INFINITY)),
        Operator::Lt | Operator::Le => Some((f64::NEG_INFINITY, at)),
        Operator::Ne => None,
    }
}

/// Between which numbers an attribute lies in every session that matches, and whether it must be there at all.
pub(super) fn bounds(filter: Option<&Filter>, scalar: &Scalar) -> (bool, f64, f64) {
    let parts = match filter {
        Some(Filter::All(parts)) => parts.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let (mut required, mut low, mut high) = (false, f64::NEG_INFINITY, f64::INFINITY);
    for part in parts {
        let Filter::Scalar(of, predicate) = part else { continue };
        if of != scalar {
            continue;
        }
        required |= !matches!(predicate, Predicate::Compare(Operator::Ne, _));
        if let Some((from, to)) = range(predicate) {
            (low, high) = (low.max(from), high.min(to));
        }
    }
    (required, low, high)
}

impl Cover {
    /// The leaves that give the fewest sessions, and how many that are; `counts` are those of the leaves.
    pub fn cheapest(&self, counts: &[i64]) -> (Vec<usize>, i64) {
        match self {
            Self::Leaf(at) => (vec![*at], counts[*at]),
            Self::Best(covers) => {
                covers.iter().map(|cover| cover.cheapest(counts)).min_by_key(|(_, count)| *count).unwrap_or_default()
            }
            Self::Sum(covers) => {
                covers.iter().map(|cover| cover.cheapest(counts)).fold((Vec::new(), 0), |mut sum, (leaves, count)| {
                    sum.0.extend(leaves);
                    (sum.0, sum.1.saturating_add(count))
                })
            }
        }
    }
}
