//! No test goes by a date that the calendar overtakes: what a run that reads the clock is to find hangs on a time that the test takes
//! from the clock itself. A literal date is for what is given the time, such as a pure function or a run with `--date` or `--as-of`.

use std::path::Path;

/// A file with literal dates: how many there are, and what is given them.
struct Given {
    file: &'static str,
    dates: usize,
    to: &'static str,
}

const STORE: &str = "the store, which is told the day or the time";
const MESSAGE: &str = "the message, which carries its time";
const PRESETS: &str = "runs with --date, and with --as-of";
const DATE: &str = "runs with --date";
const AS_OF: &str = "runs with --as-of";

const GIVEN: &[Given] = &[
    Given { file: "tests/channels/dingtalk.rs", dates: 1, to: MESSAGE },
    Given { file: "tests/channels/feishu.rs", dates: 3, to: MESSAGE },
    Given { file: "tests/channels/slack.rs", dates: 1, to: MESSAGE },
    Given { file: "tests/channels/wecom.rs", dates: 1, to: MESSAGE },
    Given { file: "tests/channels/command.rs", dates: 1, to: MESSAGE },
    Given { file: "tests/channels/delivery.rs", dates: 2, to: MESSAGE },
    Given { file: "tests/channels/email/mod.rs", dates: 4, to: MESSAGE },
    Given { file: "tests/channels/mod.rs", dates: 2, to: MESSAGE },
    Given { file: "tests/channels/webhook.rs", dates: 4, to: MESSAGE },
    Given { file: "tests/cli/cleanup/expiry.rs", dates: 22, to: AS_OF },
    Given { file: "tests/cli/cleanup/hostile_paths.rs", dates: 8, to: AS_OF },
    Given { file: "tests/cli/cleanup/mod.rs", dates: 4, to: AS_OF },
    Given { file: "tests/cli/cleanup/guards.rs", dates: 21, to: AS_OF },
    Given { file: "tests/cli/cleanup/times.rs", dates: 18, to: AS_OF },
    Given { file: "tests/cli/cleanup/property/times.rs", dates: 6, to: AS_OF },
    Given { file: "tests/cli/cleanup/receipts.rs", dates: 9, to: AS_OF },
    Given { file: "tests/cli/cleanup/references.rs", dates: 3, to: AS_OF },
    Given { file: "tests/cli/cleanup/tables.rs", dates: 34, to: AS_OF },
    Given { file: "tests/cli/cleanup/foreign_partitions.rs", dates: 3, to: AS_OF },
    Given { file: "tests/cli/errors/configuration.rs", dates: 5, to: "runs that refuse them" },
    Given { file: "tests/cli/init.rs", dates: 2, to: DATE },
    Given { file: "tests/cli/presets/celery.rs", dates: 4, to: PRESETS },
    Given { file: "tests/cli/presets/laravel.rs", dates: 1, to: PRESETS },
    Given { file: "tests/cli/presets/mod.rs", dates: 2, to: PRESETS },
    Given { file: "tests/cli/presets/rails.rs", dates: 2, to: PRESETS },
    Given { file: "tests/cli/presets/schedulers.rs", dates: 4, to: PRESETS },
    Given {
        file: "tests/cli/scripts.rs",
        dates: 12,
        to: "scripts whose month or day is an argument",
    },
    Given { file: "tests/cli/snapshot.rs", dates: 1, to: DATE },
    Given { file: "tests/cli/stats.rs", dates: 42, to: DATE },
    Given { file: "tests/cli/time.rs", dates: 77, to: DATE },
    Given { file: "tests/memory/files.rs", dates: 4, to: "records" },
    Given { file: "tests/memory/rows.rs", dates: 11, to: AS_OF },
    Given { file: "tests/fixtures/detect/camel.sql", dates: 5, to: DATE },
    Given { file: "tests/fixtures/detect/chinese.sql", dates: 5, to: DATE },
    Given { file: "tests/fixtures/detect/contradicted.sql", dates: 7, to: DATE },
    Given { file: "tests/fixtures/detect/half_known.sql", dates: 5, to: DATE },
    Given { file: "tests/fixtures/detect/numbers.sql", dates: 3, to: DATE },
    Given { file: "tests/fixtures/detect/print_jobs.sql", dates: 3, to: DATE },
    Given { file: "tests/fixtures/presets/airflow_postgres.sql", dates: 22, to: PRESETS },
    Given { file: "tests/fixtures/presets/airflow_sqlite.sql", dates: 22, to: PRESETS },
    Given { file: "tests/fixtures/presets/apscheduler.sql", dates: 1, to: PRESETS },
    Given { file: "tests/fixtures/presets/celery_messages_postgres.sql", dates: 3, to: PRESETS },
    Given { file: "tests/fixtures/presets/celery_own_sqlite.sql", dates: 1, to: PRESETS },
    Given { file: "tests/fixtures/presets/celery_postgres.sql", dates: 6, to: PRESETS },
    Given { file: "tests/fixtures/presets/celery_sqlite.sql", dates: 6, to: PRESETS },
    Given { file: "tests/fixtures/presets/delayed_job_postgres.sql", dates: 12, to: PRESETS },
    Given { file: "tests/fixtures/presets/delayed_job_sqlite.sql", dates: 12, to: PRESETS },
    Given {
        file: "tests/fixtures/presets/django_celery_results_postgres.sql",
        dates: 14,
        to: PRESETS,
    },
    Given {
        file: "tests/fixtures/presets/django_celery_results_sqlite.sql",
        dates: 14,
        to: PRESETS,
    },
    Given { file: "tests/fixtures/presets/django_q2_postgres.sql", dates: 8, to: PRESETS },
    Given { file: "tests/fixtures/presets/django_q2_sqlite.sql", dates: 8, to: PRESETS },
    Given { file: "tests/fixtures/presets/good_job.sql", dates: 16, to: PRESETS },
    Given { file: "tests/fixtures/presets/good_job_that_stays.sql", dates: 4, to: PRESETS },
    Given { file: "tests/fixtures/presets/graphile_worker.sql", dates: 10, to: PRESETS },
    Given { file: "tests/fixtures/presets/hangfire.sql", dates: 18, to: PRESETS },
    Given { file: "tests/fixtures/presets/laravel_postgres.sql", dates: 6, to: PRESETS },
    Given { file: "tests/fixtures/presets/laravel_sqlite.sql", dates: 6, to: PRESETS },
    Given { file: "tests/fixtures/presets/oban_elixir.sql", dates: 17, to: PRESETS },
    Given { file: "tests/fixtures/presets/oban_python.sql", dates: 17, to: PRESETS },
    Given { file: "tests/fixtures/presets/oban_sqlite.sql", dates: 17, to: PRESETS },
    Given { file: "tests/fixtures/presets/pg_boss.sql", dates: 22, to: PRESETS },
    Given { file: "tests/fixtures/presets/procrastinate.sql", dates: 18, to: PRESETS },
    Given { file: "tests/fixtures/presets/que.sql", dates: 7, to: PRESETS },
    Given { file: "tests/fixtures/presets/river.sql", dates: 18, to: PRESETS },
    Given { file: "tests/fixtures/presets/river_sqlite.sql", dates: 18, to: PRESETS },
    Given { file: "tests/fixtures/presets/solid_queue_postgres.sql", dates: 18, to: PRESETS },
    Given { file: "tests/fixtures/presets/solid_queue_sqlite.sql", dates: 18, to: PRESETS },
    Given { file: "tests/readme/shown.rs", dates: 4, to: "texts that a pure function compares" },
    Given { file: "tests/reference/generate.py", dates: 1, to: "its usage" },
    Given {
        file: "tests/reference/report.py",
        dates: 10,
        to: "its test of itself, and the day of its usage",
    },
    Given { file: "tests/store/day.rs", dates: 53, to: STORE },
    Given { file: "tests/store/groups.rs", dates: 32, to: STORE },
    Given { file: "tests/store/harness.rs", dates: 1, to: STORE },
    Given { file: "tests/store/live.rs", dates: 150, to: STORE },
    Given { file: "tests/store/mapping.rs", dates: 22, to: STORE },
    Given { file: "tests/store/prune.rs", dates: 5, to: STORE },
    Given { file: "tests/support/rows.rs", dates: 1, to: "DAY, which says so" },
];

/// The forms of a date: `0` is a digit, `1` one of 1 and 2, and a letter itself.
const FORMS: &[&str] = &["1000-00", "10000000", "00 Mon 1000", "1_000_000_000", "1000000000"];

#[test]
fn dates_are_given_and_none_is_new() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for entry in walkdir::WalkDir::new(root.join("tests")).sort_by_file_name() {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() || entry.path().ends_with("architecture/dates.rs") {
            continue;
        }
        let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let found = dates(&text);
        let given = GIVEN.iter().find(|given| given.file == name);
        let known = given.map_or(0, |given| given.dates);
        if found.len() > known {
            let to = given.map_or("nothing", |given| given.to);
            wrong.push(format!(
                "{name} has {} dates, known are {known} for {to}: {found:?}",
                found.len()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The dates of a text, comments aside.
fn dates(text: &str) -> Vec<String> {
    let code = text.lines().map(|line| {
        let is_comment = ["//", "-- ", "# "].iter().any(|mark| line.trim_start().starts_with(mark));
        if is_comment { "" } else { line }
    });
    code.flat_map(|line| {
        let starts = line.char_indices().map(move |(at, _)| at);
        starts.filter_map(move |at| date_at(line, at))
    })
    .collect()
}

/// The date that a line has at a place, whose neighbours are no digits.
fn date_at(line: &str, at: usize) -> Option<String> {
    let rest = &line[at..];
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    if is_digit(line[..at].chars().next_back()) {
        return None;
    }
    let form = FORMS.iter().find(|form| {
        let here: Vec<char> = rest.chars().take(form.len() + 1).collect();
        here.len() >= form.len()
            && !is_digit(here.get(form.len()).copied())
            && form.chars().zip(&here).all(|(form, here)| fits(form, *here))
            && plausible(&here[..form.len()])
    })?;
    Some(rest[..form.len()].to_owned())
}

fn fits(form: char, here: char) -> bool {
    match form {
        '0' => here.is_ascii_digit(),
        '1' => here == '1' || here == '2',
        'M' => here.is_ascii_uppercase(),
        'o' | 'n' => here.is_ascii_lowercase(),
        _ => here == form,
    }
}

/// Whether the year, or that of the seconds since 1970, is one that a test would mean.
fn plausible(here: &[char]) -> bool {
    let digits: String = here.iter().filter(|c| c.is_ascii_digit()).collect();
    match (digits.len(), here.contains(&' ')) {
        (10, _) => digits
            .parse::<u64>()
            .is_ok_and(|seconds| (1_400_000_000..2_600_000_000).contains(&seconds)),
        (6, true) => matches!(&digits[2..4], "19" | "20" | "21"),
        (6, false) => matches!(&digits[..2], "19" | "20" | "21" | "29"),
        (8, _) => {
            matches!(&digits[..2], "19" | "20") && &digits[4..6] <= "12" && &digits[6..] <= "31"
        }
        _ => true,
    }
}

// ---- a check that cannot fail proves nothing

#[test]
fn a_date_is_found_in_every_form() {
    let is = |text: &str, expected: &[&str]| assert_eq!(dates(text), expected, "{text}");
    is("at(\"2026-11-22 10:00:00\")", &["2026-11"]);
    is("'2026-11', '2999-01-01'", &["2026-11", "2999-01"]);
    is("daily_report_20261122.json", &["20261122"]);
    is("Fri, 01 Dec 2023 18:00:01", &["01 Dec 2023"]);
    is("assert_eq!(sum, 1_795_276_800.0); 1795276800", &["1_795_276_800", "1795276800"]);
    is("// on 2026-11-22\n-- 2026-11-22\n  # 2026-11-22", &[]);
    is("12026-11-22, 30000000, 10000000000, 9223372036854775807, 19991399", &[]);
    is("x(\"1-11-22\"); 00000000000123456789", &[]);
}
