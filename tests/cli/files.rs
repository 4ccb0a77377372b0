//! The files that taskmon writes: never through what another user put in their place, never half, and with rights of their own.

use crate::cli::stats::DAY;
use crate::support::env::TestEnv;
use crate::support::finished::Finished;
use crate::support::rows::{Task, long_ago};
use crate::support::run::Run;
use crate::support::wait_until;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Uid, chownat, mknodat};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

/// The user whose folders root writes to.
const APPLICATION: u32 = 65534;

const SENT: &str = r#"[{"type": "t", "message": "m", "severity": "warning"}]"#;

/// Gives a name to the application, a symbolic link itself and not what it leads to. Needs root.
fn give_away(path: &Path) {
    let (user, group) = (Uid::from_raw(APPLICATION), Gid::from_raw(APPLICATION));
    chownat(CWD, path, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A link that the application made, perhaps to nothing.
fn plant(env: &TestEnv, target: &str, link: &str) {
    std::fs::create_dir_all(env.path(link).parent().unwrap()).unwrap();
    symlink(env.path(target), env.path(link)).unwrap();
    give_away(&env.path(link));
}

fn today() -> String {
    let shanghai = chrono::FixedOffset::east_opt(8 * 3600).unwrap();
    chrono::Utc::now().with_timezone(&shanghai).format("%Y%m%d").to_string()
}

fn report_file() -> String {
    format!("reports/daily/daily_report_{}.json", DAY.replace('-', ""))
}

fn alert(env: &TestEnv) -> Run<'_> {
    env.taskmon(["-q", "-q", "alert", "--send", SENT])
}

fn stats(env: &TestEnv) -> Run<'_> {
    env.taskmon(["-q", "-q", "stats", "--date", DAY])
}

fn first_error(finished: Finished) -> String {
    finished.json()["errors"][0]["kind"].as_str().unwrap_or_default().to_owned()
}

fn mode(env: &TestEnv, path: &str) -> u32 {
    std::fs::metadata(env.path(path)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn no_folder_is_written_to_through_another_users_link() {
    for (folder, kind) in [
        ("reports/daily", "report_not_saved"),
        ("reports", "report_not_saved"),
        ("reports/alerts", "records_unusable"),
        ("logs", "alert_log_unwritable"),
    ] {
        let env = TestEnv::sqlite();
        std::fs::create_dir(env.path("precious")).unwrap();
        plant(&env, "precious", folder);
        let run = if kind == "report_not_saved" { stats(&env) } else { alert(&env) };
        assert_eq!(first_error(run.exits(1)), kind, "{folder}");
        let written = std::fs::read_dir(env.path("precious")).unwrap().count();
        assert_eq!(written, 0, "{folder}: {}", env.tree());
        // The administrator's link is as good as a folder.
        std::fs::remove_file(env.path(folder)).unwrap();
        symlink("./precious", env.path(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        if folder.contains('/') {
            std::fs::remove_file(env.path(folder)).unwrap();
            symlink("../precious", env.path(folder)).unwrap();
        }
        let run = if kind == "report_not_saved" { stats(&env) } else { alert(&env) };
        run.success().json();
        assert_ne!(std::fs::read_dir(env.path("precious")).unwrap().count(), 0, "{folder}");
    }
}

#[test]
fn no_file_is_written_to_through_another_users_link() {
    for (file, kind) in [
        ("logs/warning_alerts.log".to_owned(), "alert_log_unwritable"),
        (format!("reports/alerts/alerts_{}.jsonl", today()), "records_unusable"),
    ] {
        for is_hard in [false, true] {
            let env = TestEnv::sqlite();
            env.write("precious", "");
            if is_hard {
                let path = env.path(&file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::hard_link(env.path("precious"), &path).unwrap();
                give_away(path.parent().unwrap());
            } else {
                plant(&env, "precious", &file);
            }
            if is_hard && kind == "records_unusable" {
                // It can be read; what is added goes to the second place.
                alert(&env).success().json();
            } else {
                assert_eq!(first_error(alert(&env).exits(1)), kind, "{file}");
            }
            assert_eq!(env.read("precious"), "", "{file}");
        }
    }
    // The record of the run.
    let env = TestEnv::sqlite();
    env.write("precious", "");
    plant(&env, "precious", "logs/taskmon_runs.jsonl");
    let run = env.taskmon(["disk", "/", "--no-alert"]).success();
    run.stderr_contains("cannot be recorded");
    run.json();
    assert_eq!(env.read("precious"), "");
    // The log, in a folder of anybody's, and beside it the administrator's own link.
    plant(&env, "precious", "taskmon.log");
    let run = env.taskmon(["-q", "-q", "disk", "/", "--log-file", "taskmon.log"]).exits(3);
    run.failure("output_failed", &["taskmon.log", "a symbolic link of user"]);
    assert_eq!(env.read("precious"), "");
    symlink("precious", env.path("own.log")).unwrap();
    let words = ["disk", "/missing", "/", "--no-alert", "--log-file", "own.log"];
    let run = env.taskmon(words).exits(1);
    run.stderr_contains("/missing");
    run.json();
    assert!(env.read("precious").contains("/missing"));
}

#[test]
fn what_is_put_in_a_folders_place_while_a_job_runs_is_not_written_to() {
    for (folder, kind, named) in [
        ("reports/daily", "report_not_saved", None),
        ("reports/alerts", "records_unusable", None),
        ("logs", "alert_log_unwritable", None),
        // A folder of the application's own, and in it a further name of a file.
        ("logs", "alert_log_unwritable", Some("logs/warning_alerts.log")),
    ] {
        let env = TestEnv::sqlite();
        std::fs::create_dir_all(env.path(folder)).unwrap();
        env.write("precious/file", "");
        env.insert([Task::new(1).at(&long_ago()).status("PENDING")]);
        let held = env.connection();
        held.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let run = if kind == "report_not_saved" {
            stats(&env)
        } else {
            env.taskmon(["-q", "-q", "alert"])
        };
        let running = run.spawn();
        wait_until("the run has its lock, and waits for the database", || {
            let logs = env.path("logs").read_dir().into_iter().flatten().flatten();
            let mut names = logs.map(|entry| entry.file_name().into_string().unwrap());
            names.any(|name| name.starts_with(".taskmon-"))
        });
        std::fs::rename(env.path(folder), env.path("aside")).unwrap();
        match named {
            None => plant(&env, "precious", folder),
            Some(name) => {
                std::fs::create_dir(env.path(folder)).unwrap();
                std::fs::hard_link(env.path("precious/file"), env.path(name)).unwrap();
                give_away(&env.path(folder));
            }
        }
        held.execute_batch("ROLLBACK").unwrap();
        let finished = running.wait();
        assert_eq!(finished.code, Some(1), "{folder}");
        let errors = finished.json()["errors"].to_string();
        assert!(errors.contains(kind), "{folder}: {errors}");
        assert_eq!(env.read("precious/file"), "", "{folder}");
        let written = std::fs::read_dir(env.path("precious")).unwrap().count();
        assert_eq!(written, 1, "{folder}: {}", env.tree());
    }
}

#[test]
fn a_file_is_written_aside_under_a_name_that_nobody_can_guess() {
    let env = TestEnv::sqlite();
    env.write("precious", "precious");
    let report = report_file();
    for (file, words) in [
        (report.as_str(), "stats --no-alert --date"),
        ("disk.prom", "disk / --no-alert --textfile disk.prom --fail-on"),
    ] {
        let last = if file == report { DAY } else { "critical" };
        let (folder, name) = file.rsplit_once('/').unwrap_or((".", file));
        std::fs::create_dir_all(env.path(folder)).unwrap();
        let script = format!(
            "ln -s {} {folder}/.{name}.$$ && exec taskmon {words} {last}",
            env.path("precious").display()
        );
        env.program("sh", ["-c", &script]).success().json();
        assert_eq!(env.read("precious"), "precious", "{file}");
        assert!(env.path(file).symlink_metadata().unwrap().is_file(), "{}", env.tree());
    }
}

#[test]
fn what_is_written_has_rights_of_its_own_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let env = TestEnv::sqlite();
        let script = format!(
            "umask {umask}; exec taskmon stats --no-alert --date {DAY} --textfile stats.prom"
        );
        env.program("sh", ["-c", &script]).success().json();
        assert_eq!(mode(&env, &report_file()), 0o640, "{umask}");
        assert_eq!(mode(&env, "stats.prom"), 0o644, "{umask}");
        // What is appended to is nothing that everybody may write.
        let script = format!("umask {umask}; exec taskmon -q -q alert --send '{SENT}'");
        env.program("sh", ["-c", &script]).success().json();
        for name in ["logs", "logs/warning_alerts.log", "logs/taskmon_runs.jsonl", "reports/alerts"]
        {
            assert_eq!(mode(&env, name) & 0o002, 0, "{umask}: {name}");
        }
    }
}

#[test]
fn a_fifo_among_the_records_and_logs_hangs_no_job() {
    let records = format!("reports/alerts/alerts_{}.jsonl", today());
    for name in [
        "reports/alerts/.sending-1-2",
        "reports/alerts/.lock",
        records.as_str(),
        "logs/warning_alerts.log",
        "logs/taskmon_runs.jsonl",
    ] {
        let env = TestEnv::sqlite();
        std::fs::create_dir_all(env.path(name).parent().unwrap()).unwrap();
        mknodat(CWD, env.path(name), FileType::Fifo, 0o644.into(), 0).unwrap();
        for words in [["alert", "--send", SENT].as_slice(), &["alert"], &["disk", "/"]] {
            let run = env.taskmon(["-q", "-q"].iter().chain(words).copied()).run();
            assert!(run.took < Duration::from_secs(15), "{name}: {words:?} took {:?}", run.took);
            assert!(run.code.is_some_and(|code| code <= 1), "{name}: {words:?} {:?}", run.code);
            run.json();
        }
    }
}

/// The content of a pipe that a shell gives the name of, `<(…)`.
fn piped(env: &TestEnv, words: &str, content: &str) -> Finished {
    env.write("content", content);
    let script =
        format!("exec taskmon -q -q {}", words.replace("PIPE", "<(sleep 0.2; cat content)"));
    env.program("bash", ["-c", &script]).run()
}

#[test]
fn what_the_command_line_names_may_come_through_a_pipe() {
    let env = TestEnv::new();
    let config = "timezone = 'Asia/Kolkata'\n";
    let shown = piped(&env, "-c PIPE config", config).json();
    assert_eq!(shown["timezone"], "Asia/Kolkata");
    // Paths in it start where the command was given, as there is no folder that it lies in.
    let base = env.path("").canonicalize().unwrap();
    assert_eq!(shown["base_dir"], base.to_str().unwrap().trim_end_matches('/'));
    let sent = piped(&env, "alert --send @PIPE", SENT).json();
    assert_eq!(sent["alerts"][0]["type"], "t");
    let report =
        r#"{"success": false, "job": "stats", "error": {"kind": "internal", "message": "m"}}"#;
    let evaluated = piped(&env, "alert --report PIPE", report).json();
    assert_eq!(evaluated["alerts"][0]["type"], "job_failed");
    let sent = env.taskmon(["-q", "-q", "alert", "--send", "-"]).input(SENT).success().json();
    assert_eq!(sent["alerts"][0]["type"], "t");
    // A file of any length is a file.
    env.write("long", &format!("{}{SENT}", " ".repeat(17 << 20)));
    env.taskmon(["-q", "-q", "alert", "--send", "@long"]).success().json();
}

#[test]
fn a_device_or_a_pipe_without_an_end_is_given_up() {
    let env = TestEnv::new();
    mknodat(CWD, env.path("fifo"), FileType::Fifo, 0o644.into(), 0).unwrap();
    // All at once: a FIFO that nobody writes to is waited for.
    let mut running = Vec::new();
    for (path, why) in [("/dev/zero", "16 MiB"), ("fifo", "did not come to its end"), (".", "")] {
        let at = format!("@{path}");
        let cases: [(&str, Vec<&str>); 3] = [
            ("config_unreadable", vec!["-c", path, "disk", "/"]),
            ("usage", vec!["alert", "--send", &at]),
            ("usage", vec!["alert", "--report", path]),
        ];
        for (kind, words) in cases {
            let run = env.taskmon(["-q", "-q", "--no-lock"].iter().chain(&words).copied());
            running.push((run.spawn(), kind, path, why));
        }
    }
    let endless = "taskmon -q -q --no-lock alert --send - < /dev/zero";
    running.push((env.program("sh", ["-c", endless]).spawn(), "usage", "-", "16 MiB"));
    for (running, kind, path, why) in running {
        let finished = running.wait();
        assert_eq!(finished.code, Some(2), "{path}");
        assert!(finished.took < Duration::from_secs(60), "{path}: {:?}", finished.took);
        finished.failure(kind, &[path, why]);
    }
}
