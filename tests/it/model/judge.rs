//! Whether the change log explains every answer, and `decide` the change log.

use std::collections::{HashMap, HashSet};
use std::ops::AddAssign;
use std::sync::Arc;

use openmpsd::domain::access::{Facts, Pass};
use openmpsd::domain::command::{Command, Tags};
use openmpsd::domain::connection::{self, Known};
use openmpsd::domain::decide::{Context, Outcome, decide};
use openmpsd::domain::listing::Listing;
use openmpsd::domain::names::{Branch, ETag, HandleId, SessionReference};
use openmpsd::domain::principal::{Principal, ServerFor};
use openmpsd::domain::session::{Record, Session};
use openmpsd::domain::template::Template;
use openmpsd::domain::timers;
use openmpsd::json::{self, Json, Object, STORED_DEPTH};
use openmpsd::store::rows::ChangeRow;
use openmpsd::store::{HandleAsk, LoadAsk, Store};
use openmpsd::wire::{delta, large, stored};
use uuid::Uuid;

use super::player::{Answer, Asked, Op, limits, lost};

/// How much was explained.
#[derive(Debug, Default, Clone, Copy)]
pub struct Verdict {
    pub changes: u64,
    pub written: u64,
    pub unchanged: u64,
    pub read: u64,
    pub made: u64,
    pub unlisted: u64,
    pub refused: u64,
    pub unknown: u64,
    pub losses: u64,
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.changes += other.changes;
        self.written += other.written;
        self.unchanged += other.unchanged;
        self.read += other.read;
        self.made += other.made;
        self.unlisted += other.unlisted;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.losses += other.losses;
    }
}

/// Judges one history; panics at the first answer that nothing explains.
pub async fn judge(seed: u64, store: &Store, template: &Arc<Template>, ops: &[Op]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut sessions: Vec<&SessionReference> = Vec::new();
    for op in ops {
        if !sessions.contains(&&op.reference) {
            sessions.push(&op.reference);
        }
    }
    check_invites(seed, store, ops).await;
    for reference in sessions {
        let ops: Vec<&Op> = ops.iter().filter(|op| op.reference == *reference).collect();
        let rows = store.load_changes(reference.sid(), 100_000).await.expect("the log is there");
        let loaded = store.load_sessions(&[LoadAsk::plain(reference.sid())], chrono::DateTime::UNIX_EPOCH).await;
        let left = loaded.expect("the database answers").remove(0).stored.map(|stored| stored.session.body.to_string());
        let case = Case { seed, ops, rows, left, template: Arc::clone(template) };
        verdict += case.judge();
    }
    verdict
}

/// An invite that was answered is there, whatever became of its session (H-34).
async fn check_invites(seed: u64, store: &Store, ops: &[Op]) {
    let sent = ops.iter().filter_map(|op| match (&op.asked, &op.answer) {
        (Asked::Invite, Answer::Made(id)) => Some((op, HandleAsk { id: id.0, caller: None })),
        _ => None,
    });
    let (sent, asks): (Vec<_>, Vec<_>) = sent.unzip();
    let found = store.read_by_handles(&asks, chrono::DateTime::UNIX_EPOCH).await.expect("the database answers");
    for (op, found) in sent.into_iter().zip(found) {
        assert!(found.is_some(), "seed {seed}: {} is lost", tell(op));
    }
}

/// One session of a history.
struct Case<'a> {
    seed: u64,
    ops: Vec<&'a Op>,
    rows: Vec<ChangeRow>,
    left: Option<String>,
    template: Arc<Template>,
}

impl Case<'_> {
    fn judge(&self) -> Verdict {
        let documents = self.replay();
        let mut verdict = Verdict {
            changes: self.rows.len() as u64,
            losses: self.rows.iter().filter(|row| row.cause == 2).count() as u64,
            ..Verdict::default()
        };
        let mut branches_made = HashSet::new();
        let mut tags_used = HashSet::new();
        for op in &self.ops {
            let nocommit = op.request().is_some_and(|request| request.nocommit);
            let marked = op.mark.as_ref().map_or(0, |mark| self.marked(mark).count());
            self.insist(marked <= 1, op, "was applied more than once");
            // Of a large session everybody sees another document.
            let is_there = |(etag, text): &(ETag, String)| {
                documents.get(&key(*etag)).is_some_and(|session| large::document(session, op.principal.xuid()) == *text)
            };
            match &op.answer {
                Answer::Unknown => verdict.unknown += 1,
                Answer::Refused(_) => {
                    verdict.refused += 1;
                    self.insist(marked == 0, op, "was refused and is in the log");
                }
                Answer::Read(document) => {
                    verdict.read += 1;
                    self.insist(document.as_ref().is_none_or(is_there), op, "shows what never was");
                }
                Answer::Made(id) => {
                    verdict.made += 1;
                    if matches!(op.asked, Asked::List) {
                        let rows: Vec<_> = self.rows.iter().filter(|row| names_listing(row) == Some(*id)).collect();
                        self.insist(rows.len() == 1, op, "is not in the log once");
                        self.insist(rows[0].actor == actor(&op.principal) && rows[0].cause == 0, op, "was made by somebody else");
                    }
                }
                Answer::Unlisted => {
                    verdict.unlisted += 1;
                    let Asked::Unlist(id) = &op.asked else { continue };
                    let listed = |(branch, number): (Uuid, u64)| {
                        documents.get(&(branch, number)).and_then(|session| session.listing.clone())
                    };
                    let ended = self.rows.iter().filter(|row| {
                        let number = row.change_number.cast_unsigned();
                        let before = listed((row.branch, number - 1)).is_some_and(|listing| listing.id == *id);
                        before && !row.deleted && row.actor == actor(&op.principal) && listed((row.branch, number)).is_none()
                    });
                    self.insist(ended.count() == 1, op, "is not in the log once");
                }
                Answer::Written { etag, .. } if nocommit => {
                    self.insist(marked == 0, op, "was not to be committed and is in the log");
                    self.insist(etag.is_none_or(|etag| documents.contains_key(&key(etag))), op, "has a tag that never was");
                }
                Answer::Written { outcome: Outcome::Unchanged, document, .. } => {
                    verdict.unchanged += 1;
                    self.insist(document.as_ref().is_some_and(is_there), op, "shows what never was");
                    self.insist(marked == 0, op, "changed nothing and is in the log");
                }
                Answer::Written { outcome: Outcome::Gone, .. } => verdict.written += 1,
                Answer::Written { outcome, document, .. } => {
                    verdict.written += 1;
                    self.insist(document.as_ref().is_some_and(is_there), op, "shows what never was");
                    let Some((etag, _)) = document else { continue };
                    let row = self.rows.iter().find(|row| (row.branch, row.change_number.cast_unsigned()) == key(*etag));
                    let row = row.unwrap_or_else(|| self.fail(op, "is not in the log"));
                    if let Some(mark) = &op.mark {
                        let mine = self.marked(mark).next().is_some_and(|marked| marked == row);
                        self.insist(mine, op, "was not what made this change");
                    }
                    self.insist(row.actor == actor(&op.principal) && row.cause == 0, op, "was made by somebody else");
                    self.insist(tags_used.insert(key(*etag)), op, "shares its tag with another write");
                    if *outcome == Outcome::Created {
                        self.insist(etag.change_number == 1, op, "was created with another number than 1");
                        self.insist(branches_made.insert(etag.branch.0), op, "created a branch that another created");
                    }
                    let conditions = op.request().map(|request| &request.write.preconditions);
                    if let Some(Tags::These(tags)) = conditions.and_then(|conditions| conditions.if_match.as_ref()) {
                        let before = ETag { branch: etag.branch, change_number: etag.change_number - 1 };
                        self.insist(*tags == [before.to_string()], op, "did not meet its condition");
                    }
                }
            }
        }
        self.check_order();
        verdict
    }

    /// Nobody sees less than what somebody had seen before.
    fn check_order(&self) {
        let seen = |op: &Op| match &op.answer {
            Answer::Written { etag, .. } => *etag,
            Answer::Read(document) => document.as_ref().map(|(etag, _)| *etag),
            _ => None,
        };
        let seen: Vec<(&&Op, ETag)> = self.ops.iter().filter_map(|op| Some((op, seen(op)?))).collect();
        for (earlier, one) in &seen {
            for (later, two) in seen.iter().filter(|(later, two)| earlier.ended < later.begun && two.branch == one.branch) {
                self.insist(one.change_number <= two.change_number, later, &format!("goes back behind {one}"));
            }
        }
    }

    /// Replays the log branch by branch: from its deltas, and by deciding again. Returns every state there was.
    fn replay(&self) -> HashMap<(Uuid, u64), Session> {
        let mut documents = HashMap::new();
        let mut branches: Vec<Uuid> = self.rows.iter().map(|row| row.branch).collect();
        branches.dedup();
        let count = branches.len();
        branches.sort_unstable();
        branches.dedup();
        assert_eq!(branches.len(), count, "seed {}: the rows of a branch lie apart", self.seed);
        let mut left = None;
        for branch in branches {
            let (mut record, mut document): (Record, Option<Json>) = (None, None);
            let rows = self.rows.iter().filter(|row| row.branch == branch);
            for (expected, row) in (1..).zip(rows) {
                let place = format!("seed {}: change {branch}.{} by {}", self.seed, row.change_number, row.actor);
                assert_eq!(row.change_number, expected, "{place}: the numbers have a gap");
                assert!(expected == 1 || record.is_some(), "{place}: the branch had ended");
                record = self.explain(&record, row).unwrap_or_else(|| {
                    panic!("{place}: no command explains it: {row:?}\nafter {record:?}\n{}", self.story());
                });
                assert_eq!(record.is_none(), row.deleted, "{place}: it ended or it did not");
                document = row.delta.as_ref().map(|delta| merge(document.as_ref(), &parse(delta)));
                if let Some(session) = &record {
                    let whole = Some(parse(&delta::whole(session)));
                    assert_eq!(document, whole, "{place}: the delta does not lead to the document");
                    documents.insert((branch, session.change_number), session.clone());
                }
            }
            if let Some(session) = &record {
                assert_eq!(left, None, "seed {}: two branches have not ended", self.seed);
                left = Some(stored::render(session).body);
            }
        }
        assert_eq!(left, self.left, "seed {}: what is stored is not what the log leads to", self.seed);
        documents
    }

    /// What a change leads to, decided again: by the command that was answered with it, or by one whose answer was lost.
    fn explain(&self, record: &Record, row: &ChangeRow) -> Option<Record> {
        if row.cause == 1 {
            let mut after = timers::settle(record, row.at)?;
            if let (Some(before), Some(after)) = (record, &mut after) {
                after.change_number = before.change_number + 1;
            }
            return Some(after);
        }
        if row.cause == 2 {
            let mut after = connection::lose(record, &[lost(self.seed)], &limits(), row.at)?;
            after.change_number += 1;
            return Some(Some(after));
        }
        let etag = (row.branch, row.change_number.cast_unsigned());
        let known = Known { id: lost(self.seed).id, owner: lost(self.seed).owner, alive: true, elsewhere: 0 };
        let facts = Facts { connections: vec![known], ..Facts::default() };
        self.ops.iter().filter(|op| actor(&op.principal) == row.actor).find_map(|op| {
            let command = command_of(op, row)?;
            let answered = match &op.answer {
                Answer::Unknown | Answer::Unlisted => true,
                Answer::Made(id) => names_listing(row) == Some(*id),
                Answer::Written { outcome: Outcome::Gone, .. } => row.deleted,
                Answer::Written { outcome: Outcome::Created | Outcome::Updated, document: Some((tag, _)), .. } => {
                    key(*tag) == etag
                }
                _ => false,
            };
            let marked = match (&op.mark, &row.delta) {
                (Some(mark), Some(delta)) => delta.contains(mark.as_str()),
                _ => true,
            };
            if !answered || !marked {
                return None;
            }
            let context = Context {
                now: row.at,
                principal: &op.principal,
                reference: &op.reference,
                template: &self.template,
                facts: &facts,
                pass: &Pass::Nothing,
                limits: &limits(),
                branch: Branch(row.branch),
            };
            let decision = decide(record, &command, &context).ok()?;
            let after = decision.after;
            let leads_here = match (&after, &row.delta) {
                (None, _) => row.deleted,
                (Some(after), Some(text)) => {
                    let before = record.as_ref().map(|session| parse(&delta::whole(session)));
                    (after.branch.0, after.change_number) == etag
                        && merge(before.as_ref(), &parse(text)) == parse(&delta::whole(after))
                }
                (Some(_), None) => false,
            };
            (leads_here && decision.outcome != Outcome::Unchanged).then_some(after)
        })
    }

    fn marked<'a>(&'a self, mark: &str) -> impl Iterator<Item = &'a ChangeRow> {
        let mark = format!("\"{mark}\"");
        self.rows.iter().filter(move |row| row.delta.as_ref().is_some_and(|delta| delta.contains(&mark)))
    }

    #[track_caller]
    fn insist(&self, holds: bool, op: &Op, what: &str) {
        if !holds {
            self.fail(op, what);
        }
    }

    #[track_caller]
    fn fail(&self, op: &Op, what: &str) -> ! {
        panic!("seed {}: {} {what}\n{}", self.seed, tell(op), self.story());
    }

    /// All that happened, for whoever looks for the reason.
    fn story(&self) -> String {
        let ops = self.ops.iter().map(|op| tell(op));
        let rows = self.rows.iter().map(|row| {
            let delta = row.delta.as_deref().unwrap_or("the end");
            format!("{}.{} {} by {} ({}): {delta}", row.branch, row.change_number, row.at, row.actor, row.cause)
        });
        ops.chain(rows).collect::<Vec<_>>().join("\n")
    }
}

/// The command that a change may be the outcome of. A search handle is the one that the change names; its other fields are in no
/// document.
fn command_of(op: &Op, row: &ChangeRow) -> Option<Command> {
    match &op.asked {
        Asked::Write(request) => (!request.nocommit).then(|| Command::Write(Box::new(request.write.clone()))),
        Asked::List => {
            let (id, user) = (names_listing(row)?, op.principal.user()?);
            let (posted_at, owner, title_id, attributes) = (row.at, user.xuid, user.title_id, Object::new());
            Some(Command::List(Arc::new(Listing { id, posted_at, owner, title_id, attributes })))
        }
        Asked::Unlist(id) => Some(Command::Unlist(*id)),
        Asked::Read | Asked::Invite => None,
    }
}

/// The search handle that a change puts.
fn names_listing(row: &ChangeRow) -> Option<HandleId> {
    HandleId::parse(&parse(row.delta.as_ref()?).get("searchHandle")?.as_str()?)
}

fn tell(op: &Op) -> String {
    let request =
        op.request().map_or_else(|| format!("{:?}", op.asked), |request| format!("{:?}", (&request.write, request.nocommit)));
    let answer = format!("{:?}", op.answer).chars().take(600).collect::<String>();
    format!("[{}-{}] {} asks {request} of {} and hears {answer}", op.begun, op.ended, actor(&op.principal), op.reference)
}

fn key(etag: ETag) -> (Uuid, u64) {
    (etag.branch.0, etag.change_number)
}

fn actor(principal: &Principal) -> String {
    match principal {
        Principal::User(user) => format!("xuid:{}", user.xuid),
        Principal::Server(server) | Principal::ServerFor(ServerFor { server, .. }) => format!("svc:{}", server.name),
        Principal::Admin { name } => format!("admin:{name}"),
    }
}

fn parse(text: &str) -> Json {
    json::parse(text.as_bytes(), STORED_DEPTH).expect("the text is JSON")
}

/// Applies a delta to a document: by fields down to those of the bags, of the session and of its members; deeper, values are whole.
fn merge(before: Option<&Json>, delta: &Json) -> Json {
    let Some(before) = before else { return delta.clone() };
    merge_at(before, delta, &[])
}

fn merge_at(before: &Json, delta: &Json, path: &[&str]) -> Json {
    let by_fields = matches!(
        path,
        [] | ["properties" | "members" | "servers"]
            | ["properties", "system" | "custom"]
            | ["members", _]
            | ["members", _, "constants" | "properties"]
            | ["members", _, "constants" | "properties", "system" | "custom"]
    );
    let (Json::Object(before), Json::Object(given), true) = (before, delta, by_fields) else { return delta.clone() };
    let mut after: Object = before.clone();
    for (name, value) in given {
        let text = name.to_string();
        let path: Vec<&str> = path.iter().copied().chain([text.as_str()]).collect();
        match (value, before.get(name)) {
            (Json::Null, _) => drop(after.shift_remove(name)),
            (value, Some(old)) => drop(after.insert(name.clone(), merge_at(old, value, &path))),
            (value, None) => drop(after.insert(name.clone(), value.clone())),
        }
    }
    after.into()
}
