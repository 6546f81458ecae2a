//! Users who are refused everywhere, and the revision by which instances notice that the list has changed.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tracing::instrument;

use super::administration::Paged;
use super::rows::{xuid_from_column, xuid_to_column};
use super::{Store, StoreError};

/// How many users may be banned at a time: every instance keeps them in memory, some 50 bytes each.
pub const BANS_MAX: i64 = 200_000;

/// A user who is refused everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanRow {
    /// Who.
    pub xuid: u64,
    /// Why.
    pub reason: String,
    /// Until when, in real time; `None`: for good.
    pub expires_at: Option<DateTime<Utc>>,
    /// Since when, in real time; not known of those that are older than this column.
    pub created_at: Option<DateTime<Utc>>,
    /// By whom.
    pub created_by: Option<String>,
}

/// Who is banned, as of one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BanList {
    /// Rises with every ban and every end of one.
    pub revision: i64,
    /// The users, each with the end of the ban, if it has one.
    pub until: Vec<(u64, Option<DateTime<Utc>>)>,
}

/// What became of a ban. The revision is that of the list afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BanPut {
    /// The user was not on the list.
    Created(i64),
    /// It replaces one.
    Replaced(i64),
    /// So many are banned that there is no room.
    NoRoom,
}

impl BanRow {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            xuid: xuid_from_column(row.try_get("xuid")?),
            reason: row.try_get("reason")?,
            expires_at: row.try_get("expires_at")?,
            created_at: row.try_get("created_at")?,
            created_by: row.try_get("created_by")?,
        })
    }
}

impl Store {
    /// The revision of the list of bans, to be compared with the one that was read.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn ban_revision(&self) -> Result<i64, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/ban_revision.sql"))).await?;
        Ok(rows.first().map(|row| row.try_get("revision")).transpose()?.unwrap_or(0))
    }

    /// Loads everybody who is banned at an instant of real time.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.ban.load", level = "debug", skip_all)]
    pub async fn load_bans(&self, real_now: DateTime<Utc>) -> Result<BanList, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/load_bans.sql")).bind(real_now)).await?;
        let mut list = BanList::default();
        for row in &rows {
            list.revision = row.try_get("revision")?;
            if let Some(xuid) = row.try_get::<Option<i64>, _>("xuid")? {
                list.until.push((xuid_from_column(xuid), row.try_get("expires_at")?));
            }
        }
        Ok(list)
    }

    /// Lists bans, those that have expired too, by their users from one on.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.ban.list", level = "debug", skip_all)]
    pub async fn list_bans(&self, after: Option<u64>, take: usize) -> Result<Paged<BanRow, u64>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_bans.sql")).bind(after.map(xuid_to_column));
        let rows = self.rows(query).await?;
        let items: Vec<BanRow> = rows.iter().take(take).map(BanRow::read).collect::<Result<_, sqlx::Error>>()?;
        let next = items.last().filter(|_| rows.len() > take).map(|ban| ban.xuid);
        Ok(Paged { items, next })
    }

    /// Bans a user, in place of an earlier ban, if fewer than so many others are banned.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.ban.put", level = "debug", skip_all)]
    pub async fn put_ban(&self, ban: &BanRow, most: i64) -> Result<BanPut, StoreError> {
        let query = sqlx::query(include_str!("sql/put_ban.sql"))
            .bind(xuid_to_column(ban.xuid))
            .bind(&ban.reason)
            .bind(ban.expires_at)
            .bind(ban.created_at)
            .bind(ban.created_by.as_deref())
            .bind(most);
        let rows = self.rows(query).await?;
        let Some(row) = rows.first() else { return Ok(BanPut::NoRoom) };
        let revision = row.try_get("revision")?;
        Ok(if row.try_get("created")? { BanPut::Created(revision) } else { BanPut::Replaced(revision) })
    }

    /// Ends a ban and returns the revision of the list afterwards; `None` when there was none.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.ban.delete", level = "debug", skip_all)]
    pub async fn delete_ban(&self, xuid: u64) -> Result<Option<i64>, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/delete_ban.sql")).bind(xuid_to_column(xuid))).await?;
        Ok(rows.first().map(|row| row.try_get("revision")).transpose()?)
    }

    /// Finds the ban of a user, one that has expired too.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.ban.find", level = "debug", skip_all)]
    pub async fn find_ban(&self, xuid: u64) -> Result<Option<BanRow>, StoreError> {
        let rows = self.rows(sqlx::query(include_str!("sql/find_ban.sql")).bind(xuid_to_column(xuid))).await?;
        Ok(rows.first().map(BanRow::read).transpose()?)
    }
}
