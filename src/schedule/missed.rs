//! Runs that should have been and were not.

use super::expression::Times;
use super::installed::Installed;
use super::runs::{Holder, RunRecord};
use crate::calendar::Shift;
use crate::timezone::Tz;
use chrono::{DateTime, TimeDelta, Utc};

/// How late a job may begin: cron starts it late, the host is busy.
pub const GRACE: TimeDelta = TimeDelta::minutes(5);

/// How long a run that is under way counts as one that will succeed; one that hangs does not count for ever.
pub const LONGEST_RUN: TimeDelta = TimeDelta::hours(24);

/// From this many runs in a row on that a lock skipped, an alert is raised.
pub const SKIPPED_TOO_OFTEN: usize = 3;

/// What is known about the jobs of this host.
pub struct Known<'a> {
    /// Oldest first; those of other hosts, which may share the folder, do not count.
    pub runs: &'a [RunRecord],
    pub host: &'a str,
    /// Whether a run of this command (`cleanup`) is under way.
    pub is_running: &'a dyn Fn(&str) -> bool,
    pub now: DateTime<Utc>,
    /// The zone that cron goes by.
    pub zone: Tz,
}

/// When the job was due last, if it has not succeeded since; `None`: it has, or it was not due yet.
///
/// A run counts if it ended after the job was due with exit code 0, 1 or 4, was no dry run, and had the job's arguments, whoever started it. A run
/// that is under way counts for [`LONGEST_RUN`]. A run that another host's lock skipped was done there. The job is not missed until [`GRACE`] after
/// it was due, nor for times before it was installed.
pub fn missed(job: &Installed, known: &Known) -> Option<DateTime<Utc>> {
    let times = Times::read(&job.cron).ok()?;
    let due = times.last(known.now.minus(GRACE), known.zone)?;
    let words = job.words();
    let command = words.first().map_or("", String::as_str);
    let is_done =
        known.runs.iter().filter(|run| run.host == known.host && run.is_of(&words)).any(|run| {
            if run.skipped {
                run.held_by == Some(Holder::OtherHost) && run.start >= due
            } else {
                run.is_success() && run.end >= due
            }
        });
    let is_under_way =
        known.now.signed_duration_since(due) < LONGEST_RUN && (known.is_running)(command);
    (due > job.installed && !is_done && !is_under_way).then_some(due)
}

/// How many runs of a job a lock on this host has skipped since the last one that ran.
pub fn skipped_in_a_row(words: &[String], runs: &[RunRecord], host: &str) -> usize {
    let latest = runs.iter().rev().filter(|run| run.host == host && run.is_of(words));
    latest.take_while(|run| run.skipped).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

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

    fn missed_at(
        now: &str,
        entry: &Installed,
        runs: &[RunRecord],
        running: Option<&str>,
    ) -> Option<String> {
        let known = Known {
            runs,
            host: "box",
            is_running: &|command| running == Some(command),
            now: utc(now),
            zone: Tz::UTC,
        };
        missed(entry, &known).map(|due| due.format("%d %H:%M").to_string())
    }

    #[test]
    fn a_run_on_another_host_does_not_hide_that_cron_is_dead_here() {
        let daily = entry("0 2 * * *", "2026-11-01T00:00:00Z");
        let here = run("2026-11-25T02:00:01Z", "2026-11-25T02:00:03Z", 0);
        let elsewhere = RunRecord { host: "other".into(), ..here.clone() };
        let missed = |run| missed_at("2026-11-25T03:00:00Z", &daily, &[run], None);
        assert_eq!(missed(here), None);
        assert_eq!(missed(elsewhere), Some("25 02:00".to_owned()));
    }

    #[test]
    fn a_job_is_missed_five_minutes_after_it_was_due_without_a_run_that_went_well() {
        let daily = entry("0 2 * * *", "2026-11-01T00:00:00Z");
        let of_today = |exit_code| run("2026-11-25T02:00:01Z", "2026-11-25T02:00:03Z", exit_code);
        let of_yesterday = run("2026-11-24T02:00:01Z", "2026-11-24T02:00:03Z", 0);
        let at = |now: &str, runs: &[RunRecord]| missed_at(now, &daily, runs, None);

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
        assert!(missed_at(now, &daily, &[other, dry_run], None).is_some());
        assert!(missed_at(now, &daily, &[good], None).is_none());
    }

    #[test]
    fn what_is_under_way_or_was_when_the_job_was_due_is_not_missed() {
        let daily = entry("0 2 * * *", "2026-11-01T00:00:00Z");
        let now = "2026-11-25T09:00:00Z";
        assert_eq!(missed_at(now, &daily, &[], Some("stats")), None);
        // One that hangs for more than a day is no excuse.
        let hourly = entry("0 2 1 * *", "2026-10-01T00:00:00Z");
        assert!(missed_at("2026-11-02T02:00:01Z", &hourly, &[], Some("stats")).is_some());
        // A run by hand held the lock, and went well.
        let by_hand = run("2026-11-25T01:50:00Z", "2026-11-25T02:10:00Z", 0);
        let skipped = run("2026-11-25T02:00:01Z", "2026-11-25T02:00:01Z", 75);
        assert_eq!(missed_at(now, &daily, &[skipped.clone(), by_hand], None), None);
        // Another host did the work.
        let elsewhere = RunRecord { held_by: Some(Holder::OtherHost), ..skipped.clone() };
        assert_eq!(missed_at(now, &daily, &[elsewhere], None), None);
        assert!(missed_at(now, &daily, &[skipped], None).is_some());
    }

    #[test]
    fn what_was_due_before_it_was_installed_is_not_missed() {
        let now = "2026-11-25T09:00:00Z";
        assert_eq!(missed_at(now, &entry("0 2 * * *", "2026-11-25T02:00:01Z"), &[], None), None);
        assert!(missed_at(now, &entry("0 2 * * *", "2026-11-25T01:59:59Z"), &[], None).is_some());
        assert_eq!(missed_at(now, &entry("@reboot", "2026-11-01T00:00:00Z"), &[], None), None);
    }

    #[test]
    fn skips_count_until_a_run_comes_between() {
        let words = ["stats".to_owned()];
        let skip = run("2026-11-25T02:00:01Z", "2026-11-25T02:00:01Z", 75);
        let failed = run("2026-11-25T02:00:01Z", "2026-11-25T02:00:01Z", 3);
        assert_eq!(skipped_in_a_row(&words, &[], "box"), 0);
        assert_eq!(skipped_in_a_row(&words, &[skip.clone(), failed.clone()], "box"), 0);
        let elsewhere = RunRecord { host: "other".into(), ..failed.clone() };
        let runs = [skip.clone(), failed, skip.clone(), elsewhere, skip];
        assert_eq!(skipped_in_a_row(&words, &runs, "box"), 2);
    }
}
