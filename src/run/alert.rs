//! `taskmon alert`: evaluates the live rules, or a result that it is given, and notifies.

use super::output::{Done, Printed};
use super::pipeline::{JobReport, Plan, Work};
use super::{Session, live};
use crate::alert::{Alert, worst_severity};
use crate::cli::{AlertArgs, Format};
use crate::config::Config;
use crate::files::{read_given, read_stdin};
use crate::live::LiveState;
use crate::notify::{Mode, Retry, Summary};
use crate::outcome::{Failure, Issue, Kind, Severity};
use crate::report::prometheus::Figures;
use crate::report::text::AlertPage;
use crate::report::{nagios, text};
use crate::rules::{self, Evaluation};
use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// The result of `alert`.
#[derive(Serialize)]
struct AlertReport<'a> {
    success: bool,
    dry_run: bool,
    #[serde(flatten)]
    summary: Summary,
    /// What the live rules looked at; their metrics are paths into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveState>,
    /// Seconds.
    execution_time: f64,
    #[serde(skip)]
    is_test: bool,
    #[serde(skip)]
    config: &'a Config,
}

pub(super) fn run(session: &Session, config: &Config, arguments: &AlertArgs) -> Result<Done> {
    let run = arguments.job_run(session.caller);
    let is_quiet = run.is_dry_run || run.by_hand.is_some();
    let mode = if is_quiet { Mode::DryRun } else { Mode::Deliver };
    let mut plan = Plan { run, config, locks: None, notify: Some(mode) };
    let report = || AlertReport {
        success: true,
        dry_run: is_quiet,
        summary: Summary::default(),
        live: None,
        execution_time: 0.0,
        is_test: arguments.test,
        config,
    };
    if let Some(evaluation) = given(arguments, config)? {
        let retry = if arguments.report.is_some() { Retry::Undelivered } else { Retry::Nothing };
        let evaluations = vec![evaluation];
        return session.run_job(
            &plan,
            || Ok(()),
            |()| Ok(Work { report: report(), evaluations, retry }),
        );
    }
    plan.locks = (!is_quiet).then(|| live::locks(config));
    session.run_job(
        &plan,
        || super::database::open_store(config),
        |mut store| {
            let found = live::evaluate(session, config, store.as_mut(), mode)?;
            let mut report = AlertReport { live: Some(found.state), ..report() };
            report.summary.errors = found.issues;
            let evaluations = vec![found.evaluation, Evaluation::job_succeeded("alert")];
            Ok(Work { report, evaluations, retry: Retry::Undelivered })
        },
    )
}

/// What `--report`, `--send`, `--message` or `--test` give to notify of; `None`: it is the live state that is looked at.
fn given(arguments: &AlertArgs, config: &Config) -> Result<Option<Evaluation>> {
    if let Some(file) = &arguments.report {
        let document = rules::read(read_json("--report", file)?)?;
        let context = super::notify::rule_context(config);
        return Ok(Some(rules::evaluate_finished(&document, &context)));
    }
    if let Some(given) = &arguments.send {
        return Ok(Some(Evaluation::given(given_alerts(given, arguments.severity)?)));
    }
    if let Some(text) = &arguments.message {
        let alert = rules::message("--message", text, arguments.severity.unwrap_or(TEXT_SEVERITY))?;
        return Ok(Some(Evaluation::given(vec![alert])));
    }
    if arguments.severity.is_some() {
        return Err(usage("--severity goes with --message, or with the text of --send").into());
    }
    Ok(arguments.test.then(|| Evaluation::test(config.language)))
}

impl JobReport for AlertReport<'_> {
    fn notified(&mut self, summary: Summary) {
        let found = std::mem::replace(&mut self.summary, summary).errors;
        self.summary.errors.extend(found);
    }

    fn add_issue(&mut self, issue: Issue) {
        self.summary.errors.push(issue);
    }

    fn has_issues(&self) -> bool {
        !self.summary.errors.is_empty()
    }

    fn worst_alert(&self) -> Option<Severity> {
        worst_severity(&self.summary.alerts)
    }

    fn figures(&self) -> Figures<'_> {
        Figures::Alert { summary: &self.summary, live: self.live.as_ref() }
    }

    fn render(&mut self, session: &Session) -> Result<Printed> {
        self.execution_time = session.seconds();
        let (language, live) = (self.config.language, self.live.as_ref());
        Ok(match session.common.output {
            Format::Nagios => {
                let limits = &self.config.alerts.rules;
                Printed::plugin(nagios::alert(&self.summary, live, limits, language))
            }
            _ => {
                let page = AlertPage { is_test: self.is_test, is_dry_run: self.dry_run, live };
                let clock = session.clock(self.config);
                session.show(self, || text::alert(&self.summary, page, clock))?.into()
            }
        })
    }
}

/// The severity of a text of which nothing else is said.
const TEXT_SEVERITY: Severity = Severity::Warning;

/// The alerts of `--send`: of a JSON list, or one of a text, from the argument, `@FILE` or `-`.
fn given_alerts(given: &str, severity: Option<Severity>) -> Result<Vec<Alert>> {
    let content = match given.strip_prefix('@') {
        Some(file) => read_content("--send", Path::new(file))?,
        None if given == "-" => read_content("--send", Path::new("-"))?,
        None => given.as_bytes().to_vec(),
    };
    match serde_json::from_slice(&content) {
        Ok(_) if severity.is_some() => {
            Err(usage("--severity is for a text; alerts in JSON have each their own").into())
        }
        Ok(document) => Ok(rules::given(document)?),
        // Whoever began a list meant one.
        Err(error) if matches!(content.trim_ascii_start().first(), Some(b'[' | b'{')) => {
            Err(usage(format!("--send is no JSON: {error}"))
                .hint("give it a JSON list, a text, @FILE, or - for standard input; --message takes any text")
                .into())
        }
        Err(_) => {
            let text = std::str::from_utf8(&content)
                .map_err(|_| usage("--send is neither JSON nor UTF-8 text"))?;
            Ok(vec![rules::message("--send", text, severity.unwrap_or(TEXT_SEVERITY))?])
        }
    }
}

/// The JSON in a file, or on standard input (`-`).
fn read_json(flag: &str, file: &Path) -> Result<Value> {
    let parsed = serde_json::from_slice(&read_content(flag, file)?);
    Ok(parsed.map_err(|error| usage(format!("{flag} {} is no JSON: {error}", file.display())))?)
}

fn read_content(flag: &str, file: &Path) -> Result<Vec<u8>> {
    let read = if file == Path::new("-") { read_stdin() } else { read_given(file) };
    let content =
        read.map_err(|error| usage(format!("{flag} {} cannot be read: {error}", file.display())))?;
    // A command before the pipe that broke off leaves nothing, and the parser's words for that are no help.
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(usage(format!("{flag} {} is empty", file.display())).into());
    }
    Ok(content)
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Kind::Usage, message)
}
