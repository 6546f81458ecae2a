//! The change feed of one session: its log, told to one reader batch by batch, from any state the log still reaches back to.
//!
//! Rights are judged before every batch by reading the session, and a batch never goes beyond the state that was judged, so that
//! nobody is told of a change made after the one that took the right away. Where more than one change has happened, the log tells
//! whether the reader could read the states between. A life that is over cannot be read any more: who could read it is told by the
//! log itself. Not here: what wakes a feed, and how it is sent.

use std::sync::Arc;

use uuid::Uuid;

use super::{Directory, DirectoryError, Document};
use crate::domain::change::Kinds;
use crate::domain::names::{Branch, ETag, MemberIndex, SessionReference};
use crate::domain::principal::Principal;
use crate::domain::refusal::Kind;
use crate::store::StoreError;
use crate::store::rows::{ChangeRow, RightsRow};
use crate::wire::feed::{self as wire, Happened, Past, Peephole};
use crate::wire::hindsight::{self, Since, Turn};

/// The most changes told at once.
const PAGE: i64 = 100;
/// The most changes looked at at once for who could read.
const RIGHTS_PAGE: i64 = 1000;

/// What a request for a feed comes to.
pub enum Opened {
    /// There is no session, and nothing is left to tell of one (204).
    Nothing,
    /// What followed the state that the reader has is not in the log any more, if it ever was, or the reader could not read it (410).
    Lost,
    /// The session has not come as far as the state that the reader claims to have (400).
    Ahead,
    /// A feed, and what is told first.
    Feed(Box<Feed>, Batch),
}

/// Some events, and what to do when they are sent.
#[derive(Debug)]
pub struct Batch {
    /// In their order.
    pub events: Vec<Event>,
    /// What comes then.
    pub then: Then,
}

/// What comes after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// More is there already.
    Go,
    /// Nothing, until the session changes.
    Wait,
    /// Nothing ever.
    End,
}

/// Something that a feed tells.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// The state after it; the reader resumes from there.
    pub id: Option<ETag>,
    /// What kind of event it is.
    pub name: &'static str,
    /// JSON in one line.
    pub data: String,
}

impl Event {
    fn denied() -> Self {
        Self { id: None, name: "denied", data: "{}".to_owned() }
    }
}

/// One reader on its way through the log of a session.
#[derive(Debug)]
pub struct Feed {
    reference: SessionReference,
    sid: Uuid,
    principal: Arc<Principal>,
    /// The state that the reader has.
    branch: Uuid,
    number: i64,
    /// The last state of this life up to which it is known that the reader could read every one from where the feed stands.
    judged: i64,
    /// The reader's indices in this life, as far as that is known from changes that may not have been told yet.
    own: Vec<MemberIndex>,
    sight: Sight,
    memory: Memory,
}

/// How the reader sees the life of the session that the feed is in.
#[derive(Debug)]
enum Sight {
    /// Not known yet.
    Unasked,
    /// As everybody does.
    Common,
    /// As nobody else does: members are hidden from each other (M-95).
    Own(Peephole),
}

impl Sight {
    fn own(&mut self) -> &mut Peephole {
        if !matches!(self, Self::Own(_)) {
            *self = Self::Own(Peephole::default());
        }
        let Self::Own(peephole) = self else { unreachable!("it was just made so") };
        peephole
    }
}

/// Who could read the life of the session that the feed is in, once that is over.
#[derive(Debug)]
enum Memory {
    /// Not asked yet.
    Unasked,
    /// The log does not tell any more, or the reader could not.
    Lost,
    /// Who could at the number where the feed stands.
    Kept(Past),
}

impl Feed {
    fn at(reference: SessionReference, principal: &Arc<Principal>, id: ETag) -> Self {
        Self {
            sid: reference.sid(),
            reference,
            principal: Arc::clone(principal),
            branch: id.branch.0,
            number: number(id),
            judged: number(id),
            own: Vec::new(),
            sight: Sight::Unasked,
            memory: Memory::Unasked,
        }
    }

    /// The session.
    #[must_use]
    pub fn sid(&self) -> Uuid {
        self.sid
    }

    /// The state that the reader has: branch and change number.
    #[must_use]
    pub fn state(&self) -> (Uuid, i64) {
        (self.branch, self.number)
    }

    /// Begins another life of the session.
    fn enter(&mut self, branch: Uuid, number: i64) {
        (self.branch, self.number, self.judged) = (branch, number, number);
        (self.own, self.sight, self.memory) = (Vec::new(), Sight::Unasked, Memory::Unasked);
    }

    fn snapshot(&mut self, document: &Document) -> Event {
        self.enter(document.etag.branch.0, number(document.etag));
        Event { id: Some(document.etag), name: "snapshot", data: wire::snapshot(document.etag, &document.body) }
    }

    /// Tells changes of the present life, which are contiguous and end with the state of `document` at the latest.
    fn tell(&mut self, rows: &[ChangeRow], document: &Document) -> Vec<Event> {
        let body = document.body.as_str();
        if matches!(self.sight, Sight::Unasked) {
            self.sight = if wire::is_large(body) { Sight::Own(Peephole::default()) } else { Sight::Common };
        }
        if let Sight::Own(peephole) = &mut self.sight {
            let changes: Vec<_> = rows.iter().map(|row| (row.delta.as_deref(), row.departed.as_deref())).collect();
            peephole.know(&self.own);
            peephole.learn(self.principal.xuid(), Some(body), &changes);
        }
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let delta = row.delta.as_deref().unwrap_or("{}");
            let reached = row.change_number == number(document.etag);
            let shown = match &mut self.sight {
                Sight::Own(peephole) => Some(peephole.show(delta, reached.then_some(body))),
                _ => None,
            };
            events.push(event(row, Some(shown.as_deref().unwrap_or(delta))));
            self.number = row.change_number;
        }
        events
    }

    /// Tells changes of a life that is over: what the reader could see then, and that it ended.
    fn tell_past(&mut self, rows: &[ChangeRow]) -> Vec<Event> {
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            self.number = row.change_number;
            let Some(delta) = row.delta.as_deref() else {
                events.push(event(row, None));
                continue;
            };
            // Whoever loses the right misses something, and what came later would not fit to what was told.
            let Memory::Kept(past) = &mut self.memory else { continue };
            past.take(delta);
            if !past.may_read(&self.reference.scid, &self.principal) {
                self.memory = Memory::Lost;
                continue;
            }
            if !past.is_large() {
                events.push(event(row, Some(delta)));
                continue;
            }
            let peephole = self.sight.own();
            peephole.learn_past(self.principal.xuid(), past, delta, row.departed.as_deref());
            events.push(event(row, Some(&peephole.show(delta, None))));
        }
        events
    }
}

fn number(id: ETag) -> i64 {
    i64::try_from(id.change_number).unwrap_or(i64::MAX)
}

fn event(row: &ChangeRow, delta: Option<&str>) -> Event {
    let id = ETag { branch: Branch(row.branch), change_number: row.change_number.cast_unsigned() };
    let happened = Happened { id, at: row.at, cause: row.cause, kinds: Kinds(row.kinds.cast_unsigned()) };
    let name = if row.deleted { "deleted" } else { "change" };
    Event { id: Some(id), name, data: wire::change(&happened, delta) }
}

/// How many of these rows follow a number without a gap.
fn contiguous(after: i64, rows: &[ChangeRow]) -> usize {
    rows.iter().zip(after.saturating_add(1)..).take_while(|(row, number)| row.change_number == *number).count()
}

/// Whether there may be more after these rows.
fn is_full(rows: &[RightsRow]) -> bool {
    i64::try_from(rows.len()).is_ok_and(|count| count >= RIGHTS_PAGE)
}

impl Directory {
    /// Begins to tell a reader what becomes of a session: from the present state on, or from an earlier one that the reader has.
    ///
    /// # Errors
    /// 403 when the caller may not read the session; what the store cannot do.
    pub async fn open_feed(
        &self,
        reference: &SessionReference,
        principal: &Arc<Principal>,
        after: Option<ETag>,
    ) -> Result<Opened, DirectoryError> {
        let present = self.read(reference, principal).await?;
        let open = |id| Box::new(Feed::at(reference.clone(), principal, id));
        let Some(after) = after else {
            let Some(document) = present else { return Ok(Opened::Nothing) };
            let mut feed = open(document.etag);
            let events = vec![feed.snapshot(&document)];
            return Ok(Opened::Feed(feed, Batch { events, then: Then::Wait }));
        };
        let begin = |feed| Opened::Feed(feed, Batch { events: Vec::new(), then: Then::Go });
        let (sid, had) = (reference.sid(), number(after));
        if let Some(document) = present.as_ref().filter(|document| document.etag.branch == after.branch) {
            let now = number(document.etag);
            let mut feed = open(after);
            if had >= now {
                return Ok(if had > now { Opened::Ahead } else { begin(feed) });
            }
            let rows = self.store().read_changes(sid, after.branch.0, (had, now), 1).await?;
            let is_kept = contiguous(had, &rows) == 1;
            // An id is only what the reader says that it has.
            return Ok(if is_kept && self.judge_states(&mut feed, document, false).await? { begin(feed) } else { Opened::Lost });
        }
        let rows = self.store().read_changes(sid, after.branch.0, (had.saturating_sub(1), i64::MAX), 2).await?;
        let goes_on = rows.iter().any(|row| row.change_number == had.saturating_add(1));
        let has_ended = rows.iter().any(|row| row.change_number == had && row.deleted);
        let is_followed = present.is_some() || (has_ended && self.life_after(sid, after.branch.0).await?.is_some());
        Ok(match present {
            _ if goes_on || (has_ended && is_followed) => begin(open(after)),
            Some(_) => Opened::Lost,
            None => Opened::Nothing,
        })
    }

    /// Tells the next changes. Settles what is due before.
    ///
    /// # Errors
    /// What the store cannot do; the feed stands where it stood and may be asked again then.
    pub async fn follow_feed(&self, feed: &mut Feed) -> Result<Batch, DirectoryError> {
        let denied = |refusal: DirectoryError| match refusal {
            DirectoryError::Refused { refusal, .. } if refusal.kind == Kind::Forbidden => {
                Ok(Batch { events: vec![Event::denied()], then: Then::End })
            }
            other => Err(other),
        };
        if let Err(refusal) = self.catalog.service(&feed.reference.scid, &feed.principal) {
            return denied(refusal);
        }
        match self.read(&feed.reference, &feed.principal).await {
            Ok(Some(document)) if document.etag.branch.0 == feed.branch => self.tell_present(feed, &document).await,
            Ok(present) => self.tell_past(feed, present).await,
            Err(refusal) => denied(refusal),
        }
    }

    async fn tell_present(&self, feed: &mut Feed, document: &Document) -> Result<Batch, DirectoryError> {
        let now = number(document.etag);
        if feed.number >= now {
            return Ok(Batch { events: Vec::new(), then: Then::Wait });
        }
        if !self.judge_states(feed, document, true).await? {
            // The reader lost the right in between, and has it again: it begins anew with what it may see.
            return Ok(Batch { events: vec![feed.snapshot(document)], then: Then::Wait });
        }
        let rows = self.store().read_changes(feed.sid, feed.branch, (feed.number, now), PAGE).await?;
        let known = contiguous(feed.number, &rows);
        if known == 0 && feed.number == 0 {
            // Nobody has anything of this life yet: its beginning is as good as its present state.
            return Ok(Batch { events: vec![feed.snapshot(document)], then: Then::Wait });
        }
        let events = feed.tell(&rows[..known], document);
        let then = match () {
            () if known < rows.len() || known == 0 => Then::End,
            () if feed.number < now => Then::Go,
            () => Then::Wait,
        };
        Ok(Batch { events, then })
    }

    /// Whether the reader could read every state of the present life up to that of `document`, which it may read now. Asks the log only
    /// when there are states in between: whoever follows change by change is judged by the present one. The state that was judged last
    /// is one that the reader could read, unless that is only what it says (`sure`).
    async fn judge_states(&self, feed: &mut Feed, document: &Document, sure: bool) -> Result<bool, DirectoryError> {
        let (now, since) = (number(document.etag), feed.judged);
        let is_next = sure && now <= since.saturating_add(1);
        let is_server = feed.principal.is_server_for(&feed.reference.scid);
        let asks_nobody = is_server && feed.principal.users().is_empty();
        if !is_next && !asks_nobody {
            let (mut turns, mut at) = (Vec::new(), since);
            loop {
                let rows = self.read_rights(feed, (at, now)).await?;
                let turn =
                    |row: &RightsRow| Turn::of(row.change_number, row.delta.as_deref(), row.departed.as_deref(), &feed.principal);
                turns.extend(rows.iter().map(turn));
                match rows.last() {
                    Some(last) if is_full(&rows) => at = last.change_number,
                    _ => break,
                }
            }
            let since = Since { number: since, judged: sure };
            if !is_server && !hindsight::could_read(&document.body, &feed.principal, since, &turns) {
                return Ok(false);
            }
            feed.own.extend(turns.iter().flat_map(Turn::indices));
        }
        feed.judged = now.max(since);
        Ok(true)
    }

    async fn read_rights(&self, feed: &Feed, range: (i64, i64)) -> Result<Vec<RightsRow>, StoreError> {
        self.store().read_rights(feed.sid, feed.branch, range, Turn::KINDS.0, RIGHTS_PAGE).await
    }

    /// Tells the rest of a life that is over, and then goes over to the one after it.
    async fn tell_past(&self, feed: &mut Feed, present: Option<Document>) -> Result<Batch, DirectoryError> {
        let rows = self.store().read_changes(feed.sid, feed.branch, (feed.number, i64::MAX), PAGE).await?;
        let known = contiguous(feed.number, &rows);
        if matches!(feed.memory, Memory::Unasked) {
            feed.memory = self.past_of(feed).await?.map_or(Memory::Lost, Memory::Kept);
        }
        let has_ended = rows[..known].last().is_none_or(|row| row.deleted);
        let goes_over = has_ended && known == rows.len();
        let next = if goes_over { self.life_after(feed.sid, feed.branch).await? } else { None };
        // Nothing is asked from here on: what the feed has told when the database fails would be lost.
        let mut events = feed.tell_past(&rows[..known]);
        if !goes_over {
            return Ok(Batch { events, then: if known < rows.len() { Then::End } else { Then::Go } });
        }
        let then = match (next, present) {
            (Some(next), _) => {
                feed.enter(next, 0);
                Then::Go
            }
            (None, Some(document)) => {
                events.push(feed.snapshot(&document));
                Then::Wait
            }
            (None, None) => Then::End,
        };
        Ok(Batch { events, then })
    }

    /// Who could read a life that is over, at the number where the feed stands; `None` when its beginning is not in the log any
    /// more, or when the reader could not.
    async fn past_of(&self, feed: &Feed) -> Result<Option<Past>, DirectoryError> {
        let (mut past, mut at) = (Past::default(), 0);
        // Days are forgotten from the first on: whatever is there of a life whose first change is there is all of it.
        while at < feed.number {
            let rows = self.read_rights(feed, (at, feed.number)).await?;
            if at == 0 && rows.first().is_none_or(|row| row.change_number != 1) {
                return Ok(None);
            }
            for row in &rows {
                past.take(row.delta.as_deref().unwrap_or("{}"));
            }
            match rows.last() {
                Some(last) if is_full(&rows) => at = last.change_number,
                _ => break,
            }
        }
        let could = feed.number == 0 || past.may_read(&feed.reference.scid, &feed.principal);
        Ok(could.then_some(past))
    }

    async fn life_after(&self, sid: Uuid, branch: Uuid) -> Result<Option<Uuid>, DirectoryError> {
        let lives = self.store().list_lives(sid).await?;
        Ok(lives.iter().skip_while(|life| **life != branch).nth(1).copied())
    }

    /// Whether a session is in another state than this one; costs an index probe, shared with others.
    ///
    /// # Errors
    /// What the store cannot do.
    pub async fn has_left(&self, sid: Uuid, state: (Uuid, i64)) -> Result<bool, DirectoryError> {
        Ok(self.prober.ask(sid).await.ok_or(DirectoryError::Busy)?? != Some(state))
    }
}
