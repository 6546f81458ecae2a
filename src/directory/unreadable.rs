//! Sessions whose stored texts cannot be read, by a fault of the service or of whoever wrote to its database: administrators see what
//! is stored, and can be rid of it. Nothing is decided on such a session.

use std::sync::Arc;

use uuid::Uuid;

use super::{Directory, DirectoryError, actor};
use crate::domain::change::Cause;
use crate::domain::instant::render_instant;
use crate::domain::principal::Principal;
use crate::domain::refusal::{Kind, Refusal};
use crate::json::{Json, Object};
use crate::store::rows::{ChangeRow, StoredSession};
use crate::store::{
    HandleChange, HandleRemoval, Inspected, KeywordDiff, MemberDiff, SearchDiff, SearchPlace, SessionSave, StoreError,
    TimerChange, Version,
};

/// How often it is tried to delete a session that others write to.
const ATTEMPTS: u32 = 5;

/// Renders `{"session": null, "unreadable": why, "stored": {…}}`.
pub fn render(found: &Inspected, why: &str) -> String {
    let row = &found.stored.session;
    let mut stored = Object::new();
    stored.insert("correlationId".into(), row.reference.sid.to_string().into());
    stored.insert("scid".into(), row.reference.scid.to_string().into());
    stored.insert("templateName".into(), row.reference.template.as_str().into());
    stored.insert("name".into(), row.reference.name.as_str().into());
    stored.insert("branch".into(), row.branch.to_string().into());
    stored.insert("revision".into(), found.stored.revision.cast_unsigned().into());
    stored.insert("changeNumber".into(), row.change_number.cast_unsigned().into());
    stored.insert("startTime".into(), render_instant(row.start_time).into());
    if let Some(next) = row.next_timer_at {
        stored.insert("nextTimer".into(), render_instant(next).into());
    }
    stored.insert("large".into(), row.large.into());
    stored.insert("membersCount".into(), row.member_count.cast_unsigned().into());
    stored.insert("keywords".into(), row.keywords.iter().map(String::as_str).collect());
    stored.insert("body".into(), row.body.as_str().into());
    stored.insert("private".into(), row.private.as_str().into());
    let members = found.members.iter().map(|(member, _)| {
        let mut fields = Object::new();
        fields.insert("xuid".into(), member.xuid.to_string().into());
        if let Some(large) = &member.large {
            fields.insert("document".into(), large.document.as_str().into());
        }
        (member.index.to_string().as_str().into(), Json::from(fields))
    });
    stored.insert("members".into(), members.collect::<Object>().into());
    let mut fields = Object::new();
    fields.insert("session".into(), Json::Null);
    fields.insert("unreadable".into(), why.into());
    fields.insert("stored".into(), stored.into());
    Json::from(fields).to_string()
}

/// Deletes such a session with all its rows, and says so in the log. Nobody is tapped: who would be, cannot be read.
///
/// # Errors
/// 404 when it is gone already; what the store cannot do.
pub async fn close(directory: &Directory, sid: Uuid, principal: &Arc<Principal>) -> Result<(), DirectoryError> {
    for _ in 0..ATTEMPTS {
        let Some(found) = directory.store.inspect_session(sid, false).await? else {
            return Err(Refusal::new(Kind::Missing, "the session does not exist").into());
        };
        let save = deletion(directory, found.stored, principal);
        match directory.store.save_sessions(std::slice::from_ref(&save)).await.pop() {
            Some(Err(StoreError::LostRace)) => {}
            outcome => return Ok(outcome.unwrap_or(Ok(()))?),
        }
    }
    Err(StoreError::LostRace.into())
}

fn deletion(directory: &Directory, stored: StoredSession, principal: &Principal) -> SessionSave {
    let row = stored.session;
    let change = ChangeRow {
        branch: row.branch,
        change_number: row.change_number + 1,
        at: directory.clock.now(),
        actor: actor(principal),
        cause: Cause::Request.code(),
        delta: None,
        kinds: 0,
        departed: None,
        exempt: None,
        deleted: true,
    };
    let place = SearchPlace {
        scid: row.reference.scid,
        template_key: row.reference.template.to_ascii_lowercase(),
        posted_at: row.start_time,
    };
    // What it is found by goes by its id, whatever that was.
    let search = SearchDiff {
        place,
        handle: HandleChange::Remove,
        removed_values: Vec::new(),
        values: Vec::new(),
        removed_terms: Vec::new(),
        terms: Vec::new(),
    };
    let mut keywords: Vec<String> = row.keywords.iter().map(|keyword| keyword.to_lowercase()).collect();
    keywords.sort_unstable();
    keywords.dedup();
    SessionSave {
        sid: row.reference.sid,
        expected: Some(Version { branch: row.branch, revision: stored.revision }),
        after: None,
        changes: vec![change],
        write_id: directory.ids.uuid(),
        members: MemberDiff::default(),
        keywords: KeywordDiff { removed: keywords, added: Vec::new() },
        timer: TimerChange::Clear,
        former_members: Vec::new(),
        handles_removed: HandleRemoval::AllButInvites,
        handles: Vec::new(),
        search: Some(Box::new(search)),
    }
}
