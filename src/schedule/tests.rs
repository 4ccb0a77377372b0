use super::crontab::{self, Damaged};
use super::runs::Holder;
use super::*;
use std::path::Path;

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn job(name: &str, cron: &str, words: &[&str], priority: u8) -> Job {
    Job {
        name: name.into(),
        cron: cron.into(),
        times: Times::read(cron).unwrap(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        queue: "file".into(),
        priority,
    }
}

fn installation(config: &str) -> Installation {
    Installation {
        binary: "/usr/local/bin/taskmon".into(),
        config: config.into(),
        now: utc("2026-11-25T12:00:00.5Z"),
    }
}

fn jobs() -> Vec<Job> {
    vec![
        job("daily", "0 2 * * *", &["stats"], 3),
        job("sweep", "30 * * * *", &["cleanup", "--only", "temp,logs"], 9),
    ]
}

fn written(text: &[u8], jobs: &[Job], installation: &Installation) -> String {
    let new = crontab::read(text).unwrap().with(jobs, installation);
    String::from_utf8(new).unwrap()
}

#[test]
fn a_block_has_the_absolute_paths_the_niceness_and_a_note_of_each_job() {
    assert_eq!(
        written(b"", &jobs(), &installation("/etc/taskmon/taskmon.toml")),
        "# BEGIN taskmon {\"config\":\"/etc/taskmon/taskmon.toml\"}
# Written by `taskmon schedule install`; `taskmon schedule remove` takes these lines out. Changes are lost. 由 taskmon 写入，请勿手工修改。
# taskmon job {\"name\":\"daily\",\"cron\":\"0 2 * * *\",\"command\":\"stats\",\"queue\":\"file\",\"priority\":3,\"installed\":\"2026-11-25T12:00:00Z\"}
0 2 * * * nice -n 12 /usr/local/bin/taskmon -c /etc/taskmon/taskmon.toml stats > /dev/null
# taskmon job {\"name\":\"sweep\",\"cron\":\"30 * * * *\",\"command\":\"cleanup --only temp,logs\",\"queue\":\"file\",\"priority\":9,\"installed\":\"2026-11-25T12:00:00Z\"}
30 * * * * /usr/local/bin/taskmon -c /etc/taskmon/taskmon.toml cleanup --only temp,logs > /dev/null
# END taskmon
"
    );
}

#[test]
fn foreign_lines_stay_to_the_byte_and_come_back_as_they_were() {
    for text in [
        &b""[..],
        b"MAILTO=ann\n# mine\n\n5 4 * * * /bin/true\n",
        b"5 4 * * * /bin/true\r\n# \xff\xfe no UTF-8\r\n",
        b"5 4 * * * /bin/true without an end",
        b"\n\n",
        b"# BEGIN taskmonitor\n# END taskmonitor\n",
        b"   # BEGIN taskmon\n",
    ] {
        let new = crontab::read(text).unwrap().with(&jobs(), &installation("/a.toml"));
        assert!(new.starts_with(text), "{new:?}");
        let again = crontab::read(&new).unwrap();
        assert_eq!(again.jobs().len(), 2);
        assert_eq!(again.config().as_deref(), Some(Path::new("/a.toml")));
        let later = Installation { now: utc("2027-01-01T00:00:00Z"), ..installation("/a.toml") };
        assert_eq!(again.with(&jobs(), &later), new, "installing again changes something");
        assert_eq!(again.without(), text);
        // Lines that somebody adds behind it stay too, and keep the line feed before them.
        let followed = [new.as_slice(), b"@daily /bin/later\n"].concat();
        let again = crontab::read(&followed).unwrap();
        assert_eq!(again.with(&jobs(), &later), followed);
        let rest = again.without();
        assert!(rest.starts_with(text) && rest.ends_with(b"@daily /bin/later\n"));
    }
}

#[test]
fn a_job_that_changes_is_new_and_the_others_keep_their_time() {
    let old = written(b"", &jobs(), &installation("/a.toml"));
    let mut changed = jobs();
    changed[0] = job("daily", "0 3 * * *", &["stats"], 3);
    changed.push(job("disk", "15 * * * *", &["disk"], 4));
    let later = Installation { now: utc("2026-12-01T00:00:00Z"), ..installation("/a.toml") };
    let new = written(old.as_bytes(), &changed, &later);
    let since: Vec<String> = crontab::read(new.as_bytes())
        .unwrap()
        .jobs()
        .iter()
        .map(|job| format!("{} {}", job.name, job.installed.format("%m-%d")))
        .collect();
    assert_eq!(since, ["daily 12-01", "sweep 11-25", "disk 12-01"]);
}

#[test]
fn a_damaged_block_is_refused_and_its_markers_named() {
    let begin = "# BEGIN taskmon {}\n";
    let end = "# END taskmon\n";
    let line = "0 2 * * * x\n";
    for (text, places) in [
        (format!("{begin}{line}"), "in line 1, \"# END taskmon\" nowhere"),
        (format!("{line}{end}"), "nowhere, \"# END taskmon\" in line 2"),
        (format!("{end}{begin}"), "in line 2, \"# END taskmon\" in line 1"),
        (
            format!("{begin}{end}{line}{begin}{end}"),
            "in line 1 and 4, \"# END taskmon\" in line 2 and 5",
        ),
        (format!("{begin}{begin}{end}"), "in line 1 and 2, \"# END taskmon\" in line 3"),
    ] {
        let Damaged(why) = crontab::read(text.as_bytes()).unwrap_err();
        assert!(why.ends_with(places), "{why}");
    }
}

#[test]
fn a_percent_sign_and_what_a_shell_would_read_are_written_so_that_they_arrive() {
    let odd =
        job("odd", "0 2 * * *", &["stats", "50%", "%", "it's $HOME", "a\\%b", r"a\\\b", ""], 9);
    let text = written(b"", &[odd], &installation("/srv/my app/100%.toml"));
    let line = text.lines().nth(3).unwrap();
    assert_eq!(
        line,
        r"0 2 * * * /usr/local/bin/taskmon -c '/srv/my app/100'\%.toml stats 50\% \% 'it'\''s $HOME' 'a\'\%b 'a\''\''\b' '' > /dev/null"
    );
    assert_eq!(
        crontab::read(text.as_bytes()).unwrap().config().as_deref(),
        Some(Path::new("/srv/my app/100%.toml"))
    );
}

// ---- what is missed

fn entry(cron: &str, installed: &str) -> Installed {
    Installed {
        name: "daily".into(),
        cron: cron.into(),
        command: "stats".into(),
        queue: String::new(),
        priority: 3,
        installed: utc(installed),
    }
}

fn run(start: &str, end: &str, exit_code: u8) -> RunRecord {
    RunRecord {
        job: "stats".into(),
        start: utc(start).fixed_offset(),
        end: utc(end).fixed_offset(),
        exit_code,
        skipped: exit_code == 75,
        held_by: (exit_code == 75).then_some(Holder::ThisHost),
        duration_seconds: 1.0,
        host: "box".into(),
        arguments: vec!["stats".into()],
        dry_run: false,
    }
}

fn missed_at(now: &str, entry: &Installed, runs: &[RunRecord], is_running: bool) -> Option<String> {
    let known = Known {
        runs,
        is_running: &|command| is_running && command == "stats",
        now: utc(now),
        zone: Tz::UTC,
    };
    missed(entry, &known).map(|due| due.format("%d %H:%M").to_string())
}

#[test]
fn a_job_is_missed_five_minutes_after_it_was_due_without_a_run_that_went_well() {
    let daily = entry("0 2 * * *", "2026-11-01T00:00:00Z");
    let of_today = |exit_code| run("2026-11-25T02:00:01Z", "2026-11-25T02:00:03Z", exit_code);
    let of_yesterday = run("2026-11-24T02:00:01Z", "2026-11-24T02:00:03Z", 0);
    let at = |now: &str, runs: &[RunRecord]| missed_at(now, &daily, runs, false);

    let before = std::slice::from_ref(&of_yesterday);
    assert_eq!(at("2026-11-25T02:04:59Z", before), None);
    assert_eq!(at("2026-11-25T02:05:00Z", before).as_deref(), Some("25 02:00"));
    assert_eq!(at("2026-11-25T02:04:59Z", &[]).as_deref(), Some("24 02:00"));
    for (exit_code, is_missed) in
        [(0, false), (1, false), (4, false), (2, true), (3, true), (75, true), (143, true)]
    {
        let runs = [of_yesterday.clone(), of_today(exit_code)];
        assert_eq!(at("2026-11-25T09:00:00Z", &runs).is_some(), is_missed, "{exit_code}");
    }
}

#[test]
fn only_runs_of_the_job_itself_count_and_dry_runs_do_not() {
    let daily = entry("0 2 * * *", "2026-11-01T00:00:00Z");
    let good = run("2026-11-25T02:00:01Z", "2026-11-25T02:00:03Z", 0);
    let other = RunRecord {
        arguments: vec!["stats".into(), "--date".into(), "2026-11-01".into()],
        ..good.clone()
    };
    let dry_run = RunRecord { dry_run: true, ..good.clone() };
    let now = "2026-11-25T09:00:00Z";
    assert!(missed_at(now, &daily, &[other, dry_run], false).is_some());
    assert!(missed_at(now, &daily, &[good], false).is_none());
}

#[test]
fn what_is_under_way_or_was_when_the_job_was_due_is_not_missed() {
    let daily = entry("0 2 * * *", "2026-11-01T00:00:00Z");
    let now = "2026-11-25T09:00:00Z";
    assert_eq!(missed_at(now, &daily, &[], true), None);
    // One that hangs for more than a day is no excuse.
    let hourly = entry("0 2 1 * *", "2026-10-01T00:00:00Z");
    assert!(missed_at("2026-11-02T02:00:01Z", &hourly, &[], true).is_some());
    // A run by hand held the lock, and went well.
    let by_hand = run("2026-11-25T01:50:00Z", "2026-11-25T02:10:00Z", 0);
    let skipped = run("2026-11-25T02:00:01Z", "2026-11-25T02:00:01Z", 75);
    assert_eq!(missed_at(now, &daily, &[skipped.clone(), by_hand], false), None);
    // Another host did the work.
    let elsewhere = RunRecord { held_by: Some(Holder::OtherHost), ..skipped.clone() };
    assert_eq!(missed_at(now, &daily, &[elsewhere], false), None);
    assert!(missed_at(now, &daily, &[skipped], false).is_some());
}

#[test]
fn what_was_due_before_it_was_installed_is_not_missed() {
    let now = "2026-11-25T09:00:00Z";
    assert_eq!(missed_at(now, &entry("0 2 * * *", "2026-11-25T02:00:01Z"), &[], false), None);
    assert!(missed_at(now, &entry("0 2 * * *", "2026-11-25T01:59:59Z"), &[], false).is_some());
    assert_eq!(missed_at(now, &entry("@reboot", "2026-11-01T00:00:00Z"), &[], false), None);
}

#[test]
fn skips_count_until_a_run_comes_between() {
    let words = ["stats".to_owned()];
    let skip = run("2026-11-25T02:00:01Z", "2026-11-25T02:00:01Z", 75);
    let failed = run("2026-11-25T02:00:01Z", "2026-11-25T02:00:01Z", 3);
    assert_eq!(skipped_in_a_row(&words, &[]), 0);
    assert_eq!(skipped_in_a_row(&words, &[skip.clone(), failed.clone()]), 0);
    assert_eq!(skipped_in_a_row(&words, &[skip.clone(), failed, skip.clone(), skip]), 2);
}
