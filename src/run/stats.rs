//! `taskmon stats`: the reports of days, saved and printed.

use super::database::{hidden_rows, open_store, reading_target};
use super::locks::{HeldUntil, Locks};
use super::output::{Done, Printed};
use super::pipeline::{JobReport, Plan, Work};
use super::{Session, disks, log_issues, milliseconds, notify, working_dir};
use crate::alert::worst_severity;
use crate::calendar::Day;
use crate::cli::{Format, ReportDay, StatsArgs};
use crate::config::Config;
use crate::files::{self, GROUP_MAY_READ};
use crate::notify::{Mode, Retry};
use crate::outcome::{Issue, Severity};
use crate::report::prometheus::Figures;
use crate::report::{csv, json, markdown, nagios, text};
use crate::rules::{Evaluation, On, REPORT_NOT_SAVED};
use crate::stats::{self, DailyReport, NoBroker, Surroundings};
use crate::store::Store;
use crate::system::{broker, resources};
use anyhow::Result;
use chrono::{DateTime, Days, NaiveDate, Utc};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) fn run(session: &Session, config: &Config, arguments: &StatsArgs) -> Result<Done> {
    let run = arguments.job_run(session.caller);
    let dates = dates(arguments, config, session.now)?;
    let locks = Locks { database: reading_target(config), held_until: HeldUntil::RunEnds };
    let notify = run.raises_alerts.then_some(Mode::Deliver);
    // Runs that only print a report do not disturb each other.
    let is_changing = run.raises_alerts || !arguments.no_save;
    let plan = Plan { run, config, locks: is_changing.then_some(locks), notify };
    session.run_job(
        &plan,
        || open_store(config),
        |mut store| {
            let mut reports = Reports {
                is_list: arguments.days.is_some(),
                are_saved: !arguments.no_save,
                ..Reports::new(config)
            };
            let newest = reports.make(session, store.as_mut(), &dates)?;
            let evaluations =
                newest.into_iter().chain([Evaluation::job_succeeded("stats")]).collect();
            Ok(Work { report: reports, evaluations, retry: Retry::Nothing })
        },
    )
}

/// The reports of some days, oldest first.
pub(super) struct Reports<'a> {
    config: &'a Config,
    pub days: Vec<DailyReport>,
    /// Where the newest is saved; `None`: it is not saved.
    file: Option<PathBuf>,
    /// Whether the newest says more than its file does.
    is_changed: bool,
    /// Whether a list was asked for, be it of one day.
    is_list: bool,
    are_saved: bool,
}

impl<'a> Reports<'a> {
    pub fn new(config: &'a Config) -> Self {
        Self {
            config,
            days: Vec::new(),
            file: None,
            is_changed: false,
            is_list: false,
            are_saved: true,
        }
    }

    /// For looking only.
    pub fn unsaved(config: &'a Config) -> Self {
        Self { are_saved: false, ..Self::new(config) }
    }

    /// Makes each from a snapshot of its own and saves it at once, or a later failure would lose it: notifying may take long. What the rules say of
    /// the newest is what there is to notify of.
    pub fn make(
        &mut self,
        session: &Session,
        store: &mut dyn Store,
        dates: &[NaiveDate],
    ) -> Result<Option<Evaluation>> {
        let progress = indicatif::ProgressBar::new(dates.len() as u64);
        if dates.len() < 2 {
            progress.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let mut newest = None;
        for date in dates {
            let began = Instant::now();
            let mut report = make_report(session, self.config, store, *date)?;
            report.errors.extend(hidden_rows(store));
            log_issues(&report.errors);
            log_day(&report, began.elapsed());
            let mut evaluation = notify::evaluate(self.config, &report)?;
            report.alerts = evaluation.alerts.clone();
            self.days.push(report);
            if !self.are_saved {
                evaluation.leave_open(REPORT_NOT_SAVED);
            } else if let Some(issue) = self.save_newest(session.layout())? {
                evaluation.add_not_saved(&issue.message, self.config.language);
                self.add_issue(issue);
                self.show_alerts(&evaluation);
            }
            newest = Some(evaluation);
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(newest)
    }

    fn show_alerts(&mut self, evaluation: &Evaluation) {
        if let Some(newest) = self.days.last_mut() {
            newest.alerts.clone_from(&evaluation.alerts);
        }
    }

    /// A folder that cannot be written costs the file, not the report, which has to say so.
    fn save_newest(&mut self, layout: json::Layout) -> Result<Option<Issue>> {
        let Some(report) = self.days.last_mut() else {
            return Ok(None);
        };
        let name = format!("daily_report_{}.json", report.date.format("%Y%m%d"));
        let path = self.config.stats.reports_dir.join(name);
        report.report_path = Some(path.strip_prefix(working_dir()?).unwrap_or(&path).to_owned());
        self.file = Some(path);
        self.is_changed = true;
        self.save(layout)
    }
}

impl JobReport for Reports<'_> {
    fn add_issue(&mut self, issue: Issue) {
        if let Some(newest) = self.days.last_mut() {
            newest.errors.push(issue);
            self.is_changed = true;
        }
    }

    fn has_issues(&self) -> bool {
        self.days.iter().any(|report| !report.errors.is_empty())
    }

    fn worst_alert(&self) -> Option<Severity> {
        self.days.iter().filter_map(|report| worst_severity(&report.alerts)).max()
    }

    fn figures(&self) -> Figures<'_> {
        let Some(report) = self.days.last() else {
            return Figures::None;
        };
        let spans = Day::new(report.date, self.config.timezone).ranges();
        Figures::Stats { report, day_start: spans.first().map(|(start, _)| *start) }
    }

    fn save(&mut self, layout: json::Layout) -> Result<Option<Issue>> {
        let (Some(path), Some(report), true) = (&self.file, self.days.last_mut(), self.is_changed)
        else {
            return Ok(None);
        };
        self.is_changed = false;
        Ok(match files::replace(path, &json::render(report, layout)?, GROUP_MAY_READ) {
            Ok(()) => {
                log::info!("the report is saved as {}", path.display());
                None
            }
            Err(error) => {
                report.report_path = None;
                let issue = not_saved(path, &error);
                self.file = None;
                Some(issue)
            }
        })
    }

    fn render(&mut self, session: &Session) -> Result<Printed> {
        let language = self.config.language;
        Ok(match (session.common.output, self.days.as_slice()) {
            (Format::Nagios, [.., newest]) => Printed::plugin(nagios::stats(
                newest,
                self.config.alerts.rules.failure_rate(),
                language,
            )),
            (Format::Csv, reports) => csv::stats(reports)?.into(),
            (Format::Markdown, [report]) if !self.is_list => markdown::day(report, language).into(),
            (Format::Markdown, reports) => markdown::days(reports, language).into(),
            (_, [report]) if !self.is_list => {
                session.show(report, || text::stats(report, language))?.into()
            }
            (_, reports) => {
                let pages = || reports.iter().map(|report| text::stats(report, language));
                session.show(&reports, || pages().collect::<Vec<_>>().join("\n"))?.into()
            }
        })
    }
}

fn make_report(
    session: &Session,
    config: &Config,
    store: &mut dyn Store,
    date: NaiveDate,
) -> Result<DailyReport> {
    let context = stats::Context {
        timezone: config.timezone,
        language: config.language,
        tasks: &config.database.store.mapping.tasks,
        settings: &config.stats,
    };
    let listed_first = notify::listed_first(config, On::Stats);
    let request = stats::request(date, session.now, &context, listed_first);
    let figures = store.day_figures(&request)?;
    let surroundings = Surroundings {
        broker: broker::ask(&config.broker, session.now).map(|answer| {
            answer.inspect_err(|error| log::warn!("{error}")).map_err(|error| {
                let source = broker::kind(&config.broker).map_or("", broker::Kind::name);
                NoBroker { source, error }
            })
        }),
        disks: disks::measure(config, &config.disk),
        resources: resources::read(),
        now: session.now,
        seconds: session.seconds(),
    };
    Ok(DailyReport::assemble(&request, &figures, &context, surroundings))
}

fn not_saved(path: &Path, error: &io::Error) -> Issue {
    let message = format!("the report cannot be saved as {}: {error}", path.display());
    log::error!("{message}");
    Issue::new("report_not_saved", message).path(path.display().to_string())
}

pub(super) fn yesterday(config: &Config, now: DateTime<Utc>) -> NaiveDate {
    let today = now.with_timezone(&config.timezone).date_naive();
    today.checked_sub_days(Days::new(1)).unwrap_or(today)
}

/// The days to report on, oldest first.
pub(super) fn dates(
    arguments: &StatsArgs,
    config: &Config,
    now: DateTime<Utc>,
) -> Result<Vec<NaiveDate>> {
    let today = now.with_timezone(&config.timezone).date_naive();
    let last = arguments.date.clone().transpose()?.unwrap_or(ReportDay::Ago(1)).resolve(today)?;
    let count = arguments.days.clone().transpose()?.unwrap_or(1);
    Ok((0..count).rev().filter_map(|ago| last.checked_sub_days(Days::new(ago))).collect())
}

fn log_day(report: &DailyReport, took: Duration) {
    let tasks = &report.task_statistics;
    log::info!(
        "{}: {} tasks, {}% completed, {}% failed, {} undated; asked for {} s",
        report.date,
        tasks.total_tasks,
        tasks.completion_rate,
        tasks.failure_rate,
        report.undated_tasks,
        milliseconds(took)
    );
}
