//! Files that somebody works on, or that have just come.

use super::*;
use crate::support::env::TestEnv;
use rustix::fs::{FlockOperation, fcntl_lock};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::Child;

/// Python's own mmap keeps the file open. 1 is MAP_SHARED, 2 MAP_PRIVATE.
const HELP: &str = "
import ctypes, fcntl, os, struct, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
def map(f, kind):
    at = libc.mmap(None, ctypes.c_size_t(10), 3, kind, f.fileno(), ctypes.c_long(0))
    assert at != ctypes.c_void_p(-1).value
";

/// A process that does something with files until its standard input ends; it has begun once it has said so.
struct Worker(Child);

impl Worker {
    fn new(env: &TestEnv, script: &str) -> Self {
        let text = format!("{HELP}\n{script}\nprint('begun', flush=True)\nsys.stdin.read()");
        let mut child = env
            .program("python3", ["-c", &text])
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "begun\n", "{script}");
        Self(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// Old files, without a database.
fn old_files(paths: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    env.config("");
    for path in paths {
        env.write(path, "0123456789");
        age(&env.path(path), 50_000);
    }
    env
}

#[track_caller]
fn sweep(env: &TestEnv, parts: &str) -> Value {
    let words = ["cleanup", "--only", parts];
    let dry_run = env.taskmon(words).arg("--dry-run").success().json();
    let result = env.taskmon(words).success().json();
    for key in ["files_cleaned", "logs_cleaned", "files_in_use", "disk_space_freed_mb"] {
        assert_eq!(dry_run[key], result[key], "{key}");
    }
    result
}

#[test]
fn a_file_that_a_process_works_on_stays_until_it_is_done() {
    for (what, script) in [
        ("open for appending", "f = open('logs/app.log', 'a')"),
        ("open for reading and writing", "f = os.open('logs/app.log', os.O_RDWR)"),
        ("open by another name", "os.link('logs/app.log', 'hard'); f = open('hard', 'a')"),
        ("mapped and closed", "f = open('logs/app.log', 'r+b'); map(f, 1); f.close()"),
        ("under flock", "f = open('logs/app.log'); fcntl.flock(f, fcntl.LOCK_EX)"),
        ("under a shared flock", "f = open('logs/app.log'); fcntl.flock(f, fcntl.LOCK_SH)"),
        (
            "under a lock of a process on some bytes",
            "f = open('logs/app.log'); fcntl.lockf(f, fcntl.LOCK_SH, 3, 2)",
        ),
        (
            "under a lock of an open file",
            "f = open('logs/app.log'); fcntl.fcntl(f, 37, struct.pack('hhqqi', fcntl.F_RDLCK, 0, 0, 0, 0))",
        ),
    ] {
        let env = old_files(&["logs/app.log", "logs/other.log"]);
        let worker = Worker::new(&env, script);
        let result = sweep(&env, "logs");
        assert_eq!(
            (&result["logs_cleaned"], &result["files_in_use"]),
            (&json!(1), &json!(1)),
            "{what}"
        );
        assert!(env.path("logs/app.log").exists(), "{what}");
        drop(worker);
        let result = sweep(&env, "logs");
        assert_eq!(
            (&result["logs_cleaned"], &result["files_in_use"]),
            (&json!(1), &json!(0)),
            "{what}"
        );
    }
}

#[test]
fn a_file_that_is_only_read_or_leased_goes() {
    for script in [
        "f = open('uploads/temp/a.bin', 'rb')",
        "f = open('uploads/temp/a.bin', 'r+b'); map(f, 2); f.close()",
        "f = open('uploads/temp/a.bin', 'rb'); fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)",
        "f = os.open('uploads/temp/a.bin', os.O_PATH)",
    ] {
        let env = old_files(&["uploads/temp/a.bin"]);
        let _worker = Worker::new(&env, script);
        let result = sweep(&env, "temp");
        assert_eq!(
            (&result["files_cleaned"], &result["files_in_use"]),
            (&json!(1), &json!(0)),
            "{script}"
        );
    }
}

/// As with systemd-tmpfiles: whoever unpacks into a folder locks it.
#[test]
fn a_folder_under_flock_is_left_alone_with_all_in_it() {
    let files = ["uploads/temp/a/1.bin", "uploads/temp/a/b/2.bin", "uploads/temp/c/3.bin"];
    let env = old_files(&files);
    let lock = File::open(env.path("uploads/temp/a")).unwrap();
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let result = sweep(&env, "temp");
    assert_eq!((&result["files_cleaned"], &result["files_in_use"]), (&json!(1), &json!(1)));
    drop(lock);
    let lock = File::open(env.path("uploads/temp")).unwrap();
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).unwrap();
    assert_eq!(sweep(&env, "temp")["files_cleaned"], 0);
    drop(lock);
    assert_eq!(sweep(&env, "temp")["files_cleaned"], 2);
}

#[test]
fn files_in_use_are_shown_on_the_page_and_among_the_figures() {
    let env = old_files(&["logs/app.log"]);
    let mut held = File::options().append(true).open(env.path("logs/app.log")).unwrap();
    fcntl_lock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    let words = ["cleanup", "--only", "logs", "--textfile", "cleanup.prom", "--output", "text"];
    env.taskmon(words).success().stdout_contains("1 files stay, somebody works on them");
    assert!(env.read("cleanup.prom").contains("taskmon_cleanup_kept_files_in_use 1\n"));
    held.write_all(b"x").unwrap();
}

/// With an old mtime alone, as `cp -p`, `tar` and `unzip` leave it.
#[test]
fn a_temp_file_that_just_came_is_young_whatever_its_mtime() {
    let env = TestEnv::new();
    env.write("uploads/temp/new/unpacked.bin", "1");
    age(&env.path("uploads/temp/new/unpacked.bin"), 50_000);
    age(&env.path("uploads/temp/new"), 50_000);
    env.write("logs/old.log", "1");
    age(&env.path("logs/old.log"), 50_000);
    let words = ["cleanup", "--only", "temp,logs"];
    let result = env.taskmon(words).success().json();
    assert_eq!((&result["files_cleaned"], &result["logs_cleaned"]), (&json!(0), &json!(1)));
    env.config("[cleanup]");
    let result = env.taskmon(words).success().json();
    assert_eq!((&result["files_cleaned"], &result["folders_removed"]), (&json!(1), &json!(1)));
    env.write("taskmon.toml", "[cleanup]\ntemp_age_by = 'ctime'");
    let refused = env.taskmon(words).exits(2);
    refused.failure("config_invalid", &["cleanup.temp_age_by", "\"youngest\", \"mtime\""]);
}
