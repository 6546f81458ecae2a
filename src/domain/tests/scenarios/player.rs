//! Reads a script line by line and plays it on a stage.

use std::fs;
use std::rc::Rc;

use super::super::{
    Answer, Kind, Outcome, Preconditions, Principal, Record, Refusal, Stage, Tags, Target, Template, TemplateName, Xuid, request,
    rules_of_access, rules_of_time,
};
use super::cast::Cast;
use super::hall::Hall;
use super::transcript::{self, Transcript};
use crate::domain::command::{Command, Delta, MemberKey, Write};
use crate::domain::names::{MemberIndex, SessionName};
use crate::domain::template::Form;

const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/services");

/// Plays a script and returns its transcript.
///
/// # Errors
/// The line that cannot be understood, and why.
pub(super) fn play(script: &str) -> Result<String, String> {
    let mut player = Player::new();
    let lines: Vec<&str> = script.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        // What is indented belongs to the line before it.
        let more = lines[at + 1..].iter().take_while(|line| line.starts_with([' ', '\t'])).count();
        let part = &lines[at..=at + more];
        for line in part {
            player.transcript.copy(line);
        }
        if !part[0].starts_with('#') && !part[0].trim().is_empty() {
            player.line(&part.join("\n")).map_err(|error| format!("line {}: {error}", at + 1))?;
        }
        at += more + 1;
    }
    Ok(player.transcript.text)
}

struct Player {
    stage: Option<Stage>,
    hall: Hall,
    cast: Cast,
    transcript: Transcript,
}

/// Who does something, and on what conditions.
struct Doer {
    name: String,
    principal: Principal,
    preconditions: Preconditions,
}

/// What a write was answered, for counting.
type Told = (u16, String);

impl Player {
    fn new() -> Self {
        let start = Stage::of(super::super::OPEN).now;
        Self { stage: None, hall: Hall::default(), cast: Cast::default(), transcript: Transcript::new(start) }
    }

    fn stage(&mut self) -> Result<&mut Stage, String> {
        self.stage.as_mut().ok_or_else(|| "a template is needed first".to_owned())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match first {
            "template" => return self.template(rest),
            "session" => {
                let name = self.cast.spoken(rest)?;
                self.stage()?.reference.name = SessionName::parse(&name).map_err(|_| "a session name is expected")?;
            }
            "wait" => {
                let ms = milliseconds(rest).ok_or("a time like 30 s, 500 ms, 5 min or 2 h is expected")?;
                self.stage()?.advance(ms);
            }
            "settle" => {
                self.stage()?;
                if !self.settle(&[], &[]) {
                    self.transcript.tell("nothing is due");
                }
                self.unload();
            }
            "show" => return self.show(rest),
            "everybody" if rest == "follows everybody" => self.stage()?.everybody_follows = true,
            "viewers" => return self.crowd(rest),
            _ => return self.actor(line),
        }
        Ok(())
    }

    /// `template NAME`, one of `config/services`, or `template {…}`.
    fn template(&mut self, what: &str) -> Result<(), String> {
        let (name, text) = if what.starts_with('{') {
            ("Scenario", self.cast.spoken(what)?)
        } else {
            let folders = fs::read_dir(SERVICES).expect("the folder can be listed").filter_map(Result::ok);
            let mut paths = folders.map(|folder| folder.path().join("templates").join(format!("{what}.json")));
            let text = paths.find_map(|path| fs::read_to_string(path).ok());
            (what, text.ok_or_else(|| format!("there is no template {what}"))?)
        };
        let name = TemplateName::parse(name).map_err(|_| "a template name is expected")?;
        let document = crate::json::parse(text.as_bytes(), 32).map_err(|error| error.to_string())?;
        let template = Template::read(name, &document).map_err(|remarks| format!("the template is wrong: {remarks:?}"))?.0;
        let now = self.stage.as_ref().map(|stage| stage.now);
        let stage = self.stage.insert(Stage::on(template));
        stage.now = now.unwrap_or(stage.now);
        self.hall = Hall::default();
        Ok(())
    }

    /// `show PATH…`: parts of the document as it is stored, without a look at the clock.
    fn show(&mut self, paths: &str) -> Result<(), String> {
        let record = self.stage()?.record.clone();
        let Some(session) = record else {
            self.transcript.tell("there is no session");
            return Ok(());
        };
        for path in paths.split_whitespace() {
            if path == "members" {
                self.transcript.tell(&transcript::roster(&session, &self.cast));
                continue;
            }
            let document = super::super::document(&session);
            let wanted = self.cast.spoken(path)?;
            let part = wanted.split('.').try_fold(&document, |part, name| part.get(name));
            let value = part.map_or_else(|| "nothing".to_owned(), |part| self.transcript.readable(&part.to_string(), &self.cast));
            self.transcript.tell(&format!("{path}: {value}"));
        }
        Ok(())
    }

    /// Somebody does something.
    fn actor(&mut self, line: &str) -> Result<(), String> {
        let (head, body) = match line.split_once(':') {
            Some((head, body)) => (head, Some(body)),
            None => (line, None),
        };
        let mut words: Vec<&str> = head.split_whitespace().collect();
        let doer = self.doer(&mut words)?;
        let body = match (body, words.as_slice()) {
            (Some(body), []) => self.cast.spoken(body)?,
            (None, ["joins", how @ ..]) => self.joining(&doer.name, how)?,
            (None, ["leaves"]) => r#"{"members":{"me":null}}"#.to_owned(),
            (None, ["reads"]) => return self.reads(&doer),
            (None, ["follows", whom]) => {
                let edge = (self.cast.xuid(&doer.name), self.cast.xuid(whom));
                self.stage()?.follows.push(edge);
                return Ok(());
            }
            (None, ["blocks", whom]) => {
                let edge = (self.cast.xuid(&doer.name), self.cast.xuid(whom));
                self.stage()?.blocks.push(edge);
                return Ok(());
            }
            _ => return Err(format!("what is it that {head} means")),
        };
        self.stage()?;
        self.write(&doer, &body);
        self.unload();
        Ok(())
    }

    /// Takes the words that say who acts and on what conditions.
    fn doer(&mut self, words: &mut Vec<&str>) -> Result<Doer, String> {
        let name = words.remove(0).to_owned();
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(format!("{name} is no command, and a name begins with a small letter"));
        }
        let mut principal = if name == "server" {
            let mut names = Vec::new();
            if words.first() == Some(&"for") {
                words.remove(0);
                while let Some(word) = (!words.is_empty()).then(|| words.remove(0)) {
                    names.push(word.trim_end_matches(','));
                    if !word.ends_with(',') {
                        break;
                    }
                }
            }
            self.cast.server_for(&names)
        } else {
            Principal::User(self.cast.user(&name))
        };
        let mut preconditions = Preconditions::default();
        while let [word @ ("on" | "if-match" | "if-none-match"), value, ..] = words[..] {
            words.drain(..2);
            let tags = match value {
                "*" => Tags::Any,
                "current" => Tags::These(self.stage()?.record.iter().map(|session| session.etag().to_string()).collect()),
                tag => Tags::These(vec![tag.trim_matches('"').to_owned()]),
            };
            match (word, &mut principal) {
                ("on", Principal::User(user)) => user.device_id = Some(value.to_owned()),
                ("on", _) => return Err("only players are on a device".to_owned()),
                ("if-match", _) => preconditions.if_match = Some(tags),
                _ => preconditions.if_none_match = Some(tags),
            }
        }
        Ok(Doer { name, principal, preconditions })
    }

    fn joining(&mut self, name: &str, how: &[&str]) -> Result<String, String> {
        match how {
            [] => Ok(r#"{"members":{"me":{}}}"#.to_owned()),
            [flag @ ("active" | "ready")] => {
                let fields = format!(r#"{{"{flag}":true,"connection":"{}"}}"#, self.cast.connection(name));
                Ok(format!(r#"{{"members":{{"me":{{"properties":{{"system":{fields}}}}}}}}}"#))
            }
            _ => Err("somebody joins, joins ready or joins active".to_owned()),
        }
    }

    /// What is due comes first, as a change of its own (M-24). Says whether anything was.
    fn settle(&mut self, users: &[Xuid], named: &[MemberIndex]) -> bool {
        let stage = self.stage.as_mut().expect("there is a stage");
        self.hall.load(stage, users, named);
        let before = stage.record.clone();
        if let Some(session) = before.as_ref().filter(|session| session.is_large()) {
            // Changes are held against the document as it is loaded now.
            stage.document = Rc::new(super::super::document(session));
        }
        stage.settle();
        let after = stage.record.clone();
        let changed = match (&before, &after) {
            (Some(before), Some(after)) => before.change_number != after.change_number,
            (before, _) => before.is_some(),
        };
        if changed {
            let line = after.as_ref().map_or_else(
                || "timers: the session is gone".to_owned(),
                |session| format!("timers: {}", self.transcript.head(session)),
            );
            self.transcript.tell(&line);
            self.transcript.tell_change(&before, &after, &self.cast);
        }
        changed
    }

    fn unload(&mut self) {
        if let Some(stage) = &mut self.stage {
            self.hall.unload(stage);
        }
    }

    fn write(&mut self, doer: &Doer, body: &str) {
        let delta = request::read_delta(body.as_bytes(), 32);
        let users: Vec<Xuid> = doer.principal.users().iter().map(|user| user.xuid).collect();
        let named: Vec<MemberIndex> = delta.as_ref().map(named).unwrap_or_default();
        self.settle(&users, &named);
        let (before, told) = self.decide(doer, delta);
        let after = self.stage.as_ref().expect("there is a stage").record.clone();
        self.transcript.tell(&format!("{} {}", told.0, told.1));
        if told.0 < 300 && before != after {
            self.transcript.tell_change(&before, &after, &self.cast);
        }
    }

    /// Decides on a settled stage. Returns the record before, the status and a line about it.
    fn decide(&mut self, doer: &Doer, delta: Result<Delta, Refusal>) -> (Record, Told) {
        let stage = self.stage.as_mut().expect("there is a stage");
        stage.connections = doer.principal.users().iter().map(|user| Cast::socket(user.xuid)).collect();
        let before = stage.record.clone();
        let answer = match delta {
            Ok(delta) => stage.run(&doer.principal, &command(doer, delta)),
            Err(refusal) => Answer(Err(refusal)),
        };
        let told = self.tell(doer, before.is_some(), &answer);
        (before, told)
    }

    /// Decides without holding the outcome against the laws. Nothing may be due.
    fn decide_quickly(&mut self, doer: &Doer, delta: Result<Delta, Refusal>) -> Told {
        let stage = self.stage.as_mut().expect("there is a stage");
        self.hall.load(stage, &[doer.principal.xuid().expect("a viewer is a user")], &[]);
        let next = stage.record.as_ref().and_then(rules_of_time::next);
        assert!(next.is_none_or(|next| next > stage.now), "nothing is due");
        stage.connections = doer.principal.users().iter().map(|user| Cast::socket(user.xuid)).collect();
        let decided = delta.and_then(|delta| stage.decide(&doer.principal, &command(doer, delta)));
        let existed = stage.record.is_some();
        let answer = Answer(decided.map(|decision| {
            stage.record = decision.after;
            decision.outcome
        }));
        self.tell(doer, existed, &answer)
    }

    /// The status of an answer and a line about it.
    fn tell(&self, doer: &Doer, existed: bool, answer: &Answer) -> Told {
        let stage = self.stage.as_ref().expect("there is a stage");
        let line = match (&answer.0, &stage.record) {
            (Ok(Outcome::Unchanged), _) => "nothing changes".to_owned(),
            (Ok(Outcome::Gone), _) if !existed => "no session is made".to_owned(),
            (Ok(Outcome::Gone), _) => "the session is gone".to_owned(),
            (Ok(Outcome::Created), Some(session)) => format!("created, {}", self.transcript.head(session)),
            (Ok(_), Some(session)) => self.transcript.head(session),
            (Ok(_), None) => unreachable!("a session that is written to is there or gone"),
            (Err(refusal), record) => {
                let shows = matches!(refusal.kind, Kind::Forbidden | Kind::Stale)
                    && record.as_ref().is_some_and(|session| rules_of_access::may_read(session, &doer.principal, &stage.facts()));
                let what = if shows { "refused with the session" } else { "refused" };
                format!("{what}: {}", self.cast.written(&refusal.text))
            }
        };
        (answer.status(), line)
    }

    /// `ada reads`: what a GET shows (M-24, A-10, R-20).
    fn reads(&mut self, doer: &Doer) -> Result<(), String> {
        self.stage()?;
        let users: Vec<Xuid> = doer.principal.users().iter().map(|user| user.xuid).collect();
        self.settle(&users, &[]);
        let stage = self.stage.as_ref().expect("there is a stage");
        match &stage.record {
            None => self.transcript.tell("204 there is no session"),
            Some(session) if !rules_of_access::may_read(session, &doer.principal, &stage.facts()) => {
                self.transcript.tell("403 refused");
            }
            Some(session) => {
                let head = self.transcript.head(session);
                if session.is_large() {
                    self.transcript.tell(&format!("200 {head}"));
                    let shown = transcript::own_view(session, doer.principal.xuid());
                    self.transcript.tell_leaves(&shown, |_| None, &self.cast);
                } else {
                    self.transcript.tell(&format!("200 {head}: {}", transcript::roster(session, &self.cast)));
                }
            }
        }
        self.unload();
        Ok(())
    }

    /// `viewers 1 to 10000 joins active`, or `viewers 1 to 10000: BODY`: the same by many, one after the other.
    fn crowd(&mut self, line: &str) -> Result<(), String> {
        let (head, body) = line.split_once(':').map_or((line, None), |(head, body)| (head, Some(body)));
        let words: Vec<&str> = head.split_whitespace().collect();
        let [from, "to", to, how @ ..] = words.as_slice() else { return Err("viewers 1 to 10 is expected".to_owned()) };
        let number = |text: &str| text.parse::<u64>().map_err(|_| "a number is expected".to_owned());
        self.stage()?;
        let mut seen: Vec<(Told, u64, u64)> = Vec::new();
        for viewer in number(from)?..=number(to)? {
            let name = format!("viewer-{viewer}");
            let body = match (body, how) {
                (Some(body), []) => self.cast.spoken(body)?,
                (None, ["join", how @ ..]) => self.joining(&name, how)?,
                (None, ["leave"]) => r#"{"members":{"me":null}}"#.to_owned(),
                _ => return Err("viewers join, join active or leave, or write a body".to_owned()),
            };
            let doer = self.doer(&mut vec![&name])?;
            // All laws are held against every hundredth write only: they take the document apart.
            let thorough = seen.iter().map(|(_, count, _)| count).sum::<u64>() % 100 == 0;
            let users = [doer.principal.xuid().expect("a viewer is a user")];
            let delta = request::read_delta(body.as_bytes(), 32);
            let (status, line) = if thorough {
                self.settle(&users, &[]);
                self.decide(&doer, delta).1
            } else {
                self.decide_quickly(&doer, delta)
            };
            self.unload();
            match seen.last_mut() {
                Some((last, count, _)) if last.0 == status && (status < 300 || last.1 == line) => {
                    (last.1, *count) = (line, *count + 1);
                }
                _ => seen.push(((status, line), 1, viewer)),
            }
        }
        for ((status, line), count, first) in seen {
            self.transcript.tell(&format!("{count} × {status} from viewer-{first} on, at last: {line}"));
        }
        let info = self.stage()?.record.as_ref().map(super::super::document);
        if let Some(info) = info.as_ref().and_then(|document| document.get("membersInfo")) {
            self.transcript.tell(&format!("  membersInfo: {info}"));
        }
        Ok(())
    }
}

fn command(doer: &Doer, delta: Delta) -> Command {
    let preconditions = doer.preconditions.clone();
    Command::Write(Box::new(Write { delta, preconditions, target: Target::Session, form: Form::New }))
}

/// The members that a request names by their indices.
fn named(delta: &Delta) -> Vec<MemberIndex> {
    let index = |key: &MemberKey| if let MemberKey::Index(index) = key { Some(*index) } else { None };
    delta.members.iter().filter_map(|(key, _)| index(key)).collect()
}

fn milliseconds(text: &str) -> Option<i64> {
    let (number, unit) = text.split_once(' ')?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(number.parse::<i64>().ok()? * factor)
}
