//! Alerts: those that the jobs raise from their own results, and the command that evaluates, sends and tests.

use super::channels::{self, Prepared};
use super::logging::GOOD_NEWS;
use super::{Done, Session, open_store, rate_limits, tell, thresholds};
use crate::alert::Notification;
use crate::cli::{AlertArgs, FailOn, Format};
use crate::config::Config;
use crate::config::file::{Comparison, RuleOn};
use crate::job::{Job, JobRun};
use crate::live::{self, Limits, LiveState};
use crate::notify::deliver::{Delivery, Pauses, deliver};
use crate::notify::{Context, Mode, Offer, Summary};
use crate::outcome::{Failure, Issue, Kind, Outcome, Severity};
use crate::report::prometheus::Figures;
use crate::report::text::AlertPage;
use crate::report::{json, nagios, text};
use crate::rules::Evaluation;
use crate::rules::{self, CustomRule, On, Op};
use crate::store::advisory::Held;
use crate::system::disk;
use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use serde::Serialize;
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// The result of `alert`.
#[derive(Serialize)]
struct AlertResult<'a> {
    success: bool,
    dry_run: bool,
    #[serde(flatten)]
    summary: &'a Summary,
    /// What the live rules looked at; their metrics are paths into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveState>,
    /// Seconds.
    execution_time: f64,
}

/// What `alert` was asked to look at.
struct Found {
    evaluations: Vec<Evaluation>,
    offer: Offer,
    live: Option<LiveState>,
    issues: Vec<Issue>,
}

impl Session {
    pub(super) fn alert(&self, arguments: &AlertArgs, config: &Config) -> Result<Done> {
        let found = self.found(arguments, config)?;
        let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Deliver };
        let mut summary = self.tell_alerts(config, &found.evaluations, found.offer, mode)?;
        summary.errors.extend(found.issues);
        tell(&summary.errors);
        let mut outcome =
            self.judge(summary.alerts.iter().map(|alert| alert.severity), &summary.errors);
        let figures = Figures::Alert { summary: &summary, live: found.live.as_ref() };
        if mode == Mode::Deliver
            && let Some(issue) = self.export("alert", outcome, figures)
        {
            summary.errors.push(issue);
            outcome = outcome.with_issue();
        }
        let printed = match self.common.output {
            Format::Json => {
                let result = AlertResult {
                    success: true,
                    dry_run: arguments.dry_run,
                    summary: &summary,
                    live: found.live,
                    execution_time: self.seconds(),
                };
                json::render(&result, self.layout())?
            }
            Format::Text => {
                let asked = AlertPage {
                    is_test: arguments.test,
                    is_dry_run: arguments.dry_run,
                    live: found.live.as_ref(),
                };
                text::alert(&summary, asked, config.language)
            }
            Format::Nagios => {
                let live = found.live.as_ref();
                let line = nagios::alert(&summary, live, &live_limits(config), config.language);
                return Ok(Done::plugin(line, outcome));
            }
        };
        Ok(Done::new(printed, outcome))
    }

    fn found(&self, arguments: &AlertArgs, config: &Config) -> Result<Found> {
        let only = |evaluation, offer| Found {
            evaluations: vec![evaluation],
            offer,
            live: None,
            issues: Vec::new(),
        };
        if let Some(file) = &arguments.report {
            let document = rules::read(read_json("--report", file)?)?;
            let evaluation = rules::evaluate(&document, &rule_settings(config));
            return Ok(only(evaluation, Offer::Again));
        }
        if let Some(given) = &arguments.send {
            let alerts = rules::given(given_json(given)?)?;
            return Ok(only(Evaluation::given(alerts), Offer::OnlyNew));
        }
        if arguments.test {
            return Ok(only(Evaluation::test(config.language), Offer::OnlyNew));
        }
        // Held while the database is looked at, and no longer: a channel that hangs must not keep the next run from telling the others. Two runs
        // that tell at the same time know of each other by the records.
        let _lock = if arguments.dry_run { None } else { self.lock("alert", config)? };
        self.live(config, arguments)
    }

    /// Every host looks at its own disks and jobs, so that one which finds another at it waits its turn, for it is short.
    fn live_lock(&self, config: &Config) -> Result<Option<Held>> {
        const TURN: Duration = Duration::from_secs(30);
        let database = &config.database;
        let target = database.read_target.as_ref().or(database.target.as_ref());
        self.lock_across("alert", config, target, TURN)
    }

    /// The live state, and what the rules say of it.
    fn live(&self, config: &Config, arguments: &AlertArgs) -> Result<Found> {
        let settings = rule_settings(config);
        let start = || {
            if !arguments.dry_run {
                self.ping_start("alert", config)
            }
        };
        let mut store = open_store(config).inspect_err(|_| start())?;
        let _turn = if arguments.dry_run { None } else { self.live_lock(config)? };
        start();
        let request = live::request(self.now, config.timezone, &settings.live);
        let figures = store.live_figures(&request)?;
        let disks = disk::measure(&config.disk.paths, thresholds(config), disk::DEADLINE);
        let mut untold = Vec::new();
        let missed = self.missed(config).unwrap_or_else(|failure| {
            untold.push((rules::JOB_MISSED, failure.message));
            None
        });
        let skipped = self
            .skipped(config)
            .map_err(|failure| untold.push((rules::JOB_SKIPPED, failure.message)));
        let state = live::state(
            &figures,
            &live::Surroundings {
                now: self.now,
                zone: config.timezone,
                states: &config.database.mapping.tasks.states,
                disk: Some(&disks),
                missed: missed.as_deref(),
                skipped: skipped.as_deref().ok(),
            },
        );
        let (pending, processing) = (&state.backlog, &state.stuck);
        log::info!(
            "{} tasks pending, {} of them overdue; {} in processing, {} of them stuck; {} today, {} of them failed",
            pending.pending,
            pending.older_than_limit,
            processing.processing,
            processing.tasks,
            state.today.total,
            state.today.failed
        );
        let mut issues = live::issues(&figures);
        issues.extend(disks.errors);
        let mut evaluation = live::evaluate(&state, &settings)?;
        for (rule, why) in untold {
            evaluation.cannot_tell(rule, &why, config.language);
        }
        Ok(Found {
            evaluations: vec![evaluation, Evaluation::job_succeeded("alert")],
            offer: Offer::Again,
            live: Some(state),
            issues,
        })
    }

    /// The alerts that stand by a result of `stats` or `disk`.
    pub(super) fn evaluate(&self, config: &Config, result: &impl Serialize) -> Result<Evaluation> {
        let document = serde_json::to_value(result).context("the result is no JSON")?;
        Ok(rules::evaluate(&rules::read(document)?, &rule_settings(config)))
    }

    /// Tells what a job's own result raises, and that the job worked; what could not be told.
    pub(super) fn raise(
        &self,
        config: &Config,
        job: &str,
        evaluation: Option<Evaluation>,
    ) -> Result<Vec<Issue>> {
        let mut evaluations: Vec<Evaluation> = evaluation.into_iter().collect();
        evaluations.push(Evaluation::job_succeeded(job));
        let summary = self.tell_alerts(config, &evaluations, Offer::OnlyNew, Mode::Deliver)?;
        tell(&summary.errors);
        Ok(summary.errors)
    }

    /// Tells that a job failed. Nothing is told of wrong usage, of a run that another one holds up or that was asked to end, of dry runs, and of
    /// a day that somebody asked for by hand.
    pub(super) fn raise_failure(&self, run: Option<JobRun>, failure: &Failure) {
        let Some(run) = run.filter(|run| run.raises_alerts) else {
            return;
        };
        if matches!(
            failure.kind,
            Kind::Usage | Kind::Locked | Kind::LockedElsewhere | Kind::Interrupted
        ) {
            return;
        }
        // Without a configuration nobody knows whom to tell; that it failed is the error itself.
        let Ok(config) = &self.config else {
            return;
        };
        let evaluation =
            Evaluation::job_failed(Some(run.job.name()), &failure.message, config.language);
        // A database that is down for hours must not keep what a channel did not take from being offered again.
        let offer = match run.job {
            Job::Alert => Offer::Again,
            _ => Offer::OnlyNew,
        };
        match self.tell_alerts(config, &[evaluation], offer, Mode::Deliver) {
            Ok(summary) => tell(&summary.errors),
            Err(error) => log::error!("the failure could not be told: {error:#}"),
        }
    }

    fn tell_alerts(
        &self,
        config: &Config,
        evaluations: &[Evaluation],
        offer: Offer,
        mode: Mode,
    ) -> Result<Summary> {
        let receivers = channels::receivers(&config.alerts.channels);
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let context = Context {
            now: self.now.with_timezone(&config.timezone).fixed_offset(),
            language: config.language,
            host: &host,
            repeat_after: TimeDelta::hours(config.alerts.repeat_after_hours.into()),
            receivers: &receivers,
            records_dir: &config.alerts.records_dir,
            logs_dir: &config.alerts.logs_dir,
            offer,
            mode,
        };
        let summary = crate::notify::tell(evaluations, &context, |notifications| {
            let own = &config.alerts.channels;
            send(channels::prepare(own, &self.env, self.now, self.started), notifications)
        });
        for (severity, line) in &summary.said {
            match severity {
                Some(Severity::Warning) => log::warn!("{line}"),
                Some(Severity::Error | Severity::Critical) => log::error!("{line}"),
                None => log::info!(target: GOOD_NEWS, "{line}"),
            }
        }
        for warning in &summary.warnings {
            log::warn!("{warning}");
        }
        log_alerts(&summary, mode);
        Ok(summary)
    }

    /// How a run ends by the alerts that stand and by what could not be done.
    pub(super) fn judge(
        &self,
        standing: impl Iterator<Item = Severity>,
        errors: &[Issue],
    ) -> Outcome {
        let limit = self.common.fail_on.map(|limit| match limit {
            FailOn::Warning => Severity::Warning,
            FailOn::Critical => Severity::Critical,
        });
        match (limit, standing.max()) {
            (Some(limit), Some(worst)) if worst >= limit => Outcome::AlertStands,
            _ if errors.is_empty() => Outcome::Done,
            _ => Outcome::DoneWithErrors,
        }
    }
}

fn log_alerts(summary: &Summary, mode: Mode) {
    let dry_run = match mode {
        Mode::DryRun => " (dry run)",
        Mode::Deliver => "",
    };
    log::info!(
        "alerts{dry_run}: {} stand, {} sent, {} held back, {} over",
        summary.alerts.len(),
        summary.alerts_sent,
        summary.alerts_suppressed,
        summary.alerts_resolved
    );
    for own in &summary.channels {
        let failed = own.error.as_ref().map_or("", |_| ", and failed");
        log::info!("channel {}: took {}{failed}", own.channel, own.sent);
    }
}

/// Sends each channel its notification, if it has one.
fn send(prepared: Vec<Prepared>, notifications: &[(String, Notification)]) -> Vec<Delivery> {
    let outgoing = prepared.into_iter().filter_map(|channel| {
        let name = &channel.receiver.name;
        let (_, notification) = notifications.iter().find(|(receiver, _)| receiver == name)?;
        Some(channel.outgoing(notification.clone()))
    });
    deliver(outgoing.collect(), &Pauses::default())
}

fn rule_settings(config: &Config) -> rules::Settings {
    let own = &config.alerts;
    let custom = own.rules.iter().map(|rule| CustomRule {
        name: rule.name.clone(),
        on: match rule.on {
            RuleOn::Stats => On::Stats,
            RuleOn::Disk => On::Disk,
            RuleOn::Live => On::Live,
        },
        metric: rule.metric.clone(),
        op: match rule.op {
            Comparison::Above => Op::Above,
            Comparison::AtLeast => Op::AtLeast,
            Comparison::Below => Op::Below,
            Comparison::AtMost => Op::AtMost,
            Comparison::Equal => Op::Equal,
            Comparison::NotEqual => Op::NotEqual,
        },
        value: rule.value,
        severity: rule.severity,
        message: rule.message.clone(),
    });
    rules::Settings {
        language: config.language,
        failure_rate_warning: own.failure_rate_warning,
        failure_rate_critical: own.failure_rate_critical,
        error_concentration_percent: own.error_concentration_percent,
        no_tasks: own.no_tasks,
        disk_warning_percent: config.disk.warning_percent,
        disk_critical_percent: config.disk.critical_percent,
        live: Limits {
            stuck_after_minutes: own.live.stuck_after_minutes,
            backlog_after_minutes: own.live.backlog_after_minutes,
            backlog_max: own.live.backlog_max,
            min_tasks: own.live.min_tasks,
        },
        custom: custom.collect(),
    }
}

fn live_limits(config: &Config) -> nagios::LiveLimits {
    let own = &config.alerts.live;
    nagios::LiveLimits {
        failure_rate: rate_limits(config),
        backlog_max: own.backlog_max,
        backlog_after_seconds: u64::from(own.backlog_after_minutes) * 60,
        stuck_after_seconds: u64::from(own.stuck_after_minutes) * 60,
    }
}

/// The JSON in a file, or on standard input (`-`).
fn read_json(flag: &str, file: &Path) -> Result<Value> {
    let mut content = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut content).map(drop)
    } else {
        std::fs::read(file).map(|read| content = read)
    };
    let usage = |message: String| Failure::new(Kind::Usage, message);
    read.map_err(|error| usage(format!("{flag} {} cannot be read: {error}", file.display())))?;
    // A command before the pipe that broke off leaves nothing, and the parser's words for that are no help.
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(usage(format!("{flag} {} is empty", file.display())).into());
    }
    let parsed = serde_json::from_slice(&content);
    Ok(parsed.map_err(|error| usage(format!("{flag} {} is no JSON: {error}", file.display())))?)
}

/// `--send JSON`, `--send @FILE`, `--send -`.
fn given_json(given: &str) -> Result<Value> {
    match given.strip_prefix('@') {
        Some(file) => read_json("--send", Path::new(file)),
        None if given == "-" => read_json("--send", Path::new("-")),
        None => Ok(serde_json::from_str(given).map_err(|error| {
            Failure::new(Kind::Usage, format!("--send is no JSON: {error}"))
                .hint("give it a JSON list, @FILE, or - for standard input")
        })?),
    }
}
