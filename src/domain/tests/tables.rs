//! The diagrams of `docs/members.md` say what the tables of the code say: every row is an arrow there, and no arrow is made up.

use std::collections::BTreeSet;
use std::fs;

use crate::domain::initialization::STAGES;
use crate::domain::member::{Event, TRANSITIONS};
use crate::domain::session::Standing;
use crate::domain::timers::MEMBER_TIMERS;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/members.md");

/// What a diagram's arrows say: from where, to where, and by what event, without the rule.
type Arrows = BTreeSet<(String, String, String)>;

/// What else moves a member: its episode, and the loss of its connection.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("Reserved", "[*]", "joinTimeout of its episode"),
    ("Ready", "Inactive", "connection lost"),
    ("Active", "Inactive", "connection lost"),
];

/// How episodes begin, what else ends their stages, and what comes of that.
const EPISODES: &[(&str, &str, &str)] = &[
    ("[*]", "joining", "episode begins"),
    ("joining", "measuring", "nobody is reserved"),
    ("joining", "failed", "too few in episode 1"),
    ("measuring", "evaluating", "everybody measured, or nothing to measure, with externalEvaluation"),
    ("measuring", "[*]", "judged by the service"),
    ("measuring", "failed", "too few in episode 1"),
    ("evaluating", "[*]", "initializationSucceeded true"),
    ("evaluating", "[*]", "failure of a later episode"),
    ("evaluating", "failed", "initializationSucceeded false in episode 1"),
];

fn arrows(rows: &[(&str, &str, &str)]) -> Arrows {
    rows.iter().map(|(from, to, event)| ((*from).to_owned(), (*to).to_owned(), (*event).to_owned())).collect()
}

/// The arrows of one of the page's diagrams, and the same with the rule behind each: `From --> To : event (rule)`.
fn drawn(diagram: usize) -> (Arrows, Vec<String>) {
    let page = fs::read_to_string(PAGE).expect("docs/members.md is there");
    let text = page.split("```mermaid\nstateDiagram-v2\n").nth(diagram + 1).expect("the page has this diagram");
    let lines: Vec<String> = text.lines().take_while(|line| *line != "```").map(|line| line.trim().to_owned()).collect();
    let lines: Vec<String> = lines.into_iter().filter(|line| line.contains("-->")).collect();
    let mut found = Arrows::new();
    for line in &lines {
        let (ends, label) = line.split_once(" : ").unwrap_or_else(|| panic!("{line}: an event is expected"));
        let (from, to) = ends.split_once(" --> ").unwrap_or_else(|| panic!("{line}: two states are expected"));
        let (event, rules) = label.split_once(" (").unwrap_or_else(|| panic!("{line}: a rule is expected"));
        let rules = rules.strip_suffix(')').unwrap_or_else(|| panic!("{line}: nothing is expected after the rule"));
        for rule in rules.split(", ") {
            let known = matches!(rule.as_bytes(), [b'A'..=b'W', b'-', one, two] if one.is_ascii_digit() && two.is_ascii_digit());
            assert!(known, "{line}: {rule} is no rule");
        }
        assert!(found.insert((from.to_owned(), to.to_owned(), event.to_owned())), "{line} is drawn twice");
    }
    (found, lines)
}

/// Both must hold the same arrows.
fn compare(expected: &Arrows, drawn: &Arrows) {
    let missing: Vec<_> = expected.difference(drawn).collect();
    let unknown: Vec<_> = drawn.difference(expected).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "docs/members.md lacks {missing:?} and makes up {unknown:?}");
}

fn state(standing: Option<Standing>) -> String {
    standing.map_or("[*]".to_owned(), |standing| format!("{standing:?}"))
}

fn event(event: Event) -> &'static str {
    match event {
        Event::Reserve => "reserve_N",
        Event::Write => "PUT without a flag",
        Event::Ready => "PUT ready",
        Event::Active => "PUT active",
        Event::Rest => "flag taken back",
        Event::Leave => "leaves or is removed",
    }
}

#[test]
fn the_diagram_of_members_shows_every_transition() {
    let (drawn, lines) = drawn(0);
    let mut expected = arrows(OTHERWISE);
    expected.extend(TRANSITIONS.iter().map(|(from, on, to)| (state(*from), state(*to), event(*on).to_owned())));
    for timer in MEMBER_TIMERS {
        let (from, to) = (state(Some(timer.of)), state(timer.then));
        let line = format!("{from} --> {to} : {} ({})", timer.timeout, timer.rule);
        assert!(lines.contains(&line), "docs/members.md lacks {line}");
        expected.insert((from, to, timer.timeout.to_owned()));
    }
    compare(&expected, &drawn);
}

#[test]
fn the_diagram_of_initialization_shows_every_stage() {
    let (drawn, lines) = drawn(1);
    let mut expected = arrows(EPISODES);
    for (at, row) in STAGES.iter().enumerate() {
        // Time leads on to the stage after, and from the last one to failure.
        let next = STAGES.get(at + 1).map_or("failed", |next| next.stage.as_str());
        let (from, to) = (row.stage.as_str().to_owned(), next.to_owned());
        let line = format!("{from} --> {to} : {} ({})", row.timeout, row.rule);
        assert!(lines.contains(&line), "docs/members.md lacks {line}");
        expected.insert((from, to, row.timeout.to_owned()));
    }
    compare(&expected, &drawn);
}
