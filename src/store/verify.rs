//! The projection check: whether everything that repeats a session in columns and satellite rows says what the session says.
//!
//! Runs at the end of every integration test, and for an operator who asks for it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::everything::Holding;
use super::projection::{keyword_keys, loaded_session, member_rows, search_rows, session_row};
use super::rows::{SessionRow, StoredSession, handle_code};
use super::{Store, StoreError};
use crate::domain::session::{Crowd, Session};
use crate::domain::timers;
use crate::wire::stored::{self, Stored};

/// How many sessions are compared at a time.
const PAGE: u32 = 5000;

impl Store {
    /// Compares all sessions with their rows and reports every difference, one sentence each.
    ///
    /// Meant for a database that nobody writes to: a page is one snapshot, the whole is not.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn verify(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let mut after = Uuid::nil();
        loop {
            let page = self.load_everything(after, PAGE).await?;
            for (sid, holding) in &page.holdings {
                let mut report = Report { sid: *sid, found: &mut found };
                match &holding.session {
                    Some(row) => match whole(row, holding) {
                        Ok(session) => compare(&session, holding, &mut report),
                        Err(error) => report.add(&error.to_string()),
                    },
                    None => leftovers(holding, &mut report),
                }
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(found),
            }
        }
    }
}

struct Report<'a> {
    sid: Uuid,
    found: &'a mut Vec<String>,
}

impl Report<'_> {
    fn add(&mut self, what: &str) {
        self.found.push(format!("session {}: {what}", self.sid));
    }

    fn check(&mut self, same: bool, what: &str) {
        if !same {
            self.add(what);
        }
    }
}

/// The session with all its members: those of a large one from their rows, so that what it counts is counted anew.
fn whole(row: &SessionRow, holding: &Holding) -> Result<Session, stored::Corrupt> {
    let documents = holding.members.iter().filter_map(|stored| stored.member.loaded());
    let members = if row.large { documents.collect() } else { Vec::new() };
    let stored = StoredSession { revision: 0, session: row.clone(), former_members: Vec::new(), members, next_due: None };
    let mut session = loaded_session(&stored)?;
    session.crowd = session.crowd.map(|_| Crowd::default());
    Ok(session)
}

fn compare(session: &Session, holding: &Holding, report: &mut Report) {
    let Some(row) = &holding.session else { return };
    let Stored { body, private } = stored::render(session);
    let expected = session_row(session, body.into(), private);
    report.check(row.reference.sid == session.reference.sid(), "its key is not that of its reference");
    report.check(row.body == expected.body, "its document is not what rendering it gives");
    report.check(row.private == expected.private, "its private part is not what rendering it gives");
    report.check(*row == expected, "its columns differ from its document");

    let template_key = session.reference.template.key();
    let scid = session.reference.scid.id();
    let members = member_rows(session);
    let stored_members = holding.members.iter().map(|stored| (stored.member.index, stored.member.clone())).collect();
    report.check(members == stored_members, "its member rows differ from its document");
    let placed = holding.members.iter().all(|stored| stored.scid == scid && stored.template_key == template_key);
    report.check(placed, "a member row names another service config or template");

    let keywords = keyword_keys(session);
    let stored_keywords = holding.keywords.iter().map(|stored| stored.keyword.clone()).collect();
    report.check(keywords == stored_keywords, "its keyword rows differ from its document");
    let placed = holding.keywords.iter().all(|stored| {
        let place = (stored.scid, stored.start_time, stored.name.as_str(), stored.template_key.as_str());
        place == (scid, session.start_time, session.reference.name.as_str(), template_key.as_str())
    });
    report.check(placed, "a keyword row names another session");

    compare_search(session, holding, report);

    let next = timers::next(session);
    let timed = match (&holding.timer, next) {
        (None, None) => true,
        (Some(timer), Some(next)) => timer.due_at == next || (timer.failures > 0 && timer.due_at > next),
        _ => false,
    };
    report.check(timed, "its timer row differs from its document");
    let branch = session.branch.0;
    report.check(holding.former_members.iter().all(|former| former.branch == branch), "a former member is of another branch");
}

/// What a session is found by; one without a search handle has none of it.
fn compare_search(session: &Session, holding: &Holding, report: &mut Report) {
    let expected = search_rows(session);
    let stored = holding.handles.iter().find(|handle| handle.kind == handle_code::SEARCH);
    report.check(stored == expected.as_ref().map(|rows| &rows.handle), "its search handle differs from its document");
    let (values, terms) = expected.as_ref().map(|rows| (rows.values.clone(), rows.terms.clone())).unwrap_or_default();
    let stored: BTreeMap<_, _> =
        holding.search_values.iter().map(|(value, _)| (value.attribute.clone(), value.clone())).collect();
    report.check(stored == values, "the values it is found by differ from its document");
    let stored: BTreeSet<_> = holding.search_terms.iter().map(|(term, _)| term.clone()).collect();
    report.check(stored == terms, "the terms it is found by differ from its document");
    let values = holding.search_values.iter().map(|(_, place)| place);
    let terms = holding.search_terms.iter().map(|(_, place)| place);
    let placed = values.chain(terms).all(|place| expected.as_ref().is_some_and(|rows| rows.place == *place));
    report.check(placed, "a row that it is found by stands elsewhere");
}

/// What may be there for a session that is not: invites, and activities that wait for it.
fn leftovers(holding: &Holding, report: &mut Report) {
    report.check(holding.members.is_empty(), "there are members of a session that does not exist");
    report.check(holding.keywords.is_empty(), "there are keywords of a session that does not exist");
    report.check(holding.timer.is_none(), "there is a timer of a session that does not exist");
    report.check(holding.former_members.is_empty(), "there are former members of a session that does not exist");
    let sought = !holding.search_values.is_empty() || !holding.search_terms.is_empty();
    report.check(!sought, "a session that does not exist can be found");
    let waiting = holding.handles.iter().all(|handle| {
        handle.kind == handle_code::INVITE || (handle.kind == handle_code::ACTIVITY && handle.expires_at.is_some())
    });
    report.check(waiting, "there is a handle of a session that does not exist");
}
