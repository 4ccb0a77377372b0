//! Text that others wrote controls no terminal and no log.

use crate::on_each_database;
use crate::support::rows::{Task, long_ago};

/// What a terminal obeys, and what hides or turns text around.
const EVIL: &str = "a\u{1b}]0;x\u{7}\u{9b}2Jb\u{202e}c\u{2066}d\u{200b}e\u{2028}f\rg\nh\u{feff}i";

#[track_caller]
fn assert_printable(what: &str, text: &str) {
    let is_evil = |c: char| {
        (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}".contains(c)
    };
    assert!(!text.contains(is_evil), "{what}: {text:?}");
}

on_each_database! {
    fn what_rows_say_reaches_pages_and_logs_as_escapes(env) {
        env.write("uploads/keep", "");
        env.write("static/keep", "");
        env.config(&format!("[cleanup]\nclock_gap_days = 0\n[[stats.error_categories]]\nname = '{}'\ncontains = ['a']", "x\u{202e}y"));
        let yesterday = (chrono::Utc::now() - chrono::TimeDelta::hours(24)).format("%Y-%m-%d 12:00:00").to_string();
        env.insert([
            Task::new(1).at(&yesterday).failed(EVIL).with("task_id", format!("{EVIL}1")).with("task_name", EVIL),
            Task::new(2).at(&yesterday).with("task_id", format!("{EVIL}2")),
            Task::new(3).at(&long_ago()).with("task_id", format!("{EVIL}3")).with("image_path", format!("/outside/{EVIL}")),
            Task::new(4).status("PENDING").at(&long_ago()).with("task_id", format!("{EVIL}4")),
        ]);
        for arguments in [
            &["stats", "--output", "text", "--no-save", "-v"][..],
            &["cleanup", "--output", "text", "-v"],
            &["alert", "--output", "text", "-v"],
            &["check", "--output", "text"],
            &["schedule", "logs", "--output", "text"],
        ] {
            let run = env.taskmon(arguments).run();
            assert_printable(arguments[0], run.stdout());
            assert_printable(arguments[0], run.stderr());
        }
        for log in ["logs/warning_alerts.log", "logs/error_alerts.log"] {
            if env.path(log).exists() {
                assert_printable(log, &env.read(log));
            }
        }
    }
}
