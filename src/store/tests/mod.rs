//! The store against a real PostgreSQL.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::rows::{ChangeRow, HandleRow, MemberRow, ReferenceRow, SessionRow, StoredSession};
use super::{HandleRemoval, LoadAsk, SessionSave, Store, StoreError, TimerChange, Version};

mod administration;
mod catalog;
mod cluster;
mod concurrency;
mod connections;
mod large;
mod listing;
mod log;
mod plans;
mod queries;
mod reads;
mod save;
mod schema;
mod search;
mod search_cost;
mod social;

pub use cluster::{Database, log};

const SCID: Uuid = Uuid::from_u128(0x5f0c_1a52_7c1e_4b52_9d0e_0000_7a11_b0a7);
const ALICE: u64 = 2_533_274_800_000_001;
const BOB: u64 = u64::MAX - 1;
const ACTIVE: i16 = 3;

/// The first instant of all tests.
fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

/// A new id; the tests need no order among them.
fn fresh() -> Uuid {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes())
}

fn sid_of(name: &str) -> Uuid {
    Uuid::new_v5(&SCID, format!("lobby/{}", name.to_lowercase()).as_bytes())
}

fn reference(name: &str) -> ReferenceRow {
    ReferenceRow { sid: sid_of(name), scid: SCID, scid_spelling: None, template: "Lobby".into(), name: name.into() }
}

fn session(name: &str) -> SessionRow {
    SessionRow {
        reference: reference(name),
        branch: fresh(),
        change_number: 1,
        start_time: start(),
        next_timer_at: None,
        visibility: 0,
        join_restriction: 0,
        read_restriction: 0,
        closed: false,
        version: 1,
        max_members: 8,
        member_count: 0,
        accepted_count: 0,
        keywords: Vec::new(),
        invite_protocol: None,
        body: format!(r#"{{"name":"{name}"}}"#).into(),
        private: "{}".into(),
        large: false,
    }
}

fn member(index: i32, xuid: u64, state: i16) -> MemberRow {
    MemberRow { index, xuid, state, connection: None, device_id: None, turn: false, owner: false, large: None }
}

fn activity(name: &str, owner: u64) -> HandleRow {
    HandleRow {
        id: fresh(),
        kind: 0,
        reference: reference(name),
        owner: Some(owner),
        title_id: Some(u32::MAX),
        invited: None,
        created_at: start(),
        expires_at: None,
        origin: None,
        document: None,
    }
}

fn change(session: &SessionRow) -> ChangeRow {
    ChangeRow {
        branch: session.branch,
        change_number: session.change_number,
        at: start(),
        actor: "xuid:1".into(),
        cause: 0,
        delta: Some("{}".into()),
        kinds: 1,
        exempt: None,
        departed: None,
        deleted: false,
    }
}

/// Creates a session that carries its keywords and these members, all new.
fn create(session: SessionRow, members: Vec<MemberRow>) -> SessionSave {
    let mut save = SessionSave {
        sid: session.reference.sid,
        expected: None,
        changes: vec![change(&session)],
        write_id: fresh(),
        members: super::MemberDiff { removed: Vec::new(), put: members },
        keywords: super::KeywordDiff::default(),
        timer: session.next_timer_at.map_or(TimerChange::Keep, TimerChange::Set),
        former_members: Vec::new(),
        handles_removed: HandleRemoval::default(),
        handles: Vec::new(),
        search: None,
        after: None,
    };
    save.keywords.added = session.keywords.iter().map(|keyword| keyword.to_lowercase()).collect();
    save.after = Some(session);
    save
}

/// Changes nothing but the document of a loaded session.
fn update(stored: &StoredSession) -> SessionSave {
    let mut session = stored.session.clone();
    session.change_number += 1;
    session.body = format!(r#"{{"changeNumber":{}}}"#, session.change_number).into();
    let mut save = create(session, Vec::new());
    save.keywords.added.clear();
    save.timer = TimerChange::Keep;
    save.expected = Some(version(stored));
    save
}

/// Deletes a loaded session.
fn delete(stored: &StoredSession) -> SessionSave {
    let mut save = update(stored);
    save.changes[0].deleted = true;
    save.keywords.removed = stored.session.keywords.iter().map(|keyword| keyword.to_lowercase()).collect();
    save.after = None;
    save
}

fn version(stored: &StoredSession) -> Version {
    Version { branch: stored.session.branch, revision: stored.revision }
}

/// Asks for a session on behalf of these callers.
fn ask(name: &str, callers: &[u64]) -> LoadAsk {
    LoadAsk { callers: callers.to_vec(), ..LoadAsk::plain(sid_of(name)) }
}

async fn load(store: &Store, name: &str) -> Option<StoredSession> {
    store.load_sessions(&[ask(name, &[ALICE, 7])], start()).await.expect("the session can be loaded").remove(0).stored
}

async fn save_one(store: &Store, save: SessionSave) -> Result<(), StoreError> {
    store.save_sessions(&[save]).await.remove(0)
}

/// Creates a session and loads it again.
async fn created(store: &Store, session: SessionRow, members: Vec<MemberRow>) -> StoredSession {
    let name = session.reference.name.clone();
    save_one(store, create(session, members)).await.expect("a new session is saved");
    load(store, &name).await.expect("a saved session is there")
}
