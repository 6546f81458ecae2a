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
    columns: &[("instructions", 2000)],
    percent: 15,
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
#[ignore = "takes valgrind and 10 seconds: make instructions"]
fn hot_functions_take_as_many_instructions_as_they_did() {
    let program = std::env::current_exe().expect("this program has a path");
    let folder = std::env::temp_dir().join(format!("openmpsd-instructions-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--zero-before=openmpsd::tests::heap::count*", "--dump-after=openmpsd::tests::heap::work*"])
        .arg(format!("--callgrind-out-file={}/dump", folder.display()))
        .arg(&program)
        .args(["--ignored", "--exact", "tests::guard::everything_is_done_twice"])
        .output()
        .expect("valgrind is installed (make instructions sees to it)");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}", String::from_utf8_lossy(&output.stdout));
    // Everything is done twice, and the first time does not count.
    let counted = cases().into_iter().enumerate().map(|(at, case)| {
        let count = total(&folder.join(format!("dump.{}", 2 * at + 2)), &program);
        Figure { name: case.name.to_owned(), members: case.members, counts: vec![count] }
    });
    let counted: Vec<Figure> = counted.collect();
    let _ = fs::remove_dir_all(&folder);
    INSTRUCTIONS.hold(&counted);
}

/// What callgrind counted of `program` from a call of `heap::count` to the end of `heap::work` in it, without the libraries that it
/// calls: how long the system's allocator takes depends on what was given back before, from one run to the next.
///
/// Of a dump, `ob=` says whose instructions follow, a line a place in the source: its number and how many they were. The line after
/// `calls=` is about what was called, which is counted where it stands itself.
fn total(dump: &Path, program: &Path) -> u64 {
    let text = fs::read_to_string(dump).unwrap_or_else(|error| panic!("{}: {error}", dump.display()));
    let name = program.display().to_string();
    assert!(text.contains(&name), "{} has nothing of {name}", dump.display());
    own_instructions(&text, &name)
}

fn own_instructions(dump: &str, program: &str) -> u64 {
    let (mut number, mut inside, mut called, mut sum) = (None, false, false, 0);
    for line in dump.lines() {
        // A name is written once, after the number that stands for it from then on.
        if let Some(object) = line.strip_prefix("ob=").or_else(|| line.strip_prefix("cob=")) {
            let (at, name) = object.split_once(' ').map_or((object, None), |(at, name)| (at, Some(name)));
            if name == Some(program) {
                number = Some(at);
            }
            if line.starts_with("ob=") {
                inside = number == Some(at);
            }
        } else if line.starts_with("calls=") {
            called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok());
            if inside && !called {
                sum += cost.unwrap_or_else(|| panic!("no instructions are in: {line}"));
            }
            called = false;
        }
    }
    sum
}

#[test]
fn instructions_are_those_of_the_program_itself() {
    let dump = "events: Ir\nob=(1) /lib/ld.so\nfn=(0) a\n7 1000\n\nob=(7) /deps/it\nfn=(1) b\n170 18\n+2 4\n* 1\n\
        cob=(3) /lib/libc.so\ncfn=(2) malloc\ncalls=2 0 \n-1 150\n0 7\n\nob=(3)\nfn=(2)\n0 150\n\n\
        ob=(7)\nfn=(4) c\n9 31\n\ntotals: 1211\n";
    assert_eq!(own_instructions(dump, "/deps/it"), 18 + 4 + 1 + 7 + 31);
    let called_first = "ob=(1) /lib/ld.so\ncob=(2) /deps/it\ncfn=(1) b\ncalls=1 0 \n5 20\n6 3\n\nob=(2)\nfn=(1)\n1 20\n";
    assert_eq!(own_instructions(called_first, "/deps/it"), 20);
}

#[test]
#[ignore = "is what callgrind looks at"]
fn everything_is_done_twice() {
    for case in cases() {
        let asked = [(case.measure)(), (case.measure)()];
        assert!(asked[1].bytes <= asked[0].bytes, "{}: the first time makes what is made once", case.name);
    }
}
