//! A large session as the directory sees one: decided on with those members loaded that a command concerns, the others as numbers.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::{Stage, Xuid};
use crate::domain::names::MemberIndex;
use crate::domain::session::{Crowd, Member};
use crate::domain::timers;

/// The members of a large session that are not loaded. Empty while the session is not large.
#[derive(Default)]
pub(super) struct Hall {
    rest: HashMap<MemberIndex, Arc<Member>>,
    indices: HashMap<Xuid, MemberIndex>,
}

impl Hall {
    /// Loads the members of some users, those with some indices, and those whose time has come. Owners and who would inherit from
    /// them are not looked for.
    pub fn load(&mut self, stage: &mut Stage, users: &[Xuid], named: &[MemberIndex]) {
        let Some(session) = stage.record.as_mut().filter(|session| session.crowd.is_some()) else { return };
        assert!(!session.has_owners(), "scenarios have no large sessions with owners");
        let mut wanted: Vec<MemberIndex> = users.iter().filter_map(|xuid| self.indices.get(xuid)).chain(named).copied().collect();
        let crowd = session.crowd.clone().unwrap_or_default();
        if crowd.next_due.is_some_and(|due| due <= stage.now) {
            let is_due = |member: &Member| timers::due_at(session, member).is_some_and(|due| due <= stage.now);
            wanted.extend(self.rest.values().filter(|member| is_due(member)).map(|member| member.index));
        }
        let loaded: Vec<Arc<Member>> = wanted.iter().filter_map(|index| self.rest.remove(index)).collect();
        if !loaded.is_empty() {
            let mut taken = crowd.taken;
            for member in &loaded {
                taken.take(&member.roles);
            }
            session.crowd = Some(Crowd {
                count: crowd.count - loaded.len(),
                active: crowd.active - loaded.iter().filter(|member| member.state.is_active()).count(),
                taken,
                next_due: self.rest.values().filter_map(|member| timers::due_at(session, member)).min(),
            });
            session.members.extend(loaded);
            session.members.sort_by_key(|member| member.index);
        }
    }

    /// Puts all members of a large session back, and forgets those of a session that is gone.
    pub fn unload(&mut self, stage: &mut Stage) {
        let Some(session) = stage.record.as_mut().filter(|session| session.crowd.is_some()) else {
            *self = Self::default();
            return;
        };
        let members = std::mem::take(&mut session.members);
        let mut crowd = session.crowd.take().unwrap_or_default();
        for member in members {
            crowd.count += 1;
            crowd.active += usize::from(member.state.is_active());
            crowd.taken.add(&member.roles);
            crowd.next_due = crowd.next_due.into_iter().chain(timers::due_at(session, &member)).min();
            self.indices.insert(member.xuid, member.index);
            self.rest.insert(member.index, member);
        }
        session.crowd = Some(crowd);
    }
}
