//! Conditions that an index gives the sessions of.

use super::sql::{Place, Scopes, Sql, columns, push_each};
use crate::domain::filter::{Kind, List, Literal, Operator, Predicate, Scalar};
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

/// Whether `search_values` has a row for it: what is known of a session without looking has none.
pub(super) fn has_rows(scalar: &Scalar) -> bool {
    !matches!(scalar, Scalar::Scid | Scalar::TemplateName | Scalar::PostedTime | Scalar::RegistrationState)
}

impl Leaf {
    /// The leaf that gives the sessions with just this value; `None` where no index has just them.
    pub fn of_value(scalar: &Scalar, predicate: &Predicate) -> Option<Self> {
        let Predicate::Compare(Operator::Eq, literal) = predicate else { return None };
        if !has_rows(scalar) {
            return None;
        }
        let attribute = scalar.key();
        match (scalar.kind(), literal) {
            // Of a longer text the index has the beginning.
            (Kind::Text, Literal::Text(text)) if text.len() < TEXT_KEY => {
                Some(Self::Text { attribute, text: text.clone(), begins: false })
            }
            (Kind::Number, Literal::Number(number)) => Some(Self::Number { attribute, low: *number, high: *number }),
            (Kind::Instant, Literal::Instant(at)) => Some(Self::Number { attribute, low: micros(*at), high: micros(*at) }),
            _ => None,
        }
    }

    /// The leaf that gives the sessions that have just this entry in a list; `None` where no index has just them.
    pub fn of_entry(list: List, predicate: &Predicate) -> Option<Self> {
        match (list, predicate) {
            // Members hide from each other in large sessions.
            (List::MemberXuids | List::OwnerXuids, _) => None,
            (list, Predicate::Compare(Operator::Eq, Literal::Text(text))) => Some(Self::Term(list.term(text))),
            _ => None,
        }
    }

    /// Whether the index gives its sessions in the order in which they were posted.
    pub fn is_in_order(&self) -> bool {
        match self {
            Self::Term(_) => true,
            Self::Text { begins, .. } => !begins,
            Self::Number { low, high, .. } => low.total_cmp(high).is_eq(),
            Self::People { .. } => false,
        }
    }

    /// Writes the rows `sid, posted_at` that the leaf gives in a place, without `order by` and `limit`.
    pub fn push(&self, sql: &mut Sql, place: Place<'_>) {
        match self {
            Self::Term(term) => {
                sql.push("select t.sid, t.posted_at from search_terms t where ");
                place.push_is_of(sql, "t");
                sql.push(" and t.term = ").push_bind(term.clone());
            }
            Self::Text { attribute, text, begins } => {
                push_values(sql, place, attribute);
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
                push_values(sql, place, attribute);
                sql.push(" and v.number = ").push_bind(*low);
            }
            Self::Number { attribute, low, high } => {
                push_values(sql, place, attribute);
                sql.push(" and v.number >= ").push_bind(*low).push(" and v.number <= ").push_bind(*high);
            }
            Self::People { xuids, owners } => {
                // User by user, then session by session, whatever the planner believes about the tables.
                sql.push("select m.sid, h.posted_at from unnest(").push_bind(columns(xuids)).push("::bigint[]) as u (xuid)");
                sql.push(" cross join lateral (select m.sid from members m where m.xuid = u.xuid and ");
                place.push_is_of(sql, "m");
                sql.push(if *owners { " and m.owner" } else { "" }).push(" offset 0) m");
                sql.push(
                    " cross join lateral (select created_at as posted_at from handles where sid = m.sid and type = 2 limit 1) h",
                );
            }
        }
    }

    /// Writes how many sessions the leaf gives in all scopes, counted up to a limit.
    pub fn push_count(&self, sql: &mut Sql, scopes: &Scopes, most: i64) {
        sql.push("(select count(*) from (");
        self.push_sids(sql, scopes, most);
        sql.push(") counted)");
    }

    /// Writes the ids of the sessions that the leaf gives in all scopes, up to a limit.
    pub fn push_sids(&self, sql: &mut Sql, scopes: &Scopes, most: i64) {
        push_each(sql, scopes, "one.sid", false, |sql, place| {
            self.push(sql, place);
            sql.push(" limit ").push(most);
        });
        sql.push(" limit ").push(most);
    }
}

fn push_values(sql: &mut Sql, place: Place<'_>, attribute: &str) {
    sql.push("select v.sid, v.posted_at from search_values v where ");
    place.push_is_of(sql, "v");
    sql.push(" and v.attribute = ").push_bind(attribute.to_owned());
}
