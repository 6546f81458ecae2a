//! Holds the hot functions to what they took when that was last thought right: how much memory they ask for, in every run of the tests,
//! and how many instructions they take, where valgrind is there to count them (`make instructions`).
//!
//! A clock tells little on machines that others use too; these counts hardly differ from run to run. Most of what makes such functions
//! slower shows in what they allocate: another copy, another text, a list built for one look at it. A search that goes through all
//! members for each of them shows in the instructions. docs/performance.md says more.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::figures::{Figure, Table};
use super::heap::Asked;
use super::measured::{Case, cases};

const ALLOCATIONS: Table = Table {
    file: "allocations.txt",
    head: &[
        "What the functions that requests spend their time in ask for, how often and how many bytes, beside the members of the session.",
        "`make bless` takes the figures as they are now; docs/performance.md says when that is right.",
    ],
    columns: &[("allocations", 1), ("bytes", 64)],
    percent: 5,
    advice: "What asks for more is likely to be slower: look for a clone, a `format!` or a `collect` that came in. Where the figure \
        is right as it is now, more or less, take it over with `make bless` and say why in the commit: what has been won is held from \
        then on.",
};

const INSTRUCTIONS: Table = Table {
    file: "instructions.txt",
    head: &[
        "How many instructions the functions that requests spend their time in take, built without optimisation: only what is much",
        "more than it was means anything. `make instructions` compares, `OPENMPSD_BLESS=1 make instructions` takes them as they are.",
    ],
    // The shortest take a third less in some builds of the very same source.
    columns: &[("instructions", 6000)],
    percent: 25,
    advice: "So much more is another way of doing it: look for a search within a loop, or work that is done twice. Where the figure is \
        right as it is now, more or less, or the compiler is another one, take it over with `OPENMPSD_BLESS=1 make instructions` and \
        say why in the commit.",
};

/// Measures something: once to have everything there that is made on first use, then twice, which must agree.
fn measured(case: &Case) -> Figure {
    (case.measure)();
    let (asked, again) = ((case.measure)(), (case.measure)());
    assert_eq!(asked, again, "{} with {} members asks for as much in every run", case.name, case.members);
    let Asked { allocations, bytes } = asked;
    Figure { name: case.name.to_owned(), members: case.members, counts: vec![allocations, bytes] }
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the figures are those of a debug build")]
fn hot_functions_ask_for_as_much_as_they_did() {
    ALLOCATIONS.hold(&cases().iter().map(measured).collect::<Vec<_>>());
}

#[test]
#[ignore = "takes valgrind and 20 seconds: make instructions"]
fn hot_functions_take_as_many_instructions_as_they_did() {
    let folder = std::env::temp_dir().join(format!("openmpsd-instructions-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--zero-before=openmpsd::tests::heap::count*", "--dump-after=openmpsd::tests::heap::work*"])
        .arg(format!("--callgrind-out-file={}/dump", folder.display()))
        .arg(std::env::current_exe().expect("this program has a path"))
        .args(["--ignored", "--exact", "tests::guard::everything_is_done_twice"])
        .output()
        .expect("valgrind is installed (make instructions sees to it)");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}", String::from_utf8_lossy(&output.stdout));
    // Everything is done twice, and the first time does not count.
    let counted = cases().into_iter().enumerate().map(|(at, case)| {
        let count = total(&folder.join(format!("dump.{}", 2 * at + 2)));
        Figure { name: case.name.to_owned(), members: case.members, counts: vec![count] }
    });
    let counted: Vec<Figure> = counted.collect();
    let _ = fs::remove_dir_all(&folder);
    INSTRUCTIONS.hold(&counted);
}

/// What callgrind counted from a call of `heap::count` to the end of `heap::work` in it.
fn total(dump: &Path) -> u64 {
    let text = fs::read_to_string(dump).unwrap_or_else(|error| panic!("{}: {error}", dump.display()));
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.and_then(|total| total.trim().parse().ok()).unwrap_or_else(|| panic!("{} has no total", dump.display()))
}

#[test]
#[ignore = "is what callgrind looks at"]
fn everything_is_done_twice() {
    for case in cases() {
        let asked = [(case.measure)(), (case.measure)()];
        assert!(asked[1].bytes <= asked[0].bytes, "{}: the first time makes what is made once", case.name);
    }
}
