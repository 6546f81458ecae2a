//! What is told after a commit, to whoever listens in this process and, by way of them, in others.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::domain::change::Kinds;
use crate::domain::names::{Branch, MemberIndex};
use crate::domain::subscription::Listener;
use crate::store::rows::HandleRow;

/// What was committed of one session.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The session.
    pub sid: Uuid,
    /// Its service config, template and name, joined by `~` (N-50).
    pub resource: Arc<str>,
    /// Its changes, oldest first; none if only invites were made, or if it is not known what was committed.
    pub changes: Vec<Told>,
    /// The subscriptions of its members as they are afterwards; none of a session that ended.
    pub listeners: Vec<Listener>,
    /// Whether those were others before.
    pub moved: bool,
    /// Invites that were made (N-60).
    pub invites: Vec<HandleRow>,
}

/// One change of a session, as far as taps ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which life of the session.
    pub branch: Branch,
    /// Its number.
    pub change_number: u64,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kinds: Kinds,
    /// The member who is not tapped for it (N-39).
    pub exempt: Option<MemberIndex>,
    /// Whether it ended the session.
    pub deleted: bool,
    /// The subscriptions of members that left in it.
    pub departed: Vec<Listener>,
}

impl Announcement {
    /// That something may have been committed: a save whose outcome was unknown.
    #[must_use]
    pub fn unsure(sid: Uuid) -> Self {
        Self { sid, resource: Arc::default(), changes: Vec::new(), listeners: Vec::new(), moved: false, invites: Vec::new() }
    }
}

impl Told {
    /// Whether a subscription is fired by it (N-53).
    #[must_use]
    pub fn fires(&self, listener: &Listener) -> bool {
        self.exempt != Some(listener.index) && listener.wants.fires(self.kinds)
    }
}

/// Where announcements go, once somebody listens.
#[derive(Debug, Clone, Default)]
pub(super) struct Outlet(Arc<OnceLock<mpsc::UnboundedSender<Announcement>>>);

impl Outlet {
    /// Lets somebody listen; the first one does.
    pub fn connect(&self) -> Option<mpsc::UnboundedReceiver<Announcement>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.set(sender).ok().map(|()| receiver)
    }

    /// Whether anybody listens.
    pub fn is_connected(&self) -> bool {
        self.0.get().is_some()
    }

    /// Tells what was committed. Whoever listens takes it at once and never makes the writer wait.
    pub fn tell(&self, announcement: Announcement) {
        if let Some(sender) = self.0.get() {
            // Nobody is there any more when the process ends.
            let _ = sender.send(announcement);
        }
    }
}
