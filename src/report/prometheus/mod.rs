//! A result in the text format of Prometheus, as the node exporter's textfile collector reads it.
//!
//! One node exporter reads the files of all jobs and refuses two samples with the same name and labels, so no figure is in the file of
//! more than one job: each family has the job in its name or as its label. A family's help is the same text in every file, for the same reason.
//! Figures are in base units (bytes, seconds, shares from 0 to 1), gauges all of them: they are of one run. What is null in the result has no
//! sample, and no sample has a time stamp, which the node exporter would refuse.

mod alert;
mod cleanup;
mod disk;
mod exposition;
mod run;
mod stats;

use crate::cleanup::CleanupReport;
use crate::live::LiveState;
use crate::notify::Summary;
use crate::stats::DailyReport;
use crate::system::disk::DiskReport;
use chrono::{DateTime, Utc};
use exposition::Text;
pub use run::{Run, last_success};

/// What a run found out.
#[derive(Clone, Copy)]
pub enum Figures<'a> {
    Cleanup(&'a CleanupReport),
    Stats {
        report: &'a DailyReport,
        /// When the day of the report began; `None`: the zone skipped it.
        day_start: Option<DateTime<Utc>>,
    },
    Disk(&'a DiskReport),
    Alert {
        summary: &'a Summary,
        live: Option<&'a LiveState>,
    },
    /// It failed.
    None,
}

/// The file's text.
pub fn render(run: &Run, figures: Figures) -> String {
    let mut text = Text::default();
    run::add_run(&mut text, run);
    match figures {
        Figures::Cleanup(report) => cleanup::add(&mut text, run.job, report),
        Figures::Stats { report, day_start } => stats::add(&mut text, run.job, report, day_start),
        Figures::Disk(report) => disk::add(&mut text, run.job, report),
        Figures::Alert { summary, live } => alert::add(&mut text, run.job, summary, live),
        Figures::None => {}
    }
    text.0
}
