//! The index of an order, followed from one place on.

use super::leaf::Leaf;
use super::sql::{Scopes, Sql, push_each};
use crate::domain::filter::{Kind, OrderBy, Scalar};
use crate::domain::listing::instant;
use crate::domain::search::{KeyValue, SearchKey};

/// What is walked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// Sessions in the order in which they were posted.
    Posted {
        /// Only those that this leaf gives.
        leaf: Option<&'a Leaf>,
        /// Only those that lack this attribute are meant; all are walked.
        lacking: Option<&'a str>,
        /// The value that all of them have.
        value: &'a KeyValue,
        /// Posted from this instant on, in microseconds.
        low: f64,
        /// Posted until this instant, in microseconds.
        high: f64,
    },
    /// The values of an attribute.
    Values {
        /// Which.
        attribute: &'a str,
        /// Whether it is a text.
        is_text: bool,
        /// From this number on.
        low: f64,
        /// To this number.
        high: f64,
    },
}

/// A piece of a walk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    pub scopes: &'a Scopes,
    pub source: Source<'a>,
    pub after: Option<&'a SearchKey>,
    pub descending: bool,
    /// How many sessions it looks at.
    pub size: i64,
}

impl Walk<'_> {
    /// Writes the rows `sid, posted_at, number, text, scid, template_key`, at most as many as the size, from every scope in the order of
    /// its index.
    pub fn push(&self, sql: &mut Sql) {
        let way = if self.descending { " desc" } else { "" };
        push_each(sql, self.scopes, "one.sid, one.posted_at, one.number, one.text", true, |sql, place| match self.source {
            Source::Posted { leaf, value, low, high, .. } => {
                let (column, sid) = match leaf {
                    Some(Leaf::Term(_)) => ("t.posted_at", "t.sid"),
                    Some(_) => ("v.posted_at", "v.sid"),
                    None => ("h.created_at", "h.sid"),
                };
                sql.push("select sid, posted_at, ");
                push_value(sql, value);
                sql.push(" from (");
                if let Some(leaf) = leaf {
                    leaf.push(sql, place);
                } else {
                    sql.push("select h.sid, h.created_at as posted_at from handles h where h.type = 2 and h.scid = ");
                    place.push_scid(sql);
                    sql.push(" and lower(h.template collate \"C\") = ");
                    place.push_template(sql);
                }
                push_bounds(sql, column, (low, high), instant);
                if let Some(after) = self.after {
                    sql.push(format_args!(" and ({column}, {sid}){}", if self.descending { " < (" } else { " > (" }));
                    sql.push_bind(after.posted_at).push(", ").push_bind(after.sid).push(")");
                }
                sql.push(format_args!(" order by {column}{way}, {sid}{way} limit ")).push(self.size).push(") posted offset 0");
            }
            Source::Values { attribute, is_text, low, high } => {
                let column = if is_text { "v.text_key" } else { "v.number" };
                let keys = if is_text { "null::float8 as number, v.text_key as text" } else { "v.number, null::text as text" };
                sql.push(format_args!("select v.sid, v.posted_at, {keys} from search_values v where "));
                place.push_is_of(sql, "v");
                sql.push(" and v.attribute = ").push_bind(attribute.to_owned());
                sql.push(format_args!(" and {column} is not null"));
                if !is_text {
                    push_bounds(sql, column, (low, high), |bound| bound.is_finite().then_some(bound));
                }
                if let Some(after) = self.after {
                    sql.push(format_args!(
                        " and ({column}, v.posted_at, v.sid){}",
                        if self.descending { " < (" } else { " > (" }
                    ));
                    push_bare(sql, &after.value);
                    sql.push(", ").push_bind(after.posted_at).push(", ").push_bind(after.sid).push(")");
                }
                sql.push(format_args!(" order by {column}{way}, v.posted_at{way}, v.sid{way} limit ")).push(self.size);
            }
        });
        // One scope is in its order already.
        if self.scopes.len() > 1 {
            let order = format_args!(" order by one.number{way}, one.text{way}, one.posted_at{way}, one.sid{way} limit ");
            sql.push(order).push(self.size);
        }
    }
}

/// Writes that a column lies between two numbers, as far as they bound anything.
fn push_bounds<'v, T>(sql: &mut Sql, column: &str, (low, high): (f64, f64), value: impl Fn(f64) -> Option<T>)
where
    T: 'v + sqlx::Encode<'v, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    for (bound, sign) in [(low, " >= "), (high, " <= ")] {
        if let Some(bound) = value(bound) {
            sql.push(" and ").push(column).push(sign).push_bind(bound);
        }
    }
}

/// Writes the value that all rows have, as the columns of keys.
fn push_value(sql: &mut Sql, value: &KeyValue) {
    match value {
        KeyValue::Text(text) => {
            sql.push("null::float8 as number, ").push_bind(text.clone()).push("::text collate \"C\" as text");
        }
        _ => {
            sql.push("null::float8 as number, null::text collate \"C\" as text");
        }
    }
}

fn push_bare(sql: &mut Sql, value: &KeyValue) {
    match value {
        KeyValue::Number(number) => {
            sql.push_bind(*number);
        }
        KeyValue::Text(text) => {
            sql.push_bind(text.clone());
        }
        KeyValue::None => {
            sql.push("null");
        }
    }
}

/// Writes the columns of keys of a session `c`.
pub(super) fn push_keys(sql: &mut Sql, by: &OrderBy) {
    let (number, text) = ("null::float8", "null::text collate \"C\"");
    match by {
        OrderBy::Posted | OrderBy::Scalar(Scalar::PostedTime | Scalar::RegistrationState) => {
            sql.push(format_args!("{number} as number, {text} as text"));
        }
        OrderBy::Scalar(Scalar::Scid) => {
            sql.push(format_args!("{number} as number, c.scid::text collate \"C\" as text"));
        }
        OrderBy::Scalar(Scalar::TemplateName) => {
            sql.push(format_args!("{number} as number, c.template_key collate \"C\" as text"));
        }
        OrderBy::Scalar(scalar) => {
            let is_text = scalar.kind() == Kind::Text;
            let column = if is_text { "text_key" } else { "number" };
            sql.push(if is_text { format!("{number} as number, ") } else { String::new() });
            sql.push(format_args!("(select v.{column} from search_values v where v.sid = c.sid and v.attribute = "));
            sql.push_bind(scalar.key()).push(if is_text { ") as text" } else { ") as number, null::text collate \"C\" as text" });
        }
    }
}

/// Writes the order of rows `c`; those without a value come last where they may be among the others.
pub(super) fn push_order(sql: &mut Sql, descending: bool, with_missing: bool) {
    let way = if descending { " desc" } else { "" };
    sql.push(" order by ");
    if with_missing {
        sql.push("(c.number is null and c.text is null), ");
    }
    sql.push(format_args!("c.number{way}, c.text{way}, c.posted_at{way}, c.sid{way}"));
}

/// Writes that a row `c` comes after a key.
pub(super) fn push_after(sql: &mut Sql, after: &SearchKey, descending: bool) {
    let sign = if descending { " < (" } else { " > (" };
    let tail = |sql: &mut Sql| {
        sql.push_bind(after.posted_at).push(", ").push_bind(after.sid).push(")");
    };
    match &after.value {
        KeyValue::None => {
            sql.push(format_args!("(c.number is null and c.text is null and (c.posted_at, c.sid){sign}"));
            tail(sql);
            sql.push(")");
        }
        value => {
            let column = if matches!(value, KeyValue::Text(_)) { "c.text" } else { "c.number" };
            sql.push(format_args!("(({column} is not null and ({column}, c.posted_at, c.sid){sign}"));
            push_bare(sql, value);
            sql.push(", ");
            tail(sql);
            sql.push(format_args!(") or {column} is null)"));
        }
    }
}
