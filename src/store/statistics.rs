//! What the metrics tell of the database itself.

use sqlx::Row as _;

use super::{Store, StoreError};

/// Sizes, as they were when asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Lost connections whose members have not all been dealt with.
    pub ghosts: i64,
    /// Instances on the database.
    pub instances: i64,
    /// Of each table its name, its rows by the last count, and its bytes with indexes.
    pub tables: Vec<(String, i64, i64)>,
}

impl Store {
    /// Asks how large everything is. Cheap: nothing is counted that is large.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn read_statistics(&self) -> Result<Statistics, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/read_statistics.sql"))).await?;
        let mut statistics = Statistics::default();
        for row in rows {
            statistics.ghosts = row.try_get("ghosts")?;
            statistics.instances = row.try_get("instances")?;
            statistics.tables.push((row.try_get("table_name")?, row.try_get("table_rows")?, row.try_get("table_bytes")?));
        }
        Ok(statistics)
    }
}
