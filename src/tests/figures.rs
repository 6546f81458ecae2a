//! Tables of stored figures under `tests/data`, and how what was counted is held to them.

use std::fmt::Write as _;
use std::fs;

/// A file of figures.
pub(super) struct Table {
    /// Its name under `tests/data`.
    pub file: &'static str,
    /// What it says of itself, without `#`.
    pub head: &'static [&'static str],
    /// What is counted, and how far a small number may be off.
    pub columns: &'static [(&'static str, u64)],
    /// How far any number may be off, in percent.
    pub percent: u64,
    /// What to do about one that is off.
    pub advice: &'static str,
}

/// One line: what is done, to a session of how many members (0 where there is none), and what was counted, column by column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figure {
    pub name: String,
    pub members: usize,
    pub counts: Vec<u64>,
}

impl Figure {
    fn is_of_the_same(&self, other: &Self) -> bool {
        (&self.name, self.members) == (&other.name, other.members)
    }

    fn title(&self) -> String {
        match self.members {
            0 => self.name.clone(),
            members => format!("{}, {members} members", self.name),
        }
    }
}

impl Table {
    /// Compares, or takes the figures as they are now where that is asked for.
    pub fn hold(&self, now: &[Figure]) {
        let path = format!("{}/tests/data/{}", env!("CARGO_MANIFEST_DIR"), self.file);
        #[expect(clippy::disallowed_methods, reason = "whether figures are taken as they are is no setting of the service")]
        let asked = std::env::var("OPENMPSD_BLESS");
        if asked.is_ok_and(|value| value == "1") {
            fs::write(&path, self.render(now)).expect("the figures can be written");
        }
        let wrong = self.compare(&self.read(&fs::read_to_string(&path).unwrap_or_default()), now);
        assert!(wrong.is_empty(), "not as tests/data/{} has it:\n  {}\n{}", self.file, wrong.join("\n  "), self.advice);
    }

    fn render(&self, figures: &[Figure]) -> String {
        let mut text = format!("# {}\n", self.head.join("\n# "));
        let mut line = |name: &str, members: &str, counts: &[String]| {
            let _ = write!(text, "{name:<36} {members:>7}");
            for count in counts {
                let _ = write!(text, " {count:>12}");
            }
            text.push('\n');
        };
        line("# what", "members", &self.columns.iter().map(|(column, _)| (*column).to_owned()).collect::<Vec<_>>());
        for Figure { name, members, counts } in figures {
            let members = if *members == 0 { "-".to_owned() } else { members.to_string() };
            line(name, &members, &counts.iter().map(u64::to_string).collect::<Vec<_>>());
        }
        text
    }

    /// Reads what [`Table::render`] wrote.
    fn read(&self, text: &str) -> Vec<Figure> {
        let figure = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (front, counts) = words.split_at_checked(words.len().checked_sub(self.columns.len())?)?;
            let (members, name) = front.split_last()?;
            let members = if *members == "-" { 0 } else { members.parse().ok()? };
            let counts = counts.iter().map(|count| count.parse().ok()).collect::<Option<_>>()?;
            Some(Figure { name: name.join(" "), members, counts })
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| figure(line).unwrap_or_else(|| panic!("{}: no figures are in: {line}", self.file))).collect()
    }

    /// What is wrong, a line each.
    fn compare(&self, stored: &[Figure], now: &[Figure]) -> Vec<String> {
        let mut wrong = Vec::new();
        for figure in now {
            let Some(before) = stored.iter().find(|before| before.is_of_the_same(figure)) else {
                wrong.push(format!("{}: has no figure yet", figure.title()));
                continue;
            };
            let columns = self.columns.iter().zip(before.counts.iter().zip(&figure.counts));
            let off: Vec<String> = columns.filter_map(|(column, (was, is))| self.off(*column, *was, *is)).collect();
            if !off.is_empty() {
                wrong.push(format!("{}: {}", figure.title(), off.join(", ")));
            }
        }
        let gone = stored.iter().filter(|before| !now.iter().any(|figure| before.is_of_the_same(figure)));
        wrong.extend(gone.map(|before| format!("{}: is not measured any more", before.title())));
        wrong
    }

    /// What is wrong with a number, if it is off by more than is tolerated.
    fn off(&self, (column, few): (&str, u64), was: u64, is: u64) -> Option<String> {
        let off = was.abs_diff(is);
        if off <= was * self.percent / 100 + few {
            return None;
        }
        let word = if is > was { "more" } else { "fewer" };
        let share = (off * 100).checked_div(was).map_or_else(String::new, |percent| format!(", {percent} %"));
        Some(format!("{is} {column} instead of {was} ({off} {word}{share})"))
    }
}

const SAMPLE: Table =
    Table { file: "none.txt", head: &["A sample."], columns: &[("allocations", 1), ("bytes", 64)], percent: 5, advice: "" };

fn figure(name: &str, members: usize, allocations: u64, bytes: u64) -> Figure {
    Figure { name: name.to_owned(), members, counts: vec![allocations, bytes] }
}

#[test]
fn figures_are_read_as_they_were_written() {
    let figures = [figure("decide an update", 100, 1234, 567_890), figure("find a route", 0, 7, 0)];
    assert_eq!(SAMPLE.read(&SAMPLE.render(&figures)), figures);
}

#[test]
fn more_is_told_and_less_too_and_a_little_is_tolerated() {
    let stored = [figure("decide", 4, 100, 10_000)];
    let told = |allocations, bytes| SAMPLE.compare(&stored, &[figure("decide", 4, allocations, bytes)]).join("\n");
    assert_eq!([told(106, 10_564), told(94, 9_436)], ["", ""]);
    assert_eq!(told(107, 10_000), "decide, 4 members: 107 allocations instead of 100 (7 more, 7 %)");
    assert_eq!(told(100, 9_000), "decide, 4 members: 9000 bytes instead of 10000 (1000 fewer, 10 %)");
    assert_eq!(
        told(200, 20_000),
        "decide, 4 members: 200 allocations instead of 100 (100 more, 100 %), 20000 bytes instead of 10000 (10000 more, 100 %)"
    );
    let from_nothing = SAMPLE.compare(&[figure("settle", 0, 0, 0)], &[figure("settle", 0, 2, 64)]);
    assert_eq!(from_nothing, ["settle: 2 allocations instead of 0 (2 more)"]);
}

#[test]
fn every_figure_has_its_measure_and_every_measure_its_figure() {
    let (one, other) = ([figure("decide", 4, 1, 1)], [figure("decide", 100, 1, 1)]);
    assert_eq!(
        SAMPLE.compare(&one, &other),
        ["decide, 100 members: has no figure yet", "decide, 4 members: is not measured any more"]
    );
}
