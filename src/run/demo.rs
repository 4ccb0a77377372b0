//! `taskmon demo`: makes a sandbox and runs the jobs on it.

use super::database::open_store;
use super::output::Done;
use super::pipeline::JobReport;
use super::stats::{self, Reports};
use super::{Session, disks, working_dir};
use crate::cli::DemoArgs;
use crate::config::{self, Config, Request};
use crate::demo::{self, DemoRequest};
use crate::outcome::Outcome;
use crate::report::text;
use anyhow::Result;
use serde_json::json;
use std::path::Path;

pub(super) fn run(session: &Session, config: &Config, arguments: &DemoArgs) -> Result<Done> {
    let (timezone, language) = (config.timezone, config.language);
    let request = DemoRequest { now: session.now, timezone, language };
    let sandbox = demo::make(&arguments.dir, &request)?;
    let config = config::resolve(Request {
        config_flag: Some(sandbox.config.clone()),
        database_url_flag: Some(format!("sqlite:{}", sandbox.database.display())),
        language_flag: session.common.lang,
        env: session.env.clone(),
        working_dir: working_dir()?,
    })?;
    let mut store = open_store(&config)?;
    let mut reports = Reports::new(&config);
    let yesterday = stats::yesterday(&config, session.now);
    reports.make(session, store.as_mut(), &[yesterday])?;
    if let Some(issue) = reports.save(session.layout())? {
        reports.add_issue(issue);
    }
    let disks = disks::measure(&config, &config.disk);
    let next = next_steps(&arguments.dir);
    let report = reports.days.first();
    let document = json!({
        "success": true,
        "sandbox": sandbox.dir,
        "config": sandbox.config,
        "kept_config": sandbox.kept_config,
        "database": sandbox.database,
        "made": sandbox.counts,
        "report_path": report.and_then(|report| report.report_path.as_ref()),
        "jobs": {"stats": report, "disk": disks},
        "next": next,
    });
    let has_issues = reports.has_issues() || !disks.errors.is_empty();
    let outcome = if has_issues { Outcome::DoneWithErrors } else { Outcome::Done };
    session.done(&document, outcome, || {
        let mut page = sandbox.describe(config.language);
        for report in &reports.days {
            page += &format!("\n{}", text::stats(report, config.language));
        }
        page += &format!("\n{}", text::disk(&disks, config.language, session.screen.columns));
        page += config.language.pick("\n接下来可以试试：\n", "\nTry next:\n");
        for line in &next {
            page += &format!("{}  {line}\n", text::WHOLE);
        }
        page
    })
}

/// Commands to try on a sandbox, as they can be pasted into a shell.
fn next_steps(dir: &Path) -> [String; 4] {
    let (dir, taskmon) = (quoted(&dir.display().to_string()), own_name());
    [
        "stats --output text",
        "stats --days 7 --no-save | jq '.[].task_statistics.total_tasks'",
        "cleanup --dry-run --output text",
        "disk --output text",
    ]
    .map(|arguments| format!("cd {dir} && {taskmon} {arguments}"))
}

/// What starts this program in a shell: its bare name if PATH leads to it, which it does not right after `cargo run`, else its path.
pub(super) fn own_name() -> String {
    let name = "taskmon";
    let Ok(own) = std::env::current_exe() else {
        return name.to_owned();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file());
    match first.and_then(|found| found.canonicalize().ok()) {
        Some(found) if found == own => name.to_owned(),
        _ => quoted(&own.display().to_string()),
    }
}

/// A word that a shell takes as it is.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
