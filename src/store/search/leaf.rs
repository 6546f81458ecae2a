//! Conditions that an index gives the sessions of.

use super::sql::{Scopes, Sql, columns, push_scopes};
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
