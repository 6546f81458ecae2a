//! Scenarios: scripts of domain commands in `tests/scenarios/NAME.txt`, each with the transcript of playing it in `NAME.out`.
//!
//! The language of the scripts is described in `tests/scenarios/README.md`. A transcript is compared exactly; where it is meant to
//! change, `make bless` takes it as it is now.

mod cast;
mod hall;
mod player;
mod transcript;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");

/// The names of the files with this ending, without it.
fn names(ending: &str) -> BTreeSet<String> {
    let paths =
        fs::read_dir(FOLDER).expect("the folder can be listed").map(|entry| entry.expect("the folder can be listed").path());
    let name = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    paths.filter(|path| path.extension().is_some_and(|known| known == ending)).filter_map(name).collect()
}

fn is_blessing() -> bool {
    #[expect(clippy::disallowed_methods, reason = "whether transcripts are taken as they are is no setting of the service")]
    let asked = std::env::var("OPENMPSD_BLESS");
    asked.is_ok_and(|value| value == "1")
}

/// A line of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Same(&'t str),
    Gone(&'t str),
    New(&'t str),
}

/// Compares two texts line by line, by their longest common sequence of lines.
fn compare<'t>(old: &'t str, new: &'t str) -> Vec<Line<'t>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // How long a common sequence is left from here on.
    let mut left = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (at, one) in old.iter().enumerate().rev() {
        for (to, two) in new.iter().enumerate().rev() {
            left[at][to] = if one == two { left[at + 1][to + 1] + 1 } else { left[at + 1][to].max(left[at][to + 1]) };
        }
    }
    let (mut at, mut to, mut lines) = (0, 0, Vec::new());
    while at < old.len() || to < new.len() {
        match (old.get(at), new.get(to)) {
            (Some(one), Some(two)) if one == two => {
                lines.push(Line::Same(one));
                (at, to) = (at + 1, to + 1);
            }
            (Some(one), _) if to == new.len() || left[at + 1][to] >= left[at][to + 1] => {
                lines.push(Line::Gone(one));
                at += 1;
            }
            (_, Some(two)) => {
                lines.push(Line::New(two));
                to += 1;
            }
            (_, None) => unreachable!("the old text's rest was taken above"),
        }
    }
    lines
}

/// What differs, with two lines around it; nothing when the texts are the same.
fn differences(old: &str, new: &str) -> String {
    let lines = compare(old, new);
    let changed: Vec<usize> = (0..lines.len()).filter(|at| !matches!(lines[*at], Line::Same(_))).collect();
    let mut shown = String::new();
    let mut last = None;
    for (at, line) in lines.iter().enumerate().filter(|(at, _)| changed.iter().any(|near| near.abs_diff(*at) <= 2)) {
        if last.is_some_and(|last| last + 1 != at) || (last.is_none() && at > 0) {
            shown.push_str("  …\n");
        }
        let (mark, text) = match line {
            Line::Same(text) => (' ', text),
            Line::Gone(text) => ('-', text),
            Line::New(text) => ('+', text),
        };
        writeln!(shown, "{mark} {text}").expect("a text takes anything");
        last = Some(at);
    }
    shown
}

#[test]
fn every_scenario_goes_as_its_transcript_says() {
    let (scripts, transcripts) = (names("txt"), names("out"));
    assert!(!scripts.is_empty(), "there are scripts in {FOLDER}");
    let blessing = is_blessing();
    let mut complaints = String::new();
    for name in scripts.union(&transcripts) {
        let path = |ending: &str| Path::new(FOLDER).join(format!("{name}.{ending}"));
        let complaint = if scripts.contains(name) {
            let script = fs::read_to_string(path("txt")).expect("scripts are text");
            match player::play(&script) {
                Err(error) => format!("{error}\n"),
                Ok(played) if blessing => {
                    fs::write(path("out"), played).expect("transcripts can be written");
                    String::new()
                }
                Ok(_) if !transcripts.contains(name) => "there is no transcript\n".to_owned(),
                Ok(played) => differences(&fs::read_to_string(path("out")).expect("transcripts are text"), &played),
            }
        } else {
            "the transcript has no script\n".to_owned()
        };
        if !complaint.is_empty() {
            write!(complaints, "tests/scenarios/{name}:\n{complaint}").expect("a text takes anything");
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}`make bless` takes the transcripts as they are now.");
}

#[test]
fn differences_are_shown_with_what_is_around_them() {
    assert_eq!(differences("a\nb\n", "a\nb\n"), "");
    let (old, new) = ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\nfour\n5\n6\n7\n8\n9\nten\n");
    assert_eq!(differences(old, new), "  …\n  2\n  3\n- 4\n+ four\n  5\n  6\n  …\n  8\n  9\n+ ten\n");
}

#[test]
fn what_a_script_cannot_mean_is_told_with_its_line() {
    for (script, why) in [
        ("ada joins\n", "line 1: a template is needed first"),
        ("template Nowhere\n", "line 1: there is no template Nowhere"),
        ("\ntemplate Card\nada dances\n", "line 3: what is it that ada dances"),
        ("template Card\nwait a while\n", "line 2: a time like 30 s, 500 ms, 5 min or 2 h is expected"),
        ("template Card\nada: {\"members\": {\"<bo\": 1}}\n", "line 2: < without >"),
    ] {
        let told = player::play(script).expect_err(script);
        assert!(told.starts_with(why), "{told}");
    }
}
