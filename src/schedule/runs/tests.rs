use super::append::{SHORTEST_LINE, append, append_and_trim, open_locked, trim};
use super::follow::Follower;
use super::*;
use std::time::Duration;

fn record(number: u32) -> RunRecord {
    let start = DateTime::parse_from_rfc3339("2026-11-25T02:00:00.250+08:00").unwrap();
    RunRecord {
        job: "stats".into(),
        start,
        end: start + Duration::from_millis(1500),
        exit_code: 0,
        skipped: false,
        held_by: None,
        duration_seconds: f64::from(number),
        host: "box".into(),
        arguments: vec!["stats".into()],
        dry_run: false,
    }
}

fn numbers(records: &[RunRecord]) -> Vec<u32> {
    records.iter().map(|record| record.duration_seconds as u32).collect()
}

#[test]
fn a_record_is_a_line_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("new/logs");
    assert_eq!(read(&logs).unwrap(), []);
    append(&logs, &record(1)).unwrap();
    append(&logs, &record(2)).unwrap();
    let text = std::fs::read_to_string(path(&logs)).unwrap();
    assert_eq!(
        text.lines().next().unwrap(),
        r#"{"job":"stats","start":"2026-11-25T02:00:00.250+08:00","end":"2026-11-25T02:00:01.750+08:00","exit_code":0,"skipped":false,"duration_seconds":1.0,"host":"box","arguments":["stats"],"dry_run":false}"#
    );
    assert!(text.len() as u64 > 2 * SHORTEST_LINE);
    assert_eq!(read(&logs).unwrap(), [record(1), record(2)]);
}

#[test]
fn the_last_success_of_each_job_survives_trimming_and_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let rare = RunRecord { arguments: vec!["stats".into(), "--month".into()], ..record(1) };
    let elsewhere = RunRecord { host: "other".into(), ..record(2) };
    for run in [&record(0), &rare, &elsewhere, &record(3)] {
        append_and_trim(&path(folder.path()), run, 1).unwrap();
        last::remember(folder.path(), run).unwrap();
    }
    assert_eq!(numbers(&read(folder.path()).unwrap()), [1, 2, 3]);
    std::fs::remove_file(path(folder.path())).unwrap();
    let mut found = numbers(&read(folder.path()).unwrap());
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3]);
    append(folder.path(), &record(4)).unwrap();
    assert_eq!(numbers(&read(folder.path()).unwrap()).last(), Some(&4));
}

#[test]
fn torn_lines_are_skipped_and_do_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), &record(1)).unwrap();
    let mut text = std::fs::read(path(folder.path())).unwrap();
    text.extend(b"{\"job\":\"sta");
    std::fs::write(path(folder.path()), text).unwrap();
    append(folder.path(), &record(2)).unwrap();
    assert_eq!(numbers(&read(folder.path()).unwrap()), [1, 2]);
}

#[test]
fn many_at_once_lose_nothing_while_the_file_is_trimmed_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(folder.path());
    let (writers, each, kept) = (8, 300, 100_u32);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let path = &path;
            scope.spawn(move || {
                for number in 0..each {
                    append_and_trim(path, &record(writer * each + number), kept as usize).unwrap();
                }
            });
        }
    });
    let found = numbers(&records(&std::fs::read(&path).unwrap()));
    assert_eq!(found.len(), kept as usize);
    // Of each writer, the last that is kept are its last ones, in order and without a gap.
    for writer in 0..writers {
        let written: Vec<u32> =
            found.iter().copied().filter(|number| number / each == writer).collect();
        let expected: Vec<u32> =
            ((writer + 1) * each - written.len() as u32..(writer + 1) * each).collect();
        assert_eq!(written, expected);
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_is_followed_goes_on_across_a_trim_a_rotation_and_a_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let (mut follower, first) = Follower::start(folder.path(), 2).unwrap();
    assert_eq!(first, []);
    let mut next = |number: u32| drop(append(folder.path(), &record(number)).unwrap());
    (1..=3).for_each(&mut next);
    assert_eq!(numbers(&follower.poll().unwrap()), [1, 2, 3]);
    assert_eq!(follower.poll().unwrap(), []);
    assert_eq!(numbers(&Follower::start(folder.path(), 2).unwrap().1), [2, 3]);

    next(4);
    let mut file = open_locked(&path(folder.path())).unwrap();
    trim(&path(folder.path()), &mut file, 2).unwrap();
    drop(file);
    next(5);
    assert_eq!(numbers(&follower.poll().unwrap()), [4, 5]);

    next(6);
    std::fs::rename(path(folder.path()), folder.path().join("old")).unwrap();
    assert_eq!(numbers(&follower.poll().unwrap()), [6]);
    next(7);
    assert_eq!(numbers(&follower.poll().unwrap()), [7]);

    std::fs::File::create(path(folder.path())).unwrap();
    assert_eq!(follower.poll().unwrap(), []);
    next(8);
    assert_eq!(numbers(&follower.poll().unwrap()), [8]);
}
