//! What of a session is repeated in columns and satellite rows, found by one function (the projection), and how two projections
//! differ: the save writes just that, and the check of a whole database compares against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rows::{
    HandleRow, LargeMember, LoadedMember, MemberRow, ReferenceRow, SearchValueRow, SessionRow, StoredSession, handle_code,
};
use super::{HandleChange, KeywordDiff, MemberDiff, SearchDiff, SearchPlace, TimerChange};
use crate::domain::handle::{About, Handle, HandleType};
use crate::domain::listing::{Finding, Sought};
use crate::domain::names::{HandleId, MemberIndex, Scid, SessionName, SessionReference, TemplateName, TitleId, Xuid};
use crate::domain::session::{Member, MemberState, Record, Restriction, Session, Visibility};
use crate::domain::timers;
use crate::json::Json;
use crate::wire::handle as wire_handle;
use crate::wire::large;
use crate::wire::stored::{self, Beside};

/// The code of a type of handle.
#[must_use]
pub fn handle_code_of(kind: HandleType) -> i16 {
    match kind {
        HandleType::Activity => handle_code::ACTIVITY,
        HandleType::Invite => handle_code::INVITE,
        HandleType::Search => handle_code::SEARCH,
        HandleType::Transfer => handle_code::TRANSFER,
    }
}

/// The type of handle behind a code.
#[must_use]
pub fn handle_type_of(code: i16) -> Option<HandleType> {
    HandleType::ALL.into_iter().find(|kind| handle_code_of(*kind) == code)
}

/// The row of a handle. When an activity ends that is never bound is not known to it: `expires_at` is `None` but for invites.
#[must_use]
pub fn handle_row(handle: &Handle) -> HandleRow {
    let invite = if let About::Invite(invite) = &handle.about { Some(invite) } else { None };
    HandleRow {
        id: handle.id.0,
        kind: handle_code_of(handle.kind()),
        reference: reference_row(&handle.reference),
        owner: handle.owner.map(|owner| owner.0),
        title_id: handle.title_id.map(|title| title.0),
        invited: invite.map(|invite| invite.invited.0),
        created_at: handle.created_at,
        expires_at: invite.map(|invite| invite.expires_at),
        origin: if let About::Transfer { origin } = &handle.about { Some((origin.sid(), origin.scid.id())) } else { None },
        document: wire_handle::document(&handle.about),
    }
}

/// Reads a handle back from its row.
///
/// # Errors
/// When a column or the document is malformed.
pub fn handle_of(row: &HandleRow) -> Result<Handle, stored::Corrupt> {
    let kind = handle_type_of(row.kind).ok_or_else(|| stored::Corrupt::new("its type is unknown"))?;
    Ok(Handle {
        id: HandleId(row.id),
        reference: reference_of(&row.reference).ok_or_else(|| stored::Corrupt::new("the reference is malformed"))?,
        owner: row.owner.map(Xuid),
        title_id: row.title_id.map(TitleId),
        created_at: row.created_at,
        about: wire_handle::read_document(kind, row.invited.map(Xuid), row.expires_at, row.document.as_deref())?,
    })
}

/// The columns that name a session.
#[must_use]
pub fn reference_row(reference: &SessionReference) -> ReferenceRow {
    let plain = reference.scid.id().hyphenated().to_string();
    ReferenceRow {
        sid: reference.sid(),
        scid: reference.scid.id(),
        scid_spelling: (reference.scid.as_str() != plain).then(|| reference.scid.as_str().to_owned()),
        template: reference.template.as_str().to_owned(),
        name: reference.name.as_str().to_owned(),
    }
}

/// The session that columns name; `None` if they are malformed.
#[must_use]
pub fn reference_of(row: &ReferenceRow) -> Option<SessionReference> {
    let scid = match &row.scid_spelling {
        Some(spelling) => Scid::parse(spelling).ok()?,
        None => row.scid.into(),
    };
    Some(SessionReference { scid, template: TemplateName::parse(&row.template).ok()?, name: SessionName::parse(&row.name).ok()? })
}

/// The code of a visibility.
#[must_use]
pub fn visibility_code(visibility: Visibility) -> i16 {
    match visibility {
        Visibility::Open => 0,
        Visibility::Visible => 1,
        Visibility::Private => 2,
    }
}

/// The visibility of a code; whatever is unknown is private.
#[must_use]
pub fn visibility_of(code: i16) -> Visibility {
    match code {
        0 => Visibility::Open,
        1 => Visibility::Visible,
        _ => Visibility::Private,
    }
}

/// The code of a restriction.
#[must_use]
pub fn restriction_code(restriction: Restriction) -> i16 {
    match restriction {
        Restriction::None => 0,
        Restriction::Followed => 1,
        Restriction::Local => 2,
    }
}

/// The restriction of a code; whatever is unknown is the narrowest.
#[must_use]
pub fn restriction_of(code: i16) -> Restriction {
    match code {
        0 => Restriction::None,
        1 => Restriction::Followed,
        _ => Restriction::Local,
    }
}

/// The code of a member's state.
#[must_use]
pub fn state_code(state: MemberState) -> i16 {
    match state {
        MemberState::Reserved => 0,
        MemberState::Inactive => 1,
        MemberState::Ready => 2,
        MemberState::Active { .. } => 3,
    }
}

/// The row of a session.
#[must_use]
pub fn session_row(session: &Session, body: Arc<String>, private: String) -> SessionRow {
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    SessionRow {
        reference: reference_row(&session.reference),
        branch: session.branch.0,
        change_number: session.change_number.cast_signed(),
        start_time: session.start_time,
        next_timer_at: timers::next(session),
        visibility: visibility_code(session.visibility()),
        join_restriction: restriction_code(session.join_restriction()),
        read_restriction: restriction_code(session.read_restriction()),
        closed: session.flag("closed"),
        version: i32::try_from(session.version()).unwrap_or(i32::MAX),
        max_members: count(session.max_members()),
        member_count: count(session.member_count()),
        accepted_count: count(session.accepted_count()),
        keywords: session.keywords(),
        invite_protocol: session.invite_protocol(),
        body,
        private,
        large: session.is_large(),
    }
}

/// Reads a session back from its row; a large one with none of its members.
///
/// # Errors
/// When the texts or the reference are malformed.
pub fn session_of(row: &SessionRow) -> Result<Session, stored::Corrupt> {
    let reference = reference_of(&row.reference).ok_or_else(|| stored::Corrupt::new("the reference is malformed"))?;
    let session = stored::read(&reference, &row.body, &row.private)?;
    if session.is_large() == row.large { Ok(session) } else { Err(stored::Corrupt::new("large is not what its document says")) }
}

/// Reads a session back with those members that were loaded with it.
///
/// # Errors
/// When a text or the reference is malformed.
pub fn loaded_session(stored: &StoredSession) -> Result<Session, stored::Corrupt> {
    let session = session_of(&stored.session)?;
    if !session.is_large() {
        return Ok(session);
    }
    let read = |one: &LoadedMember| {
        let beside = Beside { since: one.since, grace_until: one.grace_until, device_id: one.device_id.clone() };
        large::read_member_text(&one.document, beside)
    };
    let members = stored.members.iter().map(read).collect::<Result<_, _>>()?;
    large::with_members(session, members, stored.next_due)
}

/// The member rows of a session, by index; of a large one those of the members that are loaded.
#[must_use]
pub fn member_rows(session: &Session) -> BTreeMap<i32, MemberRow> {
    let rows = Rows::of(session);
    session.members.iter().map(|member| rows.row(member)).map(|row| (row.index, row)).collect()
}

/// What the rows of a session's members say of the session.
struct Rows<'a> {
    session: &'a Session,
    turn: BTreeSet<MemberIndex>,
    owners: BTreeSet<MemberIndex>,
}

impl<'a> Rows<'a> {
    fn of(session: &'a Session) -> Self {
        Self { session, turn: session.turn(), owners: session.owners() }
    }

    fn row(&self, member: &Member) -> MemberRow {
        MemberRow {
            index: row_index(member.index),
            xuid: member.xuid.0,
            state: state_code(member.state),
            connection: member.connection().map(|id| id.0),
            device_id: member.device_id.clone(),
            turn: self.turn.contains(&member.index),
            owner: self.owners.contains(&member.index),
            large: self.session.is_large().then(|| large_member(self.session, member)),
        }
    }

    /// Whether both sessions say the same of a member, as far as its row repeats that.
    fn agrees(&self, other: &Self, index: MemberIndex) -> bool {
        let says = |rows: &Self| (rows.turn.contains(&index), rows.owners.contains(&index), rows.session.is_large());
        says(self) == says(other)
    }
}

fn row_index(index: MemberIndex) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn large_member(session: &Session, member: &Member) -> LargeMember {
    LargeMember {
        document: large::member_text(member),
        since: member.since,
        due_at: timers::due_at(session, member),
        joined_at: member.joined_at,
        grace_until: member.grace_until,
    }
}

/// The keywords of a session in the form they are found by.
#[must_use]
pub fn keyword_keys(session: &Session) -> BTreeSet<String> {
    session.keywords().iter().map(|keyword| keyword.to_lowercase()).collect()
}

/// What a listed session is found by, as rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRows {
    /// Where it stands among others.
    pub place: SearchPlace,
    /// Its search handle.
    pub handle: HandleRow,
    /// By attribute.
    pub values: BTreeMap<String, SearchValueRow>,
    /// Entries of lists.
    pub terms: BTreeSet<String>,
}

/// The rows that a session is found by; `None` without a search handle.
#[must_use]
pub fn search_rows(session: &Session) -> Option<SearchRows> {
    let (listing, finding) = session.listing.as_ref().zip(Finding::of(session))?;
    let place = SearchPlace {
        scid: session.reference.scid.id(),
        template_key: session.reference.template.key(),
        posted_at: listing.posted_at,
    };
    let row = |(attribute, value): (String, Sought)| {
        let (number, text) = match value {
            Sought::Number(number) => (Some(number), None),
            Sought::Text(text) => (None, Some(text)),
        };
        (attribute.clone(), SearchValueRow { attribute, number, text })
    };
    let values = finding.values.into_iter().map(row).collect();
    Some(SearchRows { place, handle: handle_row(&listing.handle(session)), values, terms: finding.terms })
}

/// How differ the rows that two states of one record are found by; `None` if they do not.
fn search_difference(before: &Record, after: &Record) -> Option<Box<SearchDiff>> {
    let is_listed = |record: &Record| record.as_ref().is_some_and(|session| session.listing.is_some());
    if !is_listed(before) && !is_listed(after) {
        return None;
    }
    let rows = |record: &Record| record.as_ref().and_then(search_rows);
    let (old, new) = (rows(before), rows(after));
    if old == new {
        return None;
    }
    let place = new.as_ref().or(old.as_ref()).map(|rows| rows.place.clone())?;
    let moved = old.as_ref().is_some_and(|old| old.place != place);
    let nothing = (BTreeMap::new(), BTreeSet::new());
    let (old_handle, (old_values, old_terms)) =
        old.map_or((None, nothing.clone()), |rows| (Some(rows.handle), (rows.values, rows.terms)));
    let (new_handle, (new_values, new_terms)) =
        new.map_or((None, nothing), |rows| (Some(rows.handle), (rows.values, rows.terms)));
    let ends = new_handle.is_none();
    Some(Box::new(SearchDiff {
        place,
        // Of a session that is listed no more all rows go, whatever they are.
        removed_values: old_values.keys().filter(|key| !ends && !new_values.contains_key(*key)).cloned().collect(),
        values: new_values
            .iter()
            .filter(|(key, row)| moved || old_values.get(*key) != Some(row))
            .map(|(_, row)| row.clone())
            .collect(),
        removed_terms: old_terms.iter().filter(|term| !ends && !new_terms.contains(*term)).cloned().collect(),
        terms: new_terms.iter().filter(|term| moved || !old_terms.contains(*term)).cloned().collect(),
        handle: match new_handle {
            new if new == old_handle => HandleChange::Keep,
            Some(new) => HandleChange::Put(Box::new(new)),
            None => HandleChange::Remove,
        },
    }))
}

/// How the satellite rows of one `sid` differ between two states.
#[derive(Debug, Default)]
pub struct Difference {
    /// Member rows.
    pub members: MemberDiff,
    /// Keyword rows.
    pub keywords: KeywordDiff,
    /// The timer row.
    pub timer: TimerChange,
    /// What it is found by.
    pub search: Option<Box<SearchDiff>>,
}

/// Finds how the satellite rows differ between two states of one record. Members of a large session that are not loaded stay as they
/// are.
#[must_use]
pub fn difference(before: &Record, after: &Record) -> Difference {
    let next = |record: &Record| record.as_ref().and_then(timers::next);
    let identity = |session: &Session| (session.branch, session.reference.name.as_str().to_owned());
    let reborn = before.as_ref().zip(after.as_ref()).is_some_and(|(one, two)| identity(one) != identity(two));
    Difference {
        members: member_difference(before.as_ref(), after.as_ref(), reborn),
        keywords: keyword_difference(before.as_ref(), after.as_ref(), reborn),
        timer: match (next(before), next(after)) {
            (old, new) if old == new => TimerChange::Keep,
            (_, Some(at)) => TimerChange::Set(at),
            (_, None) => TimerChange::Clear,
        },
        search: search_difference(before, after),
    }
}

/// Of a session that is `reborn` all rows are new. What two states share is not looked at.
fn member_difference(before: Option<&Session>, after: Option<&Session>, reborn: bool) -> MemberDiff {
    fn members(session: Option<&Session>) -> &[Arc<Member>] {
        session.map_or(&[], |session| &session.members)
    }
    let find = |members: &[Arc<Member>], index| members.binary_search_by_key(&index, |member| member.index).ok();
    let (old, new) = (members(before), members(after));
    let gone = old.iter().filter(|member| find(new, member.index).is_none());
    let mut difference = MemberDiff { removed: gone.map(|member| row_index(member.index)).collect(), put: Vec::new() };
    let Some(after) = after.map(Rows::of) else { return difference };
    let before = before.filter(|_| !reborn).map(Rows::of);
    for member in new {
        let known = before.as_ref().and_then(|rows| Some((rows, &old[find(old, member.index)?])));
        if known.is_some_and(|(rows, old)| Arc::ptr_eq(old, member) && rows.agrees(&after, member.index)) {
            continue;
        }
        let row = after.row(member);
        if known.is_none_or(|(rows, old)| rows.row(old) != row) {
            difference.put.push(row);
        }
    }
    difference
}

/// Of a session that is `reborn` all rows are new.
fn keyword_difference(before: Option<&Session>, after: Option<&Session>, reborn: bool) -> KeywordDiff {
    fn written(session: Option<&Session>) -> Option<&Json> {
        session?.properties.system.get("keywords")
    }
    if !reborn && written(before) == written(after) {
        return KeywordDiff::default();
    }
    let keys = |session: Option<&Session>| session.map(keyword_keys).unwrap_or_default();
    let (old, new) = (keys(before), keys(after));
    let pick = |from: &BTreeSet<String>, without: &BTreeSet<String>| {
        from.iter().filter(|key| reborn || !without.contains(*key)).cloned().collect()
    };
    KeywordDiff { removed: pick(&old, &new), added: pick(&new, &old) }
}
