//! How a run ended, and what it printed: what a test does not state about an output stream must be empty.

use serde_json::Value;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The part that the password has in common with every form in which it is written.
const SECRET: &str = "s3cret";

/// A run that has ended. A stream that the test does not ask for must be empty.
pub struct Finished {
    command: String,
    folder: PathBuf,
    pub code: Option<i32>,
    stdout: String,
    stderr: String,
    pub took: Duration,
    stdout_stated: Cell<bool>,
    stderr_stated: Cell<bool>,
}

impl Finished {
    /// Fails if a password was printed or the program panicked.
    #[track_caller]
    pub fn new(
        command: String,
        folder: PathBuf,
        code: Option<i32>,
        took: Duration,
        [stdout, stderr]: [String; 2],
    ) -> Self {
        let (stdout_stated, stderr_stated) = (Cell::new(false), Cell::new(false));
        let finished =
            Self { command, folder, code, stdout, stderr, took, stdout_stated, stderr_stated };
        if finished.stdout.contains(SECRET) || finished.stderr.contains(SECRET) {
            finished.fail("it printed a password");
        }
        if finished.stderr.contains("panicked at") {
            finished.fail("it panicked");
        }
        finished
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.stdout_stated.set(true);
        match serde_json::from_str(&self.stdout) {
            Ok(value) => {
                self.require_hints(&value);
                value
            }
            Err(error) => self.fail(&format!("standard output is not one JSON document: {error}")),
        }
    }

    /// In every test: each warning and failure of `taskmon check` has a hint what to do.
    #[track_caller]
    fn require_hints(&self, result: &Value) {
        let checks = result["checks"].as_array().into_iter().flatten();
        let all = checks.flat_map(|check| {
            let findings = check["findings"].as_array().into_iter().flatten();
            std::iter::once(check).chain(findings)
        });
        for entry in all {
            let is_well = entry["status"] == "ok" || entry["status"] == "skipped";
            if !is_well && entry["hint"].as_str().unwrap_or_default().is_empty() {
                self.fail(&format!("this has no hint: {entry:#}"));
            }
        }
    }

    pub fn stdout(&self) -> &str {
        self.stdout_stated.set(true);
        &self.stdout
    }

    pub fn stderr(&self) -> &str {
        self.stderr_stated.set(true);
        &self.stderr
    }

    #[track_caller]
    pub fn stdout_contains(&self, part: &str) -> &Self {
        if !self.stdout().contains(part) {
            self.fail(&format!("standard output does not contain {part:?}"));
        }
        self
    }

    #[track_caller]
    pub fn stderr_contains(&self, part: &str) -> &Self {
        if !self.stderr().contains(part) {
            self.fail(&format!("standard error does not contain {part:?}"));
        }
        self
    }

    /// The error document: its kind is this, its message names each of these. A person gets the message on
    /// standard error, or nothing.
    #[track_caller]
    pub fn failure(&self, kind: &str, names: &[&str]) -> Value {
        let document = self.json();
        let message = document["error"]["message"].as_str().unwrap_or_default();
        if document["success"] != Value::Bool(false)
            || document["error"]["kind"] != kind
            || message.is_empty()
        {
            self.fail(&format!("expected an error document of the kind {kind}"));
        }
        for name in names {
            if !message.contains(name) {
                self.fail(&format!("the error's message does not name {name:?}"));
            }
        }
        let printed = self.stderr().trim();
        if !printed.is_empty() && !printed.contains(message) {
            self.fail("standard error says something else than the error document");
        }
        document
    }

    #[track_caller]
    pub fn fail(&self, why: &str) -> ! {
        panic!(
            "{why}\ncommand: {}\nexit code: {:?} after {:?}\n--- standard output\n{}\n--- standard error\n{}\n--- folder\n{}",
            self.command,
            self.code,
            self.took,
            self.stdout,
            self.stderr,
            tree(&self.folder)
        )
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if !self.stdout_stated.get() && !self.stdout.is_empty() {
            self.fail("standard output should be empty");
        }
        if !self.stderr_stated.get() && !self.stderr.is_empty() {
            self.fail("standard error should be empty");
        }
    }
}

pub fn tree(folder: &Path) -> String {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let lines = entries.map(|entry| {
        let length = entry.metadata().map(|data| data.len()).unwrap_or_default();
        format!("{:>9}  {}\n", length, entry.path().display())
    });
    lines.collect()
}
