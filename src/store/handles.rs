//! Handles by themselves. Those that lead to a session are read in `sessions`; an activity for a session that exists begins and ends
//! with a save of that session.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use tracing::instrument;
use uuid::Uuid;

use super::rows::{ActivityRow, HandleRow, xuid_from_column, xuid_to_column};
use super::{Store, StoreError};

/// Activities of owners, for a handle query.
#[derive(Debug, Clone, Copy)]
pub struct ActivitiesAsk<'a> {
    /// The owners, in the order of the answer (H-59).
    pub owners: &'a [u64],
    /// Only in this service config (H-51).
    pub scid: Option<Uuid>,
    /// Who asks: what one of them is near to, all are. A server is no user.
    pub callers: &'a [u64],
    /// The devices of the callers' tokens.
    pub device_ids: &'a [&'a str],
    /// How much of the sessions comes along.
    pub with: With,
    /// Newest first of all, instead of one owner after another.
    pub newest_first: bool,
    /// Only these handles; `None`: all.
    pub only: Option<&'a [Uuid]>,
    /// The most activities to find (H-59).
    pub limit: i64,
}

/// What comes along of sessions beside their columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct With {
    /// The document, and of a large session its owners.
    pub body: bool,
    /// What read restrictions ask about the callers.
    pub facts: bool,
    /// What only the service knows, without which no whole session can be read.
    pub private: bool,
}

/// What became of handles whose time had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// How many there were, as far as they were looked at.
    pub looked_at: u64,
    /// How many of them are gone.
    pub deleted: u64,
}

impl Store {
    /// Finds activities that have not expired at `now`, with their sessions, in the order that is asked for.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.handle.activities", level = "debug", skip_all, fields(owners = ask.owners.len()))]
    pub async fn find_activities(&self, ask: ActivitiesAsk<'_>, now: DateTime<Utc>) -> Result<Vec<ActivityRow>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_activities.sql"))
            .bind(ask.owners.iter().copied().map(xuid_to_column).collect::<Vec<_>>())
            .bind(ask.scid)
            .bind(now)
            .bind(ask.callers.iter().copied().map(xuid_to_column).collect::<Vec<_>>())
            .bind(ask.device_ids)
            .bind(ask.with.body)
            .bind(ask.limit)
            .bind(ask.newest_first)
            .bind(ask.only)
            .bind(ask.with.facts)
            .bind(ask.with.private);
        let rows = self.rows(query).await?;
        let mut activities = rows.iter().map(ActivityRow::read).collect::<Result<Vec<_>, _>>()?;
        for session in activities.iter_mut().filter_map(|activity| activity.session.as_mut()) {
            self.distrust.facts(ask.callers, &mut session.codes.facts);
        }
        Ok(activities)
    }

    /// Lists who has an activity, but for one user, each once, the owner of the newest activity first.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.handle.newest_owners", level = "debug", skip_all)]
    pub async fn list_newest_owners(&self, but: u64, scid: Option<Uuid>, limit: i64) -> Result<Vec<u64>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_newest_owners.sql")).bind(xuid_to_column(but)).bind(scid).bind(limit);
        let rows = self.rows(query).await?;
        let mut owners: Vec<u64> =
            rows.iter().map(|row| Ok(xuid_from_column(row.try_get("owner")?))).collect::<Result<_, sqlx::Error>>()?;
        let mut known = HashSet::new();
        owners.retain(|owner| known.insert(*owner));
        Ok(owners)
    }

    /// Stores an activity for a session that does not exist, in place of the owner's former one in the service config (H-03, H-20,
    /// H-21). The handle must have an owner.
    ///
    /// # Errors
    /// `LostRace` when the session exists by now: then the activity is a command on that session. `Unavailable`, `Database`.
    #[instrument(name = "db.handle.put_unbound", level = "debug", skip_all)]
    pub async fn put_unbound_activity(&self, activity: &HandleRow) -> Result<(), StoreError> {
        let stored = sqlx::query(include_str!("sql/put_unbound_activity.sql"))
            .bind(activity.id)
            .bind(activity.reference.sid)
            .bind(activity.reference.scid)
            .bind(activity.reference.scid_spelling.as_deref())
            .bind(&activity.reference.template)
            .bind(&activity.reference.name)
            .bind(activity.owner.map(xuid_to_column))
            .bind(activity.title_id.map(i64::from))
            .bind(activity.created_at)
            .bind(activity.expires_at)
            .bind(activity.document.as_deref())
            .fetch_optional(&self.pool)
            .await?;
        if stored.is_some() { Ok(()) } else { Err(StoreError::LostRace) }
    }

    /// Finds the invites of a user in some service configs that have not expired at `now`, newest first; none of a sender whom the user
    /// blocks by now.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.handle.invites", level = "debug", skip_all)]
    pub async fn find_invites(
        &self,
        invited: u64,
        scids: &[Uuid],
        now: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<HandleRow>, StoreError> {
        let query =
            sqlx::query(include_str!("sql/find_invites.sql")).bind(xuid_to_column(invited)).bind(now).bind(limit).bind(scids);
        let rows = self.rows(query).await?;
        rows.iter().map(|row| Ok(HandleRow::read(row)?)).collect()
    }

    /// Finds invites of users that were made after an instant and have not expired at `now`, oldest first.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.handle.new_invites", level = "debug", skip_all)]
    pub async fn find_new_invites(
        &self,
        invited: &[u64],
        made_after: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<HandleRow>, StoreError> {
        let rows = self
            .rows(
                sqlx::query(include_str!("sql/find_new_invites.sql"))
                    .bind(invited.iter().copied().map(xuid_to_column).collect::<Vec<_>>())
                    .bind(made_after)
                    .bind(now),
            )
            .await?;
        rows.iter().map(|row| Ok(HandleRow::read(row)?)).collect()
    }

    /// Deletes a handle and says whether there was one.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.handle.delete", level = "debug", skip_all)]
    pub async fn delete_handle(&self, id: Uuid) -> Result<bool, StoreError> {
        Ok(sqlx::query(include_str!("sql/delete_handle.sql")).bind(id).fetch_optional(&self.pool).await?.is_some())
    }

    /// Looks at handles that have expired at `now`, the oldest first, at most `limit` of them. Those whose life is over are deleted; an
    /// activity that is bound by now loses its expiry (H-21), so that no handle is looked at twice.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.handle.delete_expired", level = "debug", skip_all)]
    pub async fn delete_expired_handles(&self, now: DateTime<Utc>, limit: i64) -> Result<Expired, StoreError> {
        let query = sqlx::query(include_str!("sql/delete_expired_handles.sql")).bind(now).bind(limit);
        let row = query.fetch_one(&self.pool).await?;
        let count = |column| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(column)?.cast_unsigned());
        Ok(Expired { looked_at: count("looked_at")?, deleted: count("deleted")? })
    }
}
