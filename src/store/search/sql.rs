//! What the pieces of a search's statements are written with.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::super::rows::xuid_to_column;

/// A statement that is being written.
pub(super) type Sql = QueryBuilder<Postgres>;

/// Service configs and templates in lower case that are searched.
pub(super) type Scopes = [(Uuid, String)];

/// Xuids as they stand in columns.
pub(super) fn columns(xuids: &[u64]) -> Vec<i64> {
    xuids.iter().copied().map(xuid_to_column).collect()
}

/// Where a piece of a statement finds its sessions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// In this service config and template.
    One(&'a (Uuid, String)),
    /// In those of the row `p`.
    Row,
}

impl Place<'_> {
    /// Writes that a row `of` is there.
    pub fn push_is_of(self, sql: &mut Sql, of: &str) {
        sql.push(of).push(".scid = ");
        self.push_scid(sql);
        sql.push(" and ").push(of).push(".template_key = ");
        self.push_template(sql);
    }

    pub fn push_scid(self, sql: &mut Sql) {
        match self {
            Self::One((scid, _)) => sql.push_bind(*scid).push("::uuid"),
            Self::Row => sql.push("p.scid"),
        };
    }

    pub fn push_template(self, sql: &mut Sql) {
        match self {
            Self::One((_, template)) => sql.push_bind(template.clone()).push("::text"),
            Self::Row => sql.push("p.template_key"),
        };
    }
}

/// Writes the columns of what a piece gives in each of some scopes, as rows `one`, with `scid` and `template_key` if they are wanted. The
/// piece ends with `limit` or `offset`, or the planner might take it apart. One scope, as most searches have, is planned in half the time.
pub(super) fn push_each(
    sql: &mut Sql,
    scopes: &Scopes,
    columns: &str,
    with_scope: bool,
    piece: impl FnOnce(&mut Sql, Place<'_>),
) {
    let place = if let [scope] = scopes { Place::One(scope) } else { Place::Row };
    sql.push("select ").push(columns);
    if with_scope {
        sql.push(", ");
        place.push_scid(sql);
        sql.push(" as scid, ");
        place.push_template(sql);
        sql.push(" as template_key");
    }
    sql.push(" from ");
    if matches!(place, Place::Row) {
        let (scids, templates): (Vec<Uuid>, Vec<String>) = scopes.iter().cloned().unzip();
        sql.push("unnest(").push_bind(scids).push("::uuid[], ").push_bind(templates).push("::text[]) as p (scid, template_key)");
        sql.push(" cross join lateral ");
    }
    sql.push("(");
    piece(sql, place);
    sql.push(") one");
}
