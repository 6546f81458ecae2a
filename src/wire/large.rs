//! Large sessions, whose members are hidden from each other (M-95 to M-97): what is stored of them, and what one reader sees.
//!
//! The stored document ends before its members. Beside it stand their numbers; each member's entry is a text of its own. A reader is
//! shown the document, the numbers, and its own entry under the key `me`.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::fields::Fields;
use super::stored::{Beside, Corrupt, ENTRY, body_of, corrupt, entry, parse, parse_but, read_member, read_role_types};
use crate::domain::names::{MemberIndex, Xuid};
use crate::domain::roles::{Holders, RoleTypes, Taken};
use crate::domain::session::{Crowd, Member, Session};
use crate::json::{Json, Object};

/// What is known of all members of a large session together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    next_index: MemberIndex,
    count: usize,
    active: usize,
    role_types: RoleTypes,
    taken: Taken,
}

impl Totals {
    /// Sums up a session.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        Self {
            next_index: session.next_index,
            count: session.member_count(),
            active: session.active_count(),
            role_types: session.role_types.clone(),
            taken: session.taken(),
        }
    }

    /// The form they are stored in: as `membersInfo` has them, and the role types with their counts.
    pub(super) fn render(&self) -> Json {
        let mut fields = Object::new();
        let numbers = [("next", self.next_index as usize), ("count", self.count), ("active", self.active)];
        for (name, number) in numbers {
            fields.insert(name.into(), (number as u64).into());
        }
        if !self.role_types.is_empty() {
            fields.insert("roleTypes".into(), self.role_types.render(Some(&self.taken), None).into());
        }
        fields.into()
    }

    /// Reads them back.
    ///
    /// # Errors
    /// When the value is not of the form `render` gives it.
    pub(super) fn read(value: &Json) -> Result<Self, Corrupt> {
        let number = |name: &str| value.get(name).and_then(Json::as_u64);
        let (Some(next), Some(count), Some(active)) = (number("next"), number("count"), number("active")) else {
            return corrupt("private.large");
        };
        let mut totals = Self {
            next_index: MemberIndex::try_from(next).or_else(|_| corrupt("private.large.next"))?,
            count: usize::try_from(count).or_else(|_| corrupt("private.large.count"))?,
            active: usize::try_from(active).or_else(|_| corrupt("private.large.active"))?,
            ..Self::default()
        };
        if let Some(types) = value.get("roleTypes") {
            totals.role_types = read_role_types(types)?;
            for (type_name, role_type) in totals.role_types.iter() {
                for name in role_type.roles.keys() {
                    let role = types.get(type_name).and_then(|one| one.get("roles")?.get(name));
                    let count = role.and_then(|role| role.get("count")).and_then(Json::as_u64).unwrap_or(0);
                    totals.taken.put(type_name, name, usize::try_from(count).unwrap_or(usize::MAX));
                }
            }
        }
        Ok(totals)
    }

    /// Makes a session large, with none of its members loaded.
    pub(super) fn enter(self, session: &mut Session) {
        session.next_index = self.next_index;
        session.role_types = self.role_types;
        session.crowd = Some(Crowd { count: self.count, active: self.active, taken: self.taken, next_due: None });
    }
}

/// A member's entry as it is stored: without `next`, which depends on the reader.
#[must_use]
pub fn member_text(member: &Member) -> String {
    let mut text = String::with_capacity(512);
    entry(member, None, false, &mut text);
    text
}

/// Reads a stored entry.
///
/// # Errors
/// When the text is not of the form `member_text` gives it.
pub fn read_member_text(text: &str, beside: Beside) -> Result<Member, Corrupt> {
    read_member(parse_but(text, &ENTRY)?, beside)
}

/// Loads members into a large session that was read without them; `next_due` is when the first of the others is due.
///
/// # Errors
/// When there are more members than the session counts.
pub fn with_members(mut session: Session, mut members: Vec<Member>, next_due: Option<DateTime<Utc>>) -> Result<Session, Corrupt> {
    members.sort_by_key(|member| member.index);
    let Some(crowd) = &mut session.crowd else { return corrupt("private.large") };
    let active = members.iter().filter(|member| member.state.is_active()).count();
    let (Some(others), Some(active)) = (crowd.count.checked_sub(members.len()), crowd.active.checked_sub(active)) else {
        return corrupt("private.large.count");
    };
    (crowd.count, crowd.active, crowd.next_due) = (others, active, next_due);
    for member in &members {
        crowd.taken.take(&member.roles);
    }
    session.members = members.into_iter().map(Arc::new).collect();
    Ok(session)
}

/// The document that a reader of a session sees: of a large session with the reader's own entry only, of another the one for all.
#[must_use]
pub fn document(session: &Session, viewer: Option<Xuid>) -> String {
    let body = body_of(session);
    if session.is_large() { complete(&body, session, viewer) } else { body }
}

/// Completes the stored document of a large session for one reader.
#[must_use]
pub fn complete(body: &str, session: &Session, viewer: Option<Xuid>) -> String {
    let own = viewer.and_then(|xuid| session.member(xuid));
    show(body, &Totals::of(session), own)
}

/// The document that a reader sees, from what is stored: the session's two texts, and the reader's own entry if it is a member.
///
/// # Errors
/// When a text is not of the form it was written in.
pub fn read_shown(body: &str, private: &str, own: Option<&str>) -> Result<String, Corrupt> {
    let private = parse(private)?;
    let Some(large) = private.get("large") else { return corrupt("private.large") };
    let own = own.map(|text| read_member_text(text, Beside::default())).transpose()?;
    Ok(show(body, &Totals::read(large)?, own.as_ref()))
}

fn show(body: &str, totals: &Totals, own: Option<&Member>) -> String {
    let mut out = String::with_capacity(body.len() + 1024);
    out.push_str(body.strip_suffix('}').unwrap_or(body));
    let mut tail = String::with_capacity(1024);
    let mut fields = Fields::open(&mut tail);
    if !totals.role_types.is_empty() {
        let mut holders = Holders::default();
        if let Some(member) = own {
            holders.add(member.xuid, &member.roles);
        }
        fields.value("roleTypes", &totals.role_types.render(Some(&totals.taken), Some(&holders)).into());
    }
    let mut info = Fields::open(fields.key("membersInfo"));
    info.number("first", own.map_or(totals.next_index, |own| own.index));
    info.number("next", totals.next_index);
    info.number("count", totals.count);
    info.number("accepted", totals.count);
    info.number("active", totals.active);
    info.close();
    let mut members = Fields::open(fields.key("members"));
    if let Some(member) = own {
        entry(member, Some(totals.next_index), false, members.key("me"));
    }
    members.close();
    fields.close();
    out.push(',');
    out.push_str(&tail[1..]);
    out
}
