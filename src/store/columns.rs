//! Rows turned into columns: a statement for many rows takes one array per column.

use chrono::{DateTime, Utc};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use super::rows::{ChangeRow, HandleRow, MemberRow, SessionRow, xuid_to_column};
use super::save::{HandleChange, HandleRemoval, KeywordDiff, SearchDiff, SessionSave, TimerChange};

/// How many characters of a text its index has.
pub(super) const TEXT_KEY: usize = 256;

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// Declares one array per column, bound in the order of declaration.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        struct $name<'a> { $($column: Vec<$type>,)+ _rows: std::marker::PhantomData<&'a ()> }

        impl<'a> $name<'a> {
            fn bind(self, query: Query<'a>) -> Query<'a> {
                query$(.bind(self.$column))+
            }
        }
    };
}

/// Where the parts of a flattened array lie, counted from 1 as SQL does; an empty part ends before it begins.
#[derive(Default)]
pub(super) struct Slices {
    pub first: Vec<i32>,
    pub last: Vec<i32>,
}

impl Slices {
    /// Notes that the next part ends where the flattened array now has this length.
    pub fn end_at(&mut self, length: usize) {
        let last = i32::try_from(length).expect("a batch has less than 2^31 values");
        self.first.push(self.last.last().map_or(1, |previous| previous + 1));
        self.last.push(last);
    }
}

columns! {
    /// `ask`: which session, in which version, and what happens to it.
    Asks { sid: Uuid, branch: Option<Uuid>, revision: Option<i64>, deletes: bool, clears_handles: bool }
}
columns! {
    /// The version again, beside the session as it shall be: the update then needs no join of `after` with `ask`, which would read all
    /// documents of the batch for each of them.
    Versions { branch: Option<Uuid>, revision: Option<i64> }
}
columns! {
    /// Timers that are set, or cleared where there is no instant.
    Timers { sid: Uuid, due_at: Option<DateTime<Utc>> }
}
columns! {
    /// `after`: sessions as they shall be.
    Sessions {
        sid: Uuid, branch: Uuid, change_number: i64, scid: Uuid, start_time: DateTime<Utc>, next_timer_at: Option<DateTime<Utc>>,
        version: i32, max_members: i32, member_count: i32, accepted_count: i32, visibility: i16, join_restriction: i16,
        read_restriction: i16, closed: bool, scid_spelling: Option<&'a str>, template: &'a str, name: &'a str, first_keyword: i32,
        last_keyword: i32, invite_protocol: Option<&'a str>, body: &'a str, private: &'a str, keywords: &'a str, large: bool,
    }
}
columns! {
    RemovedMembers { sid: Uuid, index: i32 }
}
columns! {
    Members {
        sid: Uuid, index: i32, state: i16, turn: bool, xuid: i64, connection: Option<Uuid>, device_id: Option<&'a str>, owner: bool,
        document: Option<&'a str>, since: Option<DateTime<Utc>>, due_at: Option<DateTime<Utc>>, joined_at: Option<DateTime<Utc>>,
        grace_until: Option<DateTime<Utc>>,
    }
}
columns! {
    Keywords { sid: Uuid, keyword: &'a str }
}
columns! {
    /// People of a session: former members, or owners whose activities go.
    People { sid: Uuid, xuid: i64 }
}
columns! {
    Handles {
        id: Uuid, sid: Uuid, kind: i16, scid_spelling: Option<&'a str>, template: &'a str, name: &'a str, owner: Option<i64>,
        title_id: Option<i64>, invited: Option<i64>, created_at: DateTime<Utc>, expires_at: Option<DateTime<Utc>>,
        origin_sid: Option<Uuid>, origin_scid: Option<Uuid>, document: Option<&'a str>,
    }
}
columns! {
    Changes {
        sid: Uuid, branch: Uuid, change_number: i64, at: DateTime<Utc>, kinds: i32, cause: i16, deleted: bool, actor: &'a str,
        delta: Option<&'a str>, departed: Option<&'a str>, exempt: Option<i32>, write_id: Uuid,
    }
}

/// How much a batch of saves touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Sessions that are there and stay, their members and timers, and the activities of those who go.
    Updates,
    /// Also creations, deletions, keywords or handles that are made.
    Everything,
}

impl Scope {
    pub fn of(saves: &[SessionSave]) -> Self {
        let is_update = |save: &SessionSave| {
            let Some((expected, after)) = save.expected.zip(save.after.as_ref()) else { return false };
            expected.branch == after.branch
                && save.keywords == KeywordDiff::default()
                && save.handles_removed != HandleRemoval::AllButInvites
                && save.handles.is_empty()
        };
        if saves.iter().all(is_update) { Self::Updates } else { Self::Everything }
    }
}

/// The parameters of a save.
#[derive(Default)]
pub(super) struct SaveColumns<'a> {
    asks: Asks<'a>,
    timers: Timers<'a>,
    sessions: Sessions<'a>,
    keyword_slices: Slices,
    removed_members: RemovedMembers<'a>,
    members: Members<'a>,
    removed_keywords: Keywords<'a>,
    added_keywords: Keywords<'a>,
    former_members: People<'a>,
    removed_activities: People<'a>,
    handles: Handles<'a>,
    changes: Changes<'a>,
    versions: Versions<'a>,
}

impl<'a> SaveColumns<'a> {
    pub fn of(saves: &'a [SessionSave]) -> Self {
        let mut columns = Self::default();
        // In the order in which they are locked.
        let mut ordered: Vec<&SessionSave> = saves.iter().collect();
        ordered.sort_unstable_by_key(|save| save.sid);
        for save in ordered {
            columns.push(save);
        }
        columns
    }

    /// Makes the query: the parameters of `save_updates.sql` are the first of those of `save_sessions.sql`.
    pub fn into_query(mut self, scope: Scope) -> Query<'a> {
        self.sessions.first_keyword = self.keyword_slices.first;
        self.sessions.last_keyword = self.keyword_slices.last;
        let query = sqlx::query(match scope {
            Scope::Updates => include_str!("sql/save_updates.sql"),
            Scope::Everything => include_str!("sql/save_sessions.sql"),
        });
        let query = self.timers.bind(self.versions.bind(self.sessions.bind(query)));
        let query = self.changes.bind(self.members.bind(self.removed_members.bind(query)));
        let query = self.removed_activities.bind(self.former_members.bind(query));
        match scope {
            Scope::Updates => query,
            Scope::Everything => {
                let query = self.added_keywords.bind(self.removed_keywords.bind(self.asks.bind(query)));
                self.handles.bind(query)
            }
        }
    }

    fn push(&mut self, save: &'a SessionSave) {
        let sid = save.sid;
        self.asks.sid.push(sid);
        self.asks.branch.push(save.expected.map(|version| version.branch));
        self.asks.revision.push(save.expected.map(|version| version.revision));
        self.asks.deletes.push(save.after.is_none());
        self.asks.clears_handles.push(save.after.is_none() || save.handles_removed == HandleRemoval::AllButInvites);
        if save.timer != TimerChange::Keep {
            self.timers.sid.push(sid);
            self.timers.due_at.push(if let TimerChange::Set(at) = save.timer { Some(at) } else { None });
        }
        if let Some(session) = &save.after {
            self.push_session(sid, session);
            self.versions.branch.push(save.expected.map(|version| version.branch));
            self.versions.revision.push(save.expected.map(|version| version.revision));
        }
        for &index in &save.members.removed {
            self.removed_members.sid.push(sid);
            self.removed_members.index.push(index);
        }
        for member in &save.members.put {
            self.push_member(sid, member);
        }
        for (keywords, columns) in
            [(&save.keywords.removed, &mut self.removed_keywords), (&save.keywords.added, &mut self.added_keywords)]
        {
            columns.sid.extend(keywords.iter().map(|_| sid));
            columns.keyword.extend(keywords.iter().map(String::as_str));
        }
        self.former_members.sid.extend(save.former_members.iter().map(|_| sid));
        self.former_members.xuid.extend(save.former_members.iter().copied().map(xuid_to_column));
        if let HandleRemoval::ActivitiesOf(owners) = &save.handles_removed {
            self.removed_activities.sid.extend(owners.iter().map(|_| sid));
            self.removed_activities.xuid.extend(owners.iter().copied().map(xuid_to_column));
        }
        for handle in &save.handles {
            self.push_handle(sid, handle);
        }
        for change in &save.changes {
            self.push_change(sid, change, save.write_id);
        }
    }

    fn push_session(&mut self, sid: Uuid, session: &'a SessionRow) {
        let to = &mut self.sessions;
        to.sid.push(sid);
        to.branch.push(session.branch);
        to.change_number.push(session.change_number);
        to.scid.push(session.reference.scid);
        to.start_time.push(session.start_time);
        to.next_timer_at.push(session.next_timer_at);
        to.version.push(session.version);
        to.max_members.push(session.max_members);
        to.member_count.push(session.member_count);
        to.accepted_count.push(session.accepted_count);
        to.visibility.push(session.visibility);
        to.join_restriction.push(session.join_restriction);
        to.read_restriction.push(session.read_restriction);
        to.closed.push(session.closed);
        to.scid_spelling.push(session.reference.scid_spelling.as_deref());
        to.template.push(&session.reference.template);
        to.name.push(&session.reference.name);
        to.invite_protocol.push(session.invite_protocol.as_deref());
        to.body.push(&session.body);
        to.private.push(&session.private);
        to.large.push(session.large);
        to.keywords.extend(session.keywords.iter().map(String::as_str));
        self.keyword_slices.end_at(to.keywords.len());
    }

    fn push_member(&mut self, sid: Uuid, member: &'a MemberRow) {
        let to = &mut self.members;
        to.sid.push(sid);
        to.index.push(member.index);
        to.state.push(member.state);
        to.turn.push(member.turn);
        to.xuid.push(xuid_to_column(member.xuid));
        to.connection.push(member.connection);
        to.device_id.push(member.device_id.as_deref());
        to.owner.push(member.owner);
        let large = member.large.as_ref();
        to.document.push(large.map(|own| own.document.as_str()));
        to.since.push(large.map(|own| own.since));
        to.due_at.push(large.and_then(|own| own.due_at));
        to.joined_at.push(large.map(|own| own.joined_at));
        to.grace_until.push(large.and_then(|own| own.grace_until));
    }

    fn push_handle(&mut self, sid: Uuid, handle: &'a HandleRow) {
        let to = &mut self.handles;
        to.id.push(handle.id);
        to.sid.push(sid);
        to.kind.push(handle.kind);
        to.scid_spelling.push(handle.reference.scid_spelling.as_deref());
        to.template.push(&handle.reference.template);
        to.name.push(&handle.reference.name);
        to.owner.push(handle.owner.map(xuid_to_column));
        to.title_id.push(handle.title_id.map(i64::from));
        to.invited.push(handle.invited.map(xuid_to_column));
        to.created_at.push(handle.created_at);
        to.expires_at.push(handle.expires_at);
        to.origin_sid.push(handle.origin.map(|(sid, _)| sid));
        to.origin_scid.push(handle.origin.map(|(_, scid)| scid));
        to.document.push(handle.document.as_deref());
    }

    fn push_change(&mut self, sid: Uuid, change: &'a ChangeRow, write_id: Uuid) {
        let to = &mut self.changes;
        to.sid.push(sid);
        to.branch.push(change.branch);
        to.change_number.push(change.change_number);
        to.at.push(change.at);
        to.kinds.push(change.kinds);
        to.cause.push(change.cause);
        to.deleted.push(change.deleted);
        to.actor.push(&change.actor);
        to.delta.push(change.delta.as_deref());
        to.departed.push(change.departed.as_deref());
        to.exempt.push(change.exempt);
        to.write_id.push(write_id);
    }
}

columns! {
    /// Search handles that are put.
    Listings {
        id: Uuid, sid: Uuid, scid: Uuid, scid_spelling: Option<&'a str>, template: &'a str, name: &'a str, owner: Option<i64>,
        title_id: Option<i64>, created_at: DateTime<Utc>, document: Option<&'a str>,
    }
}
columns! {
    /// Sessions whose search handle goes.
    Unlisted { sid: Uuid }
}
columns! {
    RemovedKeys { sid: Uuid, key: &'a str }
}
columns! {
    SearchValues {
        sid: Uuid, attribute: &'a str, scid: Uuid, template_key: &'a str, posted_at: DateTime<Utc>, number: Option<f64>,
        text: Option<&'a str>, text_key: Option<&'a str>,
    }
}
columns! {
    SearchTerms { sid: Uuid, term: &'a str, scid: Uuid, template_key: &'a str, posted_at: DateTime<Utc> }
}

/// The parameters of `save_search.sql`.
#[derive(Default)]
pub(super) struct SearchColumns<'a> {
    unlisted: Unlisted<'a>,
    listings: Listings<'a>,
    removed_values: RemovedKeys<'a>,
    values: SearchValues<'a>,
    removed_terms: RemovedKeys<'a>,
    terms: SearchTerms<'a>,
}

impl<'a> SearchColumns<'a> {
    pub fn of(saves: &[&'a SessionSave]) -> Self {
        let mut columns = Self::default();
        for save in saves {
            if let Some(search) = &save.search {
                columns.push(save.sid, search);
            }
        }
        columns
    }

    pub fn into_query(self) -> Query<'a> {
        let query = self.listings.bind(self.unlisted.bind(sqlx::query(include_str!("sql/save_search.sql"))));
        let query = self.values.bind(self.removed_values.bind(query));
        self.terms.bind(self.removed_terms.bind(query))
    }

    fn push(&mut self, sid: Uuid, search: &'a SearchDiff) {
        match &search.handle {
            HandleChange::Keep => {}
            HandleChange::Remove => self.unlisted.sid.push(sid),
            HandleChange::Put(handle) => self.push_listing(sid, handle),
        }
        self.removed_values.sid.extend(search.removed_values.iter().map(|_| sid));
        self.removed_values.key.extend(search.removed_values.iter().map(String::as_str));
        self.removed_terms.sid.extend(search.removed_terms.iter().map(|_| sid));
        self.removed_terms.key.extend(search.removed_terms.iter().map(String::as_str));
        let place = &search.place;
        for value in &search.values {
            let to = &mut self.values;
            to.sid.push(sid);
            to.attribute.push(&value.attribute);
            to.scid.push(place.scid);
            to.template_key.push(&place.template_key);
            to.posted_at.push(place.posted_at);
            to.number.push(value.number);
            to.text.push(value.text.as_deref());
            to.text_key.push(value.text.as_deref().map(text_key));
        }
        for term in &search.terms {
            let to = &mut self.terms;
            to.sid.push(sid);
            to.term.push(term);
            to.scid.push(place.scid);
            to.template_key.push(&place.template_key);
            to.posted_at.push(place.posted_at);
        }
    }

    fn push_listing(&mut self, sid: Uuid, handle: &'a HandleRow) {
        let to = &mut self.listings;
        to.id.push(handle.id);
        to.sid.push(sid);
        to.scid.push(handle.reference.scid);
        to.scid_spelling.push(handle.reference.scid_spelling.as_deref());
        to.template.push(&handle.reference.template);
        to.name.push(&handle.reference.name);
        to.owner.push(handle.owner.map(xuid_to_column));
        to.title_id.push(handle.title_id.map(i64::from));
        to.created_at.push(handle.created_at);
        to.document.push(handle.document.as_deref());
    }
}

/// What the index has of a text: an entry of an index has less room than a text may take.
pub(super) fn text_key(text: &str) -> &str {
    text.char_indices().nth(TEXT_KEY).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_part_ends_before_it_begins() {
        let mut slices = Slices::default();
        for length in [2, 2, 3] {
            slices.end_at(length);
        }
        assert_eq!(slices.first, [1, 3, 3]);
        assert_eq!(slices.last, [2, 2, 3]);
    }
}
