use super::{CONFIG, DATABASE, MARKER};
use crate::demo::tests::{count, folder, make_small, open, request, shared};
use crate::demo::{DemoRequest, Sandbox, make};
use crate::language::Language;
use crate::outcome::{Failure, Kind};
use crate::timezone::zone;
use fs2::FileExt;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

fn kind_of(result: anyhow::Result<Sandbox>) -> (Kind, String) {
    let failure = Failure::of(&result.unwrap_err());
    (failure.kind, failure.message)
}

/// A thing in a folder: its time of change in seconds and nanoseconds, where it leads as a link, what it holds as a file.
type Seen = (i64, i64, Option<PathBuf>, Option<Vec<u8>>);

/// Everything beneath a folder, and the folder.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Seen> {
    WalkDir::new(dir)
        .into_iter()
        .map(|entry| {
            let path = entry.unwrap().into_path();
            let found = fs::symlink_metadata(&path).unwrap();
            let link = fs::read_link(&path).ok();
            let bytes = found.is_file().then(|| fs::read(&path).unwrap());
            (path, (found.mtime(), found.mtime_nsec(), link, bytes))
        })
        .collect()
}

#[test]
fn another_folder_is_never_touched() {
    let folder = folder();
    let dir = folder.path().join("photos");
    fs::create_dir_all(dir.join("uploads/2023")).unwrap();
    fs::write(dir.join("uploads/2023/a.png"), "mine").unwrap();
    fs::write(dir.join("tasks.db"), "mine").unwrap();
    let before = snapshot(folder.path());
    let (kind, message) = kind_of(make_small(&dir, &request()));
    assert_eq!(kind, Kind::NotASandbox);
    assert!(message.contains(dir.to_str().unwrap()), "{message}");
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn a_file_is_no_folder_for_a_sandbox() {
    let folder = folder();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "mine").unwrap();
    let before = snapshot(folder.path());
    let (kind, message) = kind_of(make_small(&path, &request()));
    assert_eq!(kind, Kind::NotASandbox);
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn a_marker_that_taskmon_did_not_write_opens_nothing() {
    let folder = folder();
    fs::create_dir(folder.path().join("uploads")).unwrap();
    for text in ["", "This folder is", "something else", "This folder is a sandbox!\n"] {
        fs::write(folder.path().join(MARKER), text).unwrap();
        let before = snapshot(folder.path());
        let (kind, _) = kind_of(make_small(folder.path(), &request()));
        assert_eq!(kind, Kind::NotASandbox, "{text:?}");
        assert_eq!(snapshot(folder.path()), before, "{text:?}");
    }
}

#[test]
fn a_run_that_was_killed_at_any_step_can_be_repeated() {
    let folder = folder();
    // While its first sentence was written.
    for text in ["", "This folder is a sandbox of"] {
        let dir = folder.path().join(format!("early{}", text.len()));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(MARKER), text).unwrap();
        make_small(&dir, &request()).unwrap();
    }
    // Within the database, before its transaction ended; and before that, within the files.
    let dir = folder.path().join("early0");
    fs::write(dir.join("tasks.db"), "").unwrap();
    fs::write(dir.join("tasks.db-journal"), "half").unwrap();
    fs::remove_dir_all(dir.join("static")).unwrap();
    let sandbox = make(&dir, &request()).unwrap();
    assert_eq!(sandbox.counts, shared().1.counts);
    assert!(!dir.join("tasks.db-journal").exists());
    assert_eq!(count(&open(&sandbox), "SELECT count(*) FROM tasks"), sandbox.counts.tasks as i64);
}

#[test]
fn links_in_the_place_of_its_parts_stop_it_before_anything_is_touched() {
    let folder = folder();
    let treasure = folder.path().join("treasure");
    fs::create_dir(&treasure).unwrap();
    fs::write(treasure.join("ring"), "gold").unwrap();
    let dir = folder.path().join("sandbox");
    make_small(&dir, &request()).unwrap();
    let marker = fs::read(dir.join(MARKER)).unwrap();
    fs::write(treasure.join("marker"), marker).unwrap();
    for (part, target) in [
        ("uploads", "treasure"),
        ("static", "treasure"),
        ("logs", "treasure"),
        ("reports", "treasure"),
        (DATABASE, "treasure/ring"),
        ("tasks.db-journal", "treasure/ring"),
        (CONFIG, "treasure/ring"),
        (CONFIG, "nowhere"),
        (MARKER, "treasure/marker"),
    ] {
        let (path, aside) = (dir.join(part), folder.path().join("aside"));
        let moved = fs::rename(&path, &aside).is_ok();
        symlink(folder.path().join(target), &path).unwrap();
        let before = snapshot(folder.path());
        let (kind, message) = kind_of(make_small(&dir, &request()));
        assert_eq!(kind, Kind::NotASandbox, "{part}: {message}");
        assert!(message.contains(part), "{part}: {message}");
        assert_eq!(snapshot(folder.path()), before, "{part}");
        fs::remove_file(&path).unwrap();
        if moved {
            fs::rename(&aside, &path).unwrap();
        }
    }
    make_small(&dir, &request()).unwrap();
}

#[test]
fn a_link_to_a_sandbox_is_refused_with_and_without_a_slash() {
    let folder = folder();
    let dir = folder.path().join("empty");
    fs::create_dir(&dir).unwrap();
    let link = folder.path().join("link");
    symlink(&dir, &link).unwrap();
    let before = snapshot(folder.path());
    for name in ["link", "link/", "link/."] {
        let (kind, _) = kind_of(make_small(&folder.path().join(name), &request()));
        assert_eq!(kind, Kind::NotASandbox, "{name}");
    }
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn a_link_inside_its_folders_goes_and_what_it_leads_to_stays() {
    let folder = folder();
    let dir = folder.path().join("sandbox");
    make_small(&dir, &request()).unwrap();
    let treasure = folder.path().join("treasure");
    fs::create_dir(&treasure).unwrap();
    fs::write(treasure.join("ring"), "gold").unwrap();
    let before = snapshot(&treasure);
    symlink(&treasure, dir.join("uploads/link")).unwrap();
    symlink(treasure.join("ring"), dir.join("logs/app.log.99")).unwrap();
    make_small(&dir, &request()).unwrap();
    assert_eq!(snapshot(&treasure), before);
    assert!(fs::symlink_metadata(dir.join("uploads/link")).is_err());
}

#[test]
fn other_files_beside_it_stay_and_old_reports_go() {
    let folder = folder();
    make_small(folder.path(), &request()).unwrap();
    let (mine, report) =
        (folder.path().join("notes.txt"), folder.path().join("reports/daily/a.json"));
    fs::write(&mine, "mine").unwrap();
    fs::create_dir_all(report.parent().unwrap()).unwrap();
    fs::write(&report, "{}").unwrap();
    make_small(folder.path(), &request()).unwrap();
    assert_eq!(fs::read_to_string(mine).unwrap(), "mine");
    assert!(!report.exists());
}

#[test]
fn a_changed_configuration_is_kept_beside_the_new_one() {
    let folder = folder();
    let first = make_small(folder.path(), &request()).unwrap();
    for (number, name) in [(1, "taskmon.toml.bak"), (2, "taskmon.toml.bak.1")] {
        fs::write(&first.config, format!("# edited {number}")).unwrap();
        let again = make_small(folder.path(), &request()).unwrap();
        let kept = folder.path().join(name);
        assert_eq!(again.kept_config.as_deref(), Some(kept.as_path()));
        assert_eq!(fs::read_to_string(kept).unwrap(), format!("# edited {number}"));
        assert!(fs::read_to_string(&first.config).unwrap().contains("base_dir"));
    }
}

#[test]
fn another_language_or_zone_is_no_change_by_hand() {
    let folder = folder();
    make_small(folder.path(), &request()).unwrap();
    let english =
        DemoRequest { timezone: zone("Europe/Berlin"), language: Language::En, ..request() };
    let sandbox = make_small(folder.path(), &english).unwrap();
    assert_eq!(sandbox.kept_config, None);
    let config = fs::read_to_string(sandbox.config).unwrap();
    assert!(config.contains("timezone = \"Europe/Berlin\""), "{config}");
}

#[test]
fn a_second_run_at_the_same_time_is_sent_away() {
    let folder = folder();
    make_small(folder.path(), &request()).unwrap();
    let marker = File::open(folder.path().join(MARKER)).unwrap();
    FileExt::lock_exclusive(&marker).unwrap();
    let before = snapshot(folder.path());
    let (kind, message) = kind_of(make_small(folder.path(), &request()));
    assert_eq!(kind, Kind::Locked);
    assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    assert_eq!(snapshot(folder.path()), before);
    drop(marker);
    make_small(folder.path(), &request()).unwrap();
}

#[test]
fn several_runs_on_one_new_folder_leave_one_complete_sandbox() {
    let folder = folder();
    let dir = folder.path().join("sandbox");
    let results: Vec<anyhow::Result<Sandbox>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| make(&dir, &request()))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(results.iter().any(|result| result.is_ok()));
    for result in results {
        match result {
            Ok(sandbox) => assert_eq!(sandbox.counts, shared().1.counts),
            Err(error) => assert_eq!(Failure::of(&error).kind, Kind::Locked, "{error:#}"),
        }
    }
    let connection = Connection::open(dir.join(DATABASE)).unwrap();
    assert_eq!(count(&connection, "SELECT count(*) FROM tasks"), shared().1.counts.tasks as i64);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    for dir in [folder.path().join("file/sandbox"), PathBuf::from("/proc/taskmon/sandbox")] {
        let (kind, message) = kind_of(make_small(&dir, &request()));
        assert_eq!(kind, Kind::OutputFailed);
        assert!(message.contains(dir.to_str().unwrap()), "{message}");
    }
}

#[test]
fn a_folder_whose_name_looks_like_a_uri_is_a_folder() {
    let folder = folder();
    let dir = folder.path().join("file:a?mode=memory%20#");
    let sandbox = make_small(&dir, &request()).unwrap();
    assert!(fs::metadata(sandbox.database).unwrap().len() > 10_000);
}
