//! The program under test, and what came of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::service::Service;

/// A run that has ended.
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
    /// `report.json`; null without one.
    pub report: Value,
}

/// The program with these arguments, and a folder for its report.
pub struct Tool {
    pub command: Command,
    folder: PathBuf,
}

impl Tool {
    pub fn new(arguments: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("openmpsd-load-report-{}-{number}", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_openmpsd-load"));
        command.args(arguments.split_whitespace()).arg("--report").arg(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, folder }
    }

    /// The same against a service, with the key of its data directory.
    pub fn against(service: &Service, arguments: &str) -> Self {
        let data_dir = service.data_dir.display();
        Self::new(&format!("--target {} --data-dir {data_dir} {arguments}", service.base))
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Ended {
        let output = self.command.output().expect("the program is built with its tests");
        self.ended(&output)
    }

    /// What became of it.
    pub fn ended(self, output: &Output) -> Ended {
        let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
        let report =
            fs::read(self.folder.join("report.json")).ok().map(|text| serde_json::from_slice(&text).expect("it is JSON"));
        let page = fs::read_to_string(self.folder.join("report.html")).ok();
        assert_eq!(report.is_some(), page.is_some_and(|page| page.ends_with("</html>\n")), "both reports, or none");
        Ended { code: output.status.code(), said, report: report.unwrap_or_default() }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.folder));
    }
}

impl Ended {
    /// Insists on an exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        self
    }

    /// How often a kind of request was made.
    pub fn count(&self, request: &str) -> u64 {
        let rows = self.report["requests"].as_array().into_iter().flatten();
        rows.filter(|row| row["name"] == request).filter_map(|row| row["count"].as_u64()).sum()
    }

    /// A number of the report by its JSON pointer.
    #[track_caller]
    pub fn number(&self, pointer: &str) -> f64 {
        self.report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} in {:#}", self.report))
    }
}
