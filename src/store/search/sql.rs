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

/// Service configs and templates that are searched, as two parameters.
pub(super) fn push_scopes(sql: &mut Sql, scopes: &Scopes) {
    let (scids, templates): (Vec<Uuid>, Vec<String>) = scopes.iter().cloned().unzip();
    sql.push("unnest(").push_bind(scids).push("::uuid[], ").push_bind(templates).push("::text[]) as p (scid, template_key)");
}
