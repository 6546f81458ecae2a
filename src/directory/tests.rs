//! A write's way through the directory without the store, for whoever measures it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::deciding::read_basis;
use super::plan::{Asked, House, Plan};
use super::{Announcement, Written};
use crate::domain::access::{Facts, Pass};
use crate::domain::command::Command;
use crate::domain::limits::Limits;
use crate::domain::principal::Principal;
use crate::domain::session::Session;
use crate::domain::template::Template;
use crate::store::SessionSave;
use crate::store::projection::session_row;
use crate::store::rows::{Loaded, StoredSession};
use crate::wire::stored;

/// A command on a stored session that it changes.
pub(crate) struct Round {
    loaded: Loaded,
    facts: Facts,
    asked: Asked,
    limits: Limits,
    now: DateTime<Utc>,
}

impl Round {
    /// Stores a session, so to speak, and asks something of it.
    pub fn of(
        session: &Session,
        facts: Facts,
        template: Arc<Template>,
        command: Command,
        principal: Principal,
        now: DateTime<Utc>,
    ) -> Self {
        let rendered = stored::render(session);
        let stored = StoredSession {
            revision: 1,
            session: session_row(session, rendered.body.into(), rendered.private),
            former_members: Vec::new(),
            members: Vec::new(),
            next_due: None,
        };
        let reference = session.reference.clone();
        let (principal, handle, pass) = (Arc::new(principal), None, Pass::Nothing);
        Self {
            loaded: Loaded { stored: Some(stored), follows: Vec::new(), blocks: Vec::new(), connections: Vec::new() },
            facts,
            asked: Asked { reference, template, principal, command, handle, pass, nocommit: false },
            limits: Limits::default(),
            now,
        }
    }

    /// From what the store gave to what it is given: read, settled, decided, rendered, projected.
    pub fn go(&self) -> (Written, Announcement, SessionSave) {
        let sid = Uuid::nil();
        let basis = read_basis(sid, &self.loaded).expect("what is rendered can be read");
        let mut plan = Plan::new(basis, Some(self.facts.clone()), self.now);
        let written = plan.run(&self.asked, House { limits: &self.limits }, Uuid::nil()).expect("it need not wait");
        let announcement = plan.announcement(sid).expect("something has changed");
        let save = plan.save(sid, Uuid::nil()).expect("something has changed");
        (written.expect("it is not refused"), announcement, save)
    }
}
