//! The house rules that a compiler does not check: which room may know which, what stays out of the pure rooms, how long a file may
//! be, which rules of the contract a test names, and under which licences the dependencies come.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// For each room, the rooms it may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("json", &[]),
    ("metrics", &[]),
    ("settings", &[]),
    ("ambient", &[]),
    ("telemetry", &["settings"]),
    ("domain", &["json"]),
    ("wire", &["json", "domain"]),
    ("store", &["json", "domain", "wire"]),
    ("embedded", &["settings"]),
    ("services", &["json", "domain", "wire", "store"]),
    ("social", &["json", "ambient", "domain", "wire", "store"]),
    ("directory", &["json", "ambient", "metrics", "domain", "wire", "store"]),
    ("notify", &["json", "ambient", "metrics", "domain", "wire", "store", "directory"]),
    ("rta", &["json", "ambient", "metrics", "domain", "wire", "store", "notify"]),
    ("auth", &["json", "settings", "ambient", "domain"]),
    (
        "http",
        &["json", "ambient", "metrics", "domain", "wire", "store", "services", "social", "directory", "notify", "rta", "auth"],
    ),
    (
        "app",
        &[
            "json",
            "settings",
            "ambient",
            "metrics",
            "domain",
            "store",
            "embedded",
            "services",
            "social",
            "directory",
            "notify",
            "rta",
            "auth",
            "http",
        ],
    ),
    ("cli", &["json", "settings", "ambient", "telemetry", "domain", "store", "embedded", "services", "auth", "http", "app"]),
];

/// Families of rules, in the order of the contract's pages.
const FAMILIES: &str = "RSWMAQHNET";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder with this ending, its path below the folder and its text.
fn files(folder: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|known| known == ending) {
                let text = fs::read_to_string(&path).expect("sources are text");
                found.push((path.strip_prefix(folder).expect("it is below the folder").to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

fn room(path: &Path) -> String {
    let first = path.components().next().expect("a path has parts").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The part of a file that is compiled into the service.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "laws.rs")))
}

#[test]
fn dependencies_run_one_way() {
    let mut wrong = Vec::new();
    for (path, text) in files(&root().join("src"), "rs") {
        let room = room(&path);
        if is_test(&path) || matches!(room.as_str(), "lib" | "main") {
            continue;
        }
        let allowed = ARROWS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("{room} is not in the table")).1;
        for line in shipped(&text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            for named in line.split("crate::").skip(1) {
                let named: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let known = ARROWS.iter().any(|(name, _)| *name == named);
                if known && named != room && !allowed.contains(&named.as_str()) {
                    wrong.push(format!("{}: {room} must not know {named}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_stay_pure() {
    let mut wrong = Vec::new();
    for (path, text) in files(&root().join("src"), "rs") {
        let room = room(&path);
        for word in ["sqlx", "actix", "tokio", "tracing"] {
            if matches!(room.as_str(), "domain" | "wire" | "json") && shipped(&text).contains(&format!("{word}::")) {
                wrong.push(format!("{}: {word} has no place in {room}", path.display()));
            }
        }
        if room != "http" && shipped(&text).contains("StatusCode") {
            wrong.push(format!("{}: status codes belong to http", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let long: Vec<String> = ["src", "bench/src", "bench/tests", "load/src", "load/tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > 600)
        .map(|(path, lines)| format!("{}: {lines} lines ask to be two files", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// A rule of the contract: its family and number.
type Rule = (char, u32);

/// The rules that a text names as `W-12`, and those in names like `w12_`.
fn named(text: &str) -> BTreeSet<Rule> {
    let mut found = BTreeSet::new();
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let before = at.checked_sub(1).map_or(b' ', |at| bytes[at]);
        let (family, digits) =
            if FAMILIES.contains(char::from(*byte)) && bytes.get(at + 1) == Some(&b'-') && !before.is_ascii_alphanumeric() {
                (char::from(*byte), at + 2)
            } else if FAMILIES.contains(char::from(byte.to_ascii_uppercase()))
                && byte.is_ascii_lowercase()
                && !before.is_ascii_alphanumeric()
            {
                (char::from(byte.to_ascii_uppercase()), at + 1)
            } else {
                continue;
            };
        let number: String = text[digits..].chars().take_while(char::is_ascii_digit).collect();
        let after = bytes.get(digits + number.len()).copied().unwrap_or(b' ');
        if number.len() == 2 && !after.is_ascii_alphanumeric() {
            found.insert((family, number.parse().expect("two digits are a number")));
        }
    }
    found
}

/// Every rule must be named by a test, or be listed with its reason in `docs/contract/untested.md`; and nothing may be listed there
/// that a test names.
#[test]
fn every_rule_is_named_by_a_test_or_excused() {
    let mut rules = BTreeMap::new();
    let contract = root().join("docs/contract");
    for (path, text) in files(&contract, "md") {
        if path.ends_with("README.md") || path.ends_with("untested.md") {
            continue;
        }
        for part in text.split("**").skip(1).step_by(2) {
            if part.len() == 4 && part.as_bytes()[1] == b'-' {
                for rule in named(part) {
                    rules.insert(rule, path.display().to_string());
                }
            }
        }
    }
    assert!(rules.len() > 300, "the contract has about 400 rules, {} were found", rules.len());
    let mut tested = BTreeSet::new();
    for (path, text) in files(&root().join("tests"), "rs") {
        if !path.ends_with("tidy.rs") {
            tested.extend(named(&text));
        }
    }
    for (path, text) in files(&root().join("src"), "rs") {
        let tests = if is_test(&path) { text.as_str() } else { text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests) };
        tested.extend(named(tests));
    }
    let listed = fs::read_to_string(contract.join("untested.md")).expect("docs/contract/untested.md is there");
    let excused: BTreeSet<Rule> = listed.split("**").skip(1).step_by(2).flat_map(named).collect();
    let show = |(family, number): &Rule| format!("{family}-{number:02}");
    let silent: Vec<String> = rules.keys().filter(|rule| !tested.contains(rule) && !excused.contains(rule)).map(show).collect();
    let stale: Vec<String> = excused.iter().filter(|rule| tested.contains(rule) || !rules.contains_key(rule)).map(show).collect();
    assert!(silent.is_empty(), "no test names these rules: {}", silent.join(" "));
    assert!(stale.is_empty(), "docs/contract/untested.md excuses rules that are tested or do not exist: {}", stale.join(" "));
}

/// Licences that may be linked into an Apache-2.0 program without further duties on its users.
const PERMISSIVE: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unlicense",
    "Unicode-3.0",
    "CC0-1.0",
    "BSL-1.0",
    "MIT-0",
    "CDLA-Permissive-2.0",
];

#[test]
fn dependencies_come_under_permissive_licences() {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let resolved: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().expect("there are nodes").iter().filter_map(|node| node["id"].as_str()).collect();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("there are packages") {
        if !package["id"].as_str().is_some_and(|id| resolved.contains(id)) {
            continue;
        }
        let licence = package["license"].as_str().unwrap_or("none");
        let fits = |terms: &str| {
            terms
                .split(" AND ")
                .all(|one| PERMISSIVE.contains(&one.trim_matches(['(', ')', ' ']).split(" WITH ").next().unwrap_or("")))
        };
        let either = licence.replace('/', " OR ");
        // Either side of an OR will do; terms in brackets are taken apart the same way.
        if !either.split(" OR ").any(fits) {
            wrong.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    assert!(wrong.is_empty(), "licences to look at:\n{}", wrong.join("\n"));
}
