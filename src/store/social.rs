//! The social source: who follows whom, and who blocks whom. Every edge stands alone.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tracing::instrument;

use super::rows::{xuid_from_column, xuid_to_column};
use super::{Store, StoreError};

/// From one user to another, as the store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeRow {
    /// Who follows or blocks.
    pub xuid: u64,
    /// Who is followed or blocked.
    pub other: u64,
    /// Whether as a favourite; never true of a block.
    pub favorite: bool,
}

/// Which edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeTable {
    /// Who follows whom.
    Follows,
    /// Who blocks whom.
    Blocks,
}

/// Where a page of edges begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeKey(i64, i64);

impl EdgeKey {
    /// At the beginning.
    pub const FIRST: Self = Self(i64::MIN, i64::MIN);

    /// Behind an edge; `None` when there can be nothing.
    #[must_use]
    pub fn behind(edge: &EdgeRow) -> Option<Self> {
        let (xuid, other) = (xuid_to_column(edge.xuid), xuid_to_column(edge.other));
        other.checked_add(1).map(|next| Self(xuid, next)).or_else(|| Some(Self(xuid.checked_add(1)?, i64::MIN)))
    }
}

/// Everybody one user has to do with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbourhood {
    /// The user; nobody below may be the same.
    pub xuid: u64,
    /// Whom the user follows, each once, and whether as a favourite.
    pub follows: Vec<(u64, bool)>,
    /// Who follows the user, each once.
    pub followers: Vec<u64>,
    /// Whom the user blocks, each once.
    pub blocks: Vec<u64>,
    /// Who blocks the user, each once.
    pub blocked_by: Vec<u64>,
}

/// The key of the lock that imports, and changes of neighbourhoods, take turns by.
const SOCIAL_LOCK: i64 = 0x6f70_656e_736f_6369;
/// The advisory lock of whoever imports.
const IMPORT_LOCK: i64 = 0x6f70_656e_696d_706f;
/// How many edges of an import one statement writes.
const IMPORT_CHUNK: usize = 10_000;

impl Store {
    /// Lists edges from a key on, in an order that does not change.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.social.page", level = "debug", skip_all)]
    pub async fn page_edges(&self, table: EdgeTable, from: EdgeKey, limit: i64) -> Result<Vec<EdgeRow>, StoreError> {
        let query = match table {
            EdgeTable::Follows => sqlx::query(include_str!("sql/page_follows.sql")),
            EdgeTable::Blocks => sqlx::query(include_str!("sql/page_blocks.sql")),
        };
        let rows = query.bind(from.0).bind(from.1).bind(limit).fetch_all(&self.pool).await?;
        let edge = |row: &PgRow| {
            Ok(EdgeRow {
                xuid: xuid_from_column(row.try_get("xuid")?),
                other: xuid_from_column(row.try_get("other")?),
                favorite: row.try_get("favorite")?,
            })
        };
        rows.iter().map(edge).collect::<Result<_, sqlx::Error>>().map_err(StoreError::from)
    }

    /// Adds edges, all or none, or makes them the whole graph, and says whether it did: it does not while another import is under way.
    /// No edge may be given twice. What is there already stays untouched.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.social.import", level = "debug", skip_all, fields(follows = follows.len(), blocks = blocks.len()))]
    pub async fn import_edges(&self, follows: &[EdgeRow], blocks: &[EdgeRow], replace: bool) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let lock = sqlx::query_scalar(include_str!("sql/lock_social.sql")).bind(IMPORT_LOCK).bind(SOCIAL_LOCK);
        if !lock.fetch_one(&mut *transaction).await? {
            return Ok(false);
        }
        if replace {
            for (statement, edges) in [
                (sqlx::query(include_str!("sql/keep_follows.sql")), follows),
                (sqlx::query(include_str!("sql/keep_blocks.sql")), blocks),
            ] {
                statement.bind(from_column(edges)).bind(to_column(edges)).execute(&mut *transaction).await?;
            }
        }
        for part in follows.chunks(IMPORT_CHUNK) {
            sqlx::query(include_str!("sql/put_follows.sql"))
                .bind(from_column(part))
                .bind(to_column(part))
                .bind(part.iter().map(|edge| edge.favorite).collect::<Vec<_>>())
                .execute(&mut *transaction)
                .await?;
        }
        for part in blocks.chunks(IMPORT_CHUNK) {
            sqlx::query(include_str!("sql/put_blocks.sql"))
                .bind(from_column(part))
                .bind(to_column(part))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Makes a neighbourhood the only edges of its user, and returns how many edges changed; the others stay untouched.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.social.put_neighbours", level = "debug", skip_all)]
    pub async fn put_neighbours(&self, around: &Neighbourhood) -> Result<i64, StoreError> {
        let columns = |xuids: &[u64]| xuids.iter().copied().map(xuid_to_column).collect::<Vec<_>>();
        let changed = sqlx::query_scalar(include_str!("sql/put_neighbours.sql"))
            .bind(xuid_to_column(around.xuid))
            .bind(around.follows.iter().map(|(xuid, _)| xuid_to_column(*xuid)).collect::<Vec<_>>())
            .bind(around.follows.iter().map(|(_, favorite)| *favorite).collect::<Vec<_>>())
            .bind(columns(&around.followers))
            .bind(columns(&around.blocks))
            .bind(columns(&around.blocked_by))
            .bind(SOCIAL_LOCK)
            .fetch_one(&self.pool);
        Ok(changed.await?)
    }

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
        if self.distrust.holds(xuid) {
            return Ok(Vec::new());
        }
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

fn from_column(edges: &[EdgeRow]) -> Vec<i64> {
    edges.iter().map(|edge| xuid_to_column(edge.xuid)).collect()
}

fn to_column(edges: &[EdgeRow]) -> Vec<i64> {
    edges.iter().map(|edge| xuid_to_column(edge.other)).collect()
}
