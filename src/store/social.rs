//! The social source: who follows whom, and who blocks whom. Every edge stands alone.

use sqlx::Row as _;
use tracing::instrument;

use super::rows::{xuid_from_column, xuid_to_column};
use super::{Store, StoreError};

impl Store {
    /// Notes that one user follows another, as a favourite or not.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.social.put_follow", level = "debug", skip_all)]
    pub async fn put_follow(&self, xuid: u64, followed: u64, favorite: bool) -> Result<(), StoreError> {
        sqlx::query(include_str!("sql/put_follow.sql"))
            .bind(xuid_to_column(xuid))
            .bind(xuid_to_column(followed))
            .bind(favorite)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends that one user follows another, and says whether it did.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.social.delete_follow", level = "debug", skip_all)]
    pub async fn delete_follow(&self, xuid: u64, followed: u64) -> Result<bool, StoreError> {
        self.delete_edge(sqlx::query(include_str!("sql/delete_follow.sql")), xuid, followed).await
    }

    /// Lists whom a user follows, or only the favourites among them, by xuid.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.follow.list", level = "debug", skip_all)]
    pub async fn list_follows(&self, xuid: u64, favorites: bool) -> Result<Vec<u64>, StoreError> {
        let rows = sqlx::query(include_str!("sql/list_follows.sql"))
            .bind(xuid_to_column(xuid))
            .bind(favorites)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(xuid_from_column(row.try_get("followed")?))).collect()
    }

    /// Notes that one user blocks another.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.social.put_block", level = "debug", skip_all)]
    pub async fn put_block(&self, xuid: u64, blocked: u64) -> Result<(), StoreError> {
        sqlx::query(include_str!("sql/put_block.sql"))
            .bind(xuid_to_column(xuid))
            .bind(xuid_to_column(blocked))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends that one user blocks another, and says whether it did.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.social.delete_block", level = "debug", skip_all)]
    pub async fn delete_block(&self, xuid: u64, blocked: u64) -> Result<bool, StoreError> {
        self.delete_edge(sqlx::query(include_str!("sql/delete_block.sql")), xuid, blocked).await
    }

    async fn delete_edge(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
        from: u64,
        to: u64,
    ) -> Result<bool, StoreError> {
        let done = query.bind(xuid_to_column(from)).bind(xuid_to_column(to)).execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }
}
