//! Reads rows out of answers of the database, column by column.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{Column, Row as _};
use uuid::Uuid;

use super::SearchPlace;
use super::rows::{
    ActivityRow, ActivitySessionRow, CandidateRow, ChangeRow, Codes, HandleReadRow, HandleRow, LargeMember, LoadedMember,
    MemberRow, ReadRow, ReferenceRow, SearchRow, SessionRow, StoredSession, xuid_from_column,
};
use super::search::key_value;
use crate::domain::search::SearchKey;

/// The place of an answer among the asks of a gathered statement, which is its first column.
pub(super) fn place(row: &PgRow) -> Result<usize, sqlx::Error> {
    debug_assert_eq!(row.column(0).name(), "n");
    let ordinal: i64 = row.try_get(0)?;
    usize::try_from(ordinal - 1).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Whether the session joined to a row exists.
fn has_session(row: &PgRow) -> Result<bool, sqlx::Error> {
    Ok(row.try_get::<Option<Uuid>, _>("sid")?.is_some())
}

impl ReferenceRow {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            sid: row.try_get("sid")?,
            scid: row.try_get("scid")?,
            scid_spelling: row.try_get("scid_spelling")?,
            template: row.try_get("template")?,
            name: row.try_get("name")?,
        })
    }
}

impl SessionRow {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
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
            version: row.try_get("version")?,
            max_members: row.try_get("max_members")?,
            member_count: row.try_get("member_count")?,
            accepted_count: row.try_get("accepted_count")?,
            keywords: row.try_get("keywords")?,
            invite_protocol: row.try_get("invite_protocol")?,
            body: Arc::new(row.try_get("body")?),
            private: row.try_get("private")?,
            large: row.try_get("large")?,
        })
    }
}

impl ReadRow {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            reference: ReferenceRow::read(row)?,
            branch: row.try_get("branch")?,
            change_number: row.try_get("change_number")?,
            next_timer_at: row.try_get("next_timer_at")?,
            visibility: row.try_get("visibility")?,
            read_restriction: row.try_get("read_restriction")?,
            caller_state: row.try_get("caller_state")?,
            body: row.try_get("body")?,
            private: row.try_get("private")?,
            caller_document: row.try_get("caller_document")?,
        })
    }
}

impl HandleRow {
    /// Reads a handle whose reference columns are prefixed with `handle_`, as they stand beside those of the session.
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let xuid = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(xuid_from_column));
        Ok(Self {
            id: row.try_get("id")?,
            kind: row.try_get("type")?,
            reference: ReferenceRow {
                sid: row.try_get("handle_sid")?,
                scid: row.try_get("handle_scid")?,
                scid_spelling: row.try_get("handle_scid_spelling")?,
                template: row.try_get("handle_template")?,
                name: row.try_get("handle_name")?,
            },
            owner: xuid("owner")?,
            title_id: row.try_get::<Option<i64>, _>("title_id")?.map(title_id_from_column).transpose()?,
            invited: xuid("invited")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            origin: row.try_get::<Option<_>, _>("origin_sid")?.zip(row.try_get("origin_scid")?),
            document: row.try_get("document")?,
        })
    }
}

impl SearchPlace {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { scid: row.try_get("scid")?, template_key: row.try_get("template_key")?, posted_at: row.try_get("posted_at")? })
    }
}

/// The columns of a candidate, which stand together in this order in every statement that finds some.
const CANDIDATE: [&str; 10] =
    ["sid", "scid_spelling", "template", "name", "start_time", "next_timer_at", "version", "accepted_count", "keywords", "codes"];

impl CandidateRow {
    /// Reads a candidate of a service config by the places of its columns, of which the first is given: there may be thousands, and a name
    /// takes longer to find than a value to read.
    pub(super) fn read(row: &PgRow, scid: Uuid, first: usize) -> Result<Self, sqlx::Error> {
        debug_assert!(row.columns()[first..].iter().map(Column::name).eq(CANDIDATE));
        let mut places = first..;
        let mut next = || places.next().expect("there are more numbers than columns");
        // In the order of the columns.
        let reference = ReferenceRow {
            sid: row.try_get(next())?,
            scid,
            scid_spelling: row.try_get(next())?,
            template: row.try_get(next())?,
            name: row.try_get(next())?,
        };
        Ok(Self {
            reference,
            start_time: row.try_get(next())?,
            next_timer_at: row.try_get(next())?,
            version: row.try_get(next())?,
            accepted_count: row.try_get(next())?,
            keywords: row.try_get(next())?,
            codes: Codes::of(row.try_get(next())?),
        })
    }
}

impl ChangeRow {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            branch: row.try_get("branch")?,
            change_number: row.try_get("change_number")?,
            at: row.try_get("at")?,
            actor: row.try_get("actor")?,
            cause: row.try_get("cause")?,
            delta: row.try_get("delta")?,
            kinds: row.try_get("kinds")?,
            departed: row.try_get("departed")?,
            exempt: row.try_get("exempt")?,
            deleted: row.try_get("deleted")?,
        })
    }
}

/// A title id from its column, which holds the unsigned number of 32 bits in one of 64.
pub(super) fn title_id_from_column(column: i64) -> Result<u32, sqlx::Error> {
    u32::try_from(column).map_err(|error| sqlx::Error::Decode(error.into()))
}

impl StoredSession {
    /// Reads a session that may not exist; a large one without members.
    pub(super) fn read(row: &PgRow) -> Result<Option<Self>, sqlx::Error> {
        if !has_session(row)? {
            return Ok(None);
        }
        let former: Option<Vec<i64>> = row.try_get("former")?;
        Ok(Some(Self {
            revision: row.try_get("revision")?,
            session: SessionRow::read(row)?,
            former_members: former.unwrap_or_default().into_iter().map(xuid_from_column).collect(),
            members: Vec::new(),
            next_due: None,
        }))
    }

    /// Reads a session with the members that came along.
    pub(super) fn read_large(row: &PgRow) -> Result<Option<Self>, sqlx::Error> {
        let Some(stored) = Self::read(row)? else { return Ok(None) };
        Ok(Some(Self { members: loaded_members(row)?, next_due: row.try_get("next_due")?, ..stored }))
    }
}

/// The members of a large session, which come in arrays.
fn loaded_members(row: &PgRow) -> Result<Vec<LoadedMember>, sqlx::Error> {
    let Some(documents) = row.try_get::<Option<Vec<String>>, _>("documents")? else { return Ok(Vec::new()) };
    let since: Vec<DateTime<Utc>> = row.try_get("since")?;
    let grace: Vec<Option<DateTime<Utc>>> = row.try_get("grace")?;
    let devices: Vec<Option<String>> = row.try_get("devices")?;
    let members = documents.into_iter().zip(since).zip(grace).zip(devices);
    Ok(members
        .map(|(((document, since), grace_until), device_id)| LoadedMember { document, since, grace_until, device_id })
        .collect())
}

impl HandleReadRow {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let session = if has_session(row)? { Some(ReadRow::read(row)?) } else { None };
        Ok(Self {
            handle: HandleRow::read(row)?,
            session,
            from_origin: row.try_get("from_origin")?,
            origin_due: row.try_get("origin_due")?,
        })
    }
}

impl ActivityRow {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let session = if has_session(row)? {
            Some(ActivitySessionRow {
                reference: ReferenceRow::read(row)?,
                next_timer_at: row.try_get("next_timer_at")?,
                closed: row.try_get("closed")?,
                max_members: row.try_get("max_members")?,
                member_count: row.try_get("member_count")?,
                accepted_count: row.try_get("accepted_count")?,
                codes: Codes::of(row.try_get("codes")?),
                invite_protocol: row.try_get("invite_protocol")?,
                body: row.try_get("body")?,
                private: row.try_get("private")?,
                owners: owners(row)?,
            })
        } else {
            None
        };
        Ok(Self { handle: HandleRow::read(row)?, session })
    }
}

impl SearchRow {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            key: SearchKey {
                value: key_value(row.try_get("number")?, row.try_get("text")?),
                posted_at: row.try_get("posted_at")?,
                sid: row.try_get("key_sid")?,
            },
            handle: HandleRow::read(row)?,
            next_timer_at: row.try_get("next_timer_at")?,
            body: row.try_get("body")?,
            private: row.try_get("private")?,
            owners: owners(row)?,
        })
    }
}

/// Owners that came in two arrays.
fn owners(row: &PgRow) -> Result<Vec<(i32, u64)>, sqlx::Error> {
    let indices: Option<Vec<i32>> = row.try_get("owner_indices")?;
    let xuids: Option<Vec<i64>> = row.try_get("owner_xuids")?;
    Ok(indices.unwrap_or_default().into_iter().zip(xuids.unwrap_or_default().into_iter().map(xuid_from_column)).collect())
}

impl MemberRow {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let document: Option<String> = row.try_get("document")?;
        let large = |document| {
            let (since, due_at, joined_at) = (row.try_get("since")?, row.try_get("due_at")?, row.try_get("joined_at")?);
            Ok::<_, sqlx::Error>(LargeMember { document, since, due_at, joined_at, grace_until: row.try_get("grace_until")? })
        };
        Ok(Self {
            index: row.try_get("index")?,
            xuid: xuid_from_column(row.try_get("xuid")?),
            state: row.try_get("state")?,
            connection: row.try_get("connection")?,
            device_id: row.try_get("device_id")?,
            turn: row.try_get("turn")?,
            owner: row.try_get("owner")?,
            large: document.map(large).transpose()?,
        })
    }
}
