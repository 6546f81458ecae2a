//! What administrators look at: sessions and handles of all kinds in pages, one session with everything that is kept of it, and who
//! did what. Every page is bounded in what it looks at, not only in what it finds.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tracing::instrument;
use uuid::Uuid;

use super::rows::{HandleRow, MemberRow, ReferenceRow, StoredSession, xuid_from_column, xuid_to_column};
use super::{Store, StoreError};
use crate::domain::names::{MemberIndex, Xuid};

/// The most entries of a page.
pub const TAKE_MAX: usize = 200;
/// How many rows a page looks at, as the statements say it; by keyword fewer.
const LOOKED_MAX: i64 = 5000;
const LOOKED_BY_KEYWORD_MAX: i64 = 2000;

/// A page of something, and the key of its last entry when there may be more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T, K> {
    /// What was found.
    pub items: Vec<T>,
    /// Where the next page goes on. There may be nothing behind it, and a page may have found little before it.
    pub next: Option<K>,
}

/// Where a page of sessions begins: behind one that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionKey {
    /// In the order of ids.
    Sid(Uuid),
    /// Of those that carry a keyword: by service config, newest first, then by name.
    Keyword {
        /// The service config.
        scid: Uuid,
        /// `startTime`.
        start_time: DateTime<Utc>,
        /// The name.
        name: String,
        /// The id.
        sid: Uuid,
    },
}

/// Which sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionsAsk {
    /// Where the page begins; a key of the kind that this ask is answered with.
    pub after: Option<SessionKey>,
    /// Of this user, reservations included.
    pub xuid: Option<u64>,
    /// With this keyword, in lower case.
    pub keyword: Option<String>,
    /// In this service config.
    pub scid: Option<Uuid>,
    /// Of this template, in lower case.
    pub template_key: Option<String>,
    /// Whose name begins so, in lower case.
    pub name_prefix: Option<String>,
    /// Of this visibility, as a code.
    pub visibility: Option<i16>,
    /// Closed or not.
    pub closed: Option<bool>,
    /// Large or not.
    pub large: Option<bool>,
    /// Without any member or with one.
    pub empty: Option<bool>,
    /// Last changed at this instant or later.
    pub updated_since: Option<DateTime<Utc>>,
    /// The most entries of the page.
    pub take: usize,
}

/// A session as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// Which session.
    pub reference: ReferenceRow,
    /// Its life.
    pub branch: Uuid,
    /// How many changes that has seen.
    pub change_number: i64,
    /// `startTime`.
    pub start_time: DateTime<Utc>,
    /// When its next timer is due.
    pub next_timer_at: Option<DateTime<Utc>>,
    /// A code, see `rows`.
    pub visibility: i16,
    /// A code, see `rows`.
    pub join_restriction: i16,
    /// A code, see `rows`.
    pub read_restriction: i16,
    /// `properties.system.closed`.
    pub closed: bool,
    /// Capability `large`.
    pub large: bool,
    /// Members, reservations included.
    pub member_count: i32,
    /// Members without reservations.
    pub accepted_count: i32,
    /// `maxMembersCount`.
    pub max_members: i32,
    /// In their spelling.
    pub keywords: Vec<String>,
    /// The size of the document that all readers share.
    pub body_bytes: i32,
}

/// Which handles.
#[derive(Debug, Clone, Default)]
pub struct HandlesAsk {
    /// Where the page begins: behind this id.
    pub after: Option<Uuid>,
    /// Owned by this user, or inviting this user.
    pub xuid: Option<u64>,
    /// In this service config.
    pub scid: Option<Uuid>,
    /// Of this type, as a code.
    pub kind: Option<i16>,
    /// The most entries of the page.
    pub take: usize,
}

/// A handle as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedHandle {
    /// The handle.
    pub handle: HandleRow,
    /// Whether its session exists.
    pub bound: bool,
}

/// A session with all that is kept of it.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The session; if it is large, with the documents of all members.
    pub stored: StoredSession,
    /// The rows of its members by index, each with whether its connection lives, if that is known.
    pub members: Vec<(MemberRow, Option<bool>)>,
    /// How often settling it has failed in a row.
    pub failures: i16,
    /// How many handles of each type lead to it, by code.
    pub handles: Vec<i64>,
}

/// Where a page of actions begins: behind this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditKey {
    /// When it was begun.
    pub at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// Which actions.
#[derive(Debug, Clone, Default)]
pub struct AuditAsk {
    /// Where the page begins.
    pub after: Option<AuditKey>,
    /// Done to this, in any case.
    pub target: Option<String>,
    /// About this user.
    pub xuid: Option<Xuid>,
    /// Begun at this instant or later.
    pub since: Option<DateTime<Utc>>,
    /// By this actor.
    pub actor: Option<String>,
    /// Of this name.
    pub action: Option<String>,
    /// The most entries of the page.
    pub take: usize,
}

/// What an administrator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Names it.
    pub id: Uuid,
    /// When it was begun, in real time.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What, as in `session.close`.
    pub action: String,
    /// To what.
    pub target: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What came of it: `done`, or what refused it; `None` while nobody knows.
    pub outcome: Option<String>,
    /// What else there is to say.
    pub detail: Option<String>,
    /// The users it was about.
    pub xuids: Vec<Xuid>,
}

impl Store {
    /// Lists sessions as they are stored: what is due is not evaluated for that.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.admin.sessions", level = "debug", skip_all)]
    pub async fn list_sessions(&self, ask: &SessionsAsk) -> Result<Paged<ListedSession, SessionKey>, StoreError> {
        match (&ask.keyword, ask.xuid) {
            (Some(keyword), None) => self.list_sessions_by_keyword(ask, keyword).await,
            _ => self.list_sessions_by_sid(ask).await,
        }
    }

    async fn list_sessions_by_sid(&self, ask: &SessionsAsk) -> Result<Paged<ListedSession, SessionKey>, StoreError> {
        let after = if let Some(SessionKey::Sid(sid)) = ask.after { sid } else { Uuid::nil() };
        let query = sqlx::query(include_str!("sql/list_sessions.sql"))
            .bind(after)
            .bind(ask.xuid.map(xuid_to_column))
            .bind(ask.scid)
            .bind(ask.template_key.as_deref())
            .bind(ask.name_prefix.as_deref())
            .bind(ask.keyword.as_deref())
            .bind(ask.visibility)
            .bind(ask.closed)
            .bind(ask.large)
            .bind(ask.empty)
            .bind(ask.updated_since);
        let rows = self.rows(query).await?;
        let last = |row: &PgRow| Ok(SessionKey::Sid(row.try_get("last_sid")?));
        let key = |session: &ListedSession| SessionKey::Sid(session.reference.sid);
        page(&rows, "sid", (LOOKED_MAX, ask.take), ListedSession::read, key, last)
    }

    async fn list_sessions_by_keyword(
        &self,
        ask: &SessionsAsk,
        keyword: &str,
    ) -> Result<Paged<ListedSession, SessionKey>, StoreError> {
        let after = match &ask.after {
            Some(SessionKey::Keyword { scid, start_time, name, sid }) => Some((scid, start_time, name, sid)),
            _ => None,
        };
        let query = sqlx::query(include_str!("sql/list_sessions_by_keyword.sql"))
            .bind(keyword)
            .bind(ask.scid)
            .bind(ask.template_key.as_deref())
            .bind(ask.name_prefix.as_deref())
            .bind(ask.visibility)
            .bind(ask.closed)
            .bind(ask.large)
            .bind(ask.empty)
            .bind(ask.updated_since)
            .bind(after.map(|key| *key.0))
            .bind(after.map(|key| *key.1))
            .bind(after.map(|key| key.2.as_str()))
            .bind(after.map(|key| *key.3));
        let rows = self.rows(query).await?;
        let last = |row: &PgRow| {
            Ok(SessionKey::Keyword {
                scid: row.try_get("last_scid")?,
                start_time: row.try_get("last_start_time")?,
                name: row.try_get("last_name")?,
                sid: row.try_get("last_sid")?,
            })
        };
        let key = |session: &ListedSession| SessionKey::Keyword {
            scid: session.reference.scid,
            start_time: session.start_time,
            name: session.reference.name.clone(),
            sid: session.reference.sid,
        };
        page(&rows, "sid", (LOOKED_BY_KEYWORD_MAX, ask.take), ListedSession::read, key, last)
    }

    /// Lists handles of all types by id, whether or not they have expired.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.admin.handles", level = "debug", skip_all)]
    pub async fn list_handles(&self, ask: &HandlesAsk) -> Result<Paged<ListedHandle, Uuid>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_handles.sql"))
            .bind(ask.after.unwrap_or_default())
            .bind(ask.xuid.map(xuid_to_column))
            .bind(ask.scid)
            .bind(ask.kind);
        let rows = self.rows(query).await?;
        let read = |row: &PgRow| Ok(ListedHandle { handle: HandleRow::read(row)?, bound: row.try_get("bound")? });
        page(&rows, "id", (LOOKED_MAX, ask.take), read, |listed| listed.handle.id, |row| row.try_get("last_id"))
    }

    /// Reads a session with what else is kept of it, as of one instant: with all its members, or, if it is large, on demand without.
    ///
    /// # Errors
    /// `Unavailable`, `Database`; `Corrupt` for members without what belongs to them.
    #[instrument(name = "db.admin.inspect", level = "debug", skip_all)]
    pub async fn inspect_session(&self, sid: Uuid, with_crowd: bool) -> Result<Option<Inspected>, StoreError> {
        let mut snapshot = self.pool.begin_with("begin isolation level repeatable read read only").await?;
        let row = sqlx::query(include_str!("sql/inspect_session.sql")).bind(sid).fetch_optional(&mut *snapshot).await?;
        let Some(row) = row else { return Ok(None) };
        let Some(mut stored) = StoredSession::read(&row)? else { return Ok(None) };
        let rows = if with_crowd || !stored.session.large {
            sqlx::query(include_str!("sql/inspect_members.sql")).bind(sid).fetch_all(&mut *snapshot).await?
        } else {
            Vec::new()
        };
        snapshot.commit().await?;
        let member = |row: &PgRow| Ok((MemberRow::read(row)?, row.try_get("alive")?));
        let members: Vec<(MemberRow, Option<bool>)> = rows.iter().map(member).collect::<Result<_, sqlx::Error>>()?;
        if stored.session.large {
            stored.members = members.iter().filter_map(|(member, _)| member.loaded()).collect();
            stored.next_due = stored.session.next_timer_at.filter(|_| !with_crowd);
        }
        Ok(Some(Inspected { stored, members, failures: row.try_get("failures")?, handles: row.try_get("handles")? }))
    }

    /// How a session is spelled, if it is there, and the user of one of its members, if that is.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.admin.name", level = "debug", skip_all)]
    pub async fn name_session(
        &self,
        sid: Uuid,
        member: Option<MemberIndex>,
    ) -> Result<Option<(ReferenceRow, Option<Xuid>)>, StoreError> {
        let index = member.and_then(|index| i32::try_from(index).ok());
        let rows = self.rows(sqlx::query(include_str!("sql/name_session.sql")).bind(sid).bind(index)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let xuid = row.try_get::<Option<i64>, _>("xuid")?.map(|xuid| Xuid(xuid_from_column(xuid)));
        Ok(Some((ReferenceRow::read(row)?, xuid)))
    }

    /// Writes down what an administrator is about to do. Its outcome is not known yet.
    ///
    /// # Errors
    /// `Unavailable`, `Database`: then it must not be done.
    #[instrument(name = "db.audit.put", level = "debug", skip_all)]
    pub async fn put_audit(&self, row: &AuditRow) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("sql/put_audit.sql"))
            .bind(row.id)
            .bind(row.at)
            .bind(&row.actor)
            .bind(&row.action)
            .bind(row.target.as_deref())
            .bind(row.reason.as_deref())
            .bind(row.detail.as_deref())
            .bind(Some(row.xuids.iter().map(ToString::to_string).collect::<Vec<_>>()).filter(|xuids| !xuids.is_empty()));
        self.touched(query).await?;
        Ok(())
    }

    /// Writes down what came of an action.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.audit.finish", level = "debug", skip_all)]
    pub async fn finish_audit(&self, id: Uuid, outcome: &str) -> Result<(), StoreError> {
        self.touched(sqlx::query(include_str!("sql/finish_audit.sql")).bind(id).bind(outcome)).await?;
        Ok(())
    }

    /// Lists actions, newest first.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.audit.list", level = "debug", skip_all)]
    pub async fn list_audit(&self, ask: &AuditAsk) -> Result<Paged<AuditRow, AuditKey>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_audit.sql"))
            .bind(ask.after.map(|key| key.at))
            .bind(ask.after.map(|key| key.id))
            .bind(ask.target.as_ref().map(|target| target.to_ascii_lowercase()))
            .bind(ask.since)
            .bind(ask.actor.as_deref())
            .bind(ask.action.as_deref())
            .bind(ask.xuid.map(|xuid| xuid.to_string()));
        let rows = self.rows(query).await?;
        let read = |row: &PgRow| {
            let xuids: Vec<String> = row.try_get::<Option<_>, _>("xuids")?.unwrap_or_default();
            Ok(AuditRow {
                xuids: xuids.iter().filter_map(|xuid| Xuid::parse(xuid).ok()).collect(),
                id: row.try_get("id")?,
                at: row.try_get("at")?,
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                target: row.try_get("target")?,
                reason: row.try_get("reason")?,
                outcome: row.try_get("outcome")?,
                detail: row.try_get("detail")?,
            })
        };
        let last = |row: &PgRow| Ok(AuditKey { at: row.try_get("last_at")?, id: row.try_get("last_id")? });
        page(&rows, "id", (LOOKED_MAX, ask.take), read, |row| AuditKey { at: row.at, id: row.id }, last)
    }
}

/// Reads a page: the entries that were found, whose column `id` is null where there are none, and where the next page goes on.
fn page<T, K>(
    rows: &[PgRow],
    id: &str,
    (looked_max, take): (i64, usize),
    read: impl Fn(&PgRow) -> Result<T, sqlx::Error>,
    key: impl Fn(&T) -> K,
    last: impl Fn(&PgRow) -> Result<K, sqlx::Error>,
) -> Result<Paged<T, K>, StoreError> {
    let mut items = Vec::with_capacity(take);
    for row in rows {
        if row.try_get::<Option<Uuid>, _>(id)?.is_none() {
            continue;
        }
        if items.len() == take {
            let next = items.last().map(key);
            return Ok(Paged { items, next });
        }
        items.push(read(row)?);
    }
    let first = rows.first();
    let looked = first.map(|row| row.try_get::<i64, _>("looked")).transpose()?.unwrap_or(0);
    let next = first.filter(|_| looked >= looked_max).map(last).transpose()?;
    Ok(Paged { items, next })
}

impl ListedSession {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            reference: ReferenceRow::read(row)?,
            branch: row.try_get("branch")?,
            change_number: row.try_get("change_number")?,
            start_time: row.try_get("start_time")?,
            next_timer_at: row.try_get("next_timer_at")?,
            visibility: row.try_get("visibility")?,
            join_restriction: row.try_get("join_restriction")?,
            read_restriction: row.try_get("read_restriction")?,
            closed: row.try_get("closed")?,
            large: row.try_get("large")?,
            member_count: row.try_get("member_count")?,
            accepted_count: row.try_get("accepted_count")?,
            max_members: row.try_get("max_members")?,
            keywords: row.try_get("keywords")?,
            body_bytes: row.try_get("body_bytes")?,
        })
    }
}
