//! The benchmark from its start to its files, on a data set so small that the figures say nothing: every kind of workload runs through.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// One workload of each kind, in the order in which they are measured.
const SOME: [&str; 7] = ["get-session", "query-keyword", "search-3", "put-cas", "create-4", "tap-lag", "sweep-10k"];

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("openmpsd-bench-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bench(arguments: &[&str], data_dir: &Path, out: &Path) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_openmpsd-bench"));
    assert!(program.with_file_name("openmpsd").exists(), "the service is not built: run `cargo build -p openmpsd` first");
    let mut command = Command::new(program);
    command.args(arguments).arg("--data-dir").arg(data_dir).arg("--out").arg(out);
    command.args(["--allow-memory", "--shared-buffers-mb", "64"]).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn figures(out: &Path, name: &str) -> Vec<Value> {
    serde_json::from_str(&fs::read_to_string(out.join(name)).unwrap()).unwrap()
}

#[test]
fn a_run_measures_every_kind_of_workload_and_leaves_nothing_but_its_results() {
    let folder = Folder::new("smoke");
    let (data_dir, out) = (folder.0.join("data"), folder.0.join("out"));
    let only = SOME.join(",");
    let run = bench(&["run", "--quick", "--sessions", "1000", "--rounds", "1", "--only", &only], &data_dir, &out);
    let said = said(&run);
    assert!(run.status.success(), "{said}");
    assert!(!data_dir.exists(), "{said}");
    let results = figures(&out, "results.json");
    let mut names: Vec<&str> = results.iter().map(|one| one["workload"].as_str().unwrap()).collect();
    names.dedup();
    assert_eq!(names, SOME, "{said}");
    for one in &results {
        for side in ["ours", "theirs"] {
            assert!(one[side].as_f64().unwrap() > 0.0, "{one}");
            assert_eq!(one["each"][side].as_array().unwrap().len(), 1, "{one}");
        }
    }
    assert!(said.contains("get-session       round 1 of 1 …"), "{said}");
    for other in ["results.md", "results.html"] {
        assert!(fs::metadata(out.join(other)).unwrap().len() > 0, "{other}");
    }
}

#[test]
fn a_workload_that_there_is_not_is_refused_before_anything_is_made() {
    let folder = Folder::new("refused");
    let data_dir = folder.0.join("data");
    let run = bench(&["run", "--only", "get-sesion"], &data_dir, &folder.0);
    assert!(!run.status.success() && said(&run).contains("possible values: get-session"), "{}", said(&run));
    assert!(!data_dir.exists());
}
