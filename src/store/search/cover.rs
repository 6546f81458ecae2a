//! Which sessions can match at all: conditions that an index gives the sessions of, so that only those have to be looked at.

use super::Scopes;
use super::compile::{Beside, Sql, columns, push_scopes, xuid};
use crate::domain::filter::{Filter, Kind, List, Literal, Operator, Predicate, Scalar};
use crate::domain::listing::micros;
use crate::store::columns::{TEXT_KEY, text_key};

/// A condition that an index gives the sessions of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Leaf {
    /// An entry of a list.
    Term(String),
    /// A text that is this one, or one that begins so.
    Text { attribute: String, text: String, begins: bool },
    /// A number from one to another, both included.
    Number { attribute: String, low: f64, high: f64 },
    /// Members, or owners, of a session.
    People { xuids: Vec<u64>, owners: bool },
}

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
    if matches!(scalar, Scalar::Scid | Scalar::TemplateName | Scalar::PostedTime | Scalar::RegistrationState) {
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

impl Leaf {
    /// Whether the index gives its sessions in the order in which they were posted.
    pub fn is_in_order(&self) -> bool {
        match self {
            Self::Term(_) => true,
            Self::Text { begins, .. } => !begins,
            Self::Number { low, high, .. } => low.total_cmp(high).is_eq(),
            Self::People { .. } => false,
        }
    }

    /// Writes the rows `sid, posted_at` of one scope `p` that the leaf gives, without `order by` and `limit`.
    pub fn push(&self, sql: &mut Sql) {
        match self {
            Self::Term(term) => {
                sql.push(
                    "select t.sid, t.posted_at from search_terms t where t.scid = p.scid and t.template_key = p.template_key",
                );
                sql.push(" and t.term = ").push_bind(term.clone());
            }
            Self::Text { attribute, text, begins } => {
                push_values(sql, attribute);
                let key = text_key(text).to_owned();
                if *begins {
                    // No key is longer, and no character sorts behind this one.
                    let end = format!("{key}{}", "\u{10ffff}".repeat(TEXT_KEY));
                    sql.push(" and v.text_key >= ").push_bind(key).push(" and v.text_key <= ").push_bind(end);
                } else {
                    sql.push(" and v.text_key = ").push_bind(key);
                }
            }
            Self::Number { attribute, low, high } if low.total_cmp(high).is_eq() => {
                push_values(sql, attribute);
                sql.push(" and v.number = ").push_bind(*low);
            }
            Self::Number { attribute, low, high } => {
                push_values(sql, attribute);
                sql.push(" and v.number >= ").push_bind(*low).push(" and v.number <= ").push_bind(*high);
            }
            Self::People { xuids, owners } => {
                // User by user, then session by session, whatever the planner believes about the tables.
                sql.push("select m.sid, h.posted_at from unnest(").push_bind(columns(xuids)).push("::bigint[]) as u (xuid)");
                sql.push(" cross join lateral (select sid from members where xuid = u.xuid and scid = p.scid");
                sql.push(" and template_key = p.template_key").push(if *owners { " and owner" } else { "" }).push(" offset 0) m");
                sql.push(
                    " cross join lateral (select created_at as posted_at from handles where sid = m.sid and type = 2 limit 1) h",
                );
            }
        }
    }

    /// Writes how many sessions the leaf gives in all scopes, counted up to a limit.
    pub fn push_count(&self, sql: &mut Sql, scopes: &Scopes, most: i64) {
        sql.push("(select count(*) from (select true from ");
        push_scopes(sql, scopes);
        sql.push(" cross join lateral (");
        self.push(sql);
        sql.push(" limit ").push(most).push(") one limit ").push(most).push(") counted)");
    }
}

fn push_values(sql: &mut Sql, attribute: &str) {
    sql.push("select v.sid, v.posted_at from search_values v where v.scid = p.scid and v.template_key = p.template_key");
    sql.push(" and v.attribute = ").push_bind(attribute.to_owned());
}
