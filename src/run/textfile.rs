//! `--textfile`: the figures of a run for the node exporter.

use super::Session;
use crate::calendar::Shift;
use crate::files::{ALL_MAY_READ, NewFile, read_regular};
use crate::job::Job;
use crate::outcome::{Issue, Outcome};
use crate::report::prometheus::{self, Figures, Run};
use chrono::TimeDelta;
use std::io;
use std::path::Path;

impl Session {
    /// Writes the figures of a job's run for `--textfile`; what could not be done.
    pub(super) fn write_textfile(
        &self,
        job: Job,
        outcome: Outcome,
        figures: Figures,
    ) -> Option<Issue> {
        let path = self.common.textfile.as_deref()?;
        // A folder that is missing is not made: the node exporter reads one that is there.
        let written = match path.metadata() {
            // It would be read without end, and replaced by a file.
            Ok(there) if !there.is_file() => Err(io::Error::other("it is not a regular file")),
            _ => {
                let figures = self.metrics(path, job, outcome, figures);
                // The node exporter is another user.
                NewFile::create(path, ALL_MAY_READ)
                    .and_then(|file| file.publish(figures.as_bytes()))
            }
        };
        let Err(error) = written else {
            log::info!("the figures are written to {}", path.display());
            return None;
        };
        let message = format!("--textfile {} cannot be written: {error}", path.display());
        log::error!("{message}");
        let issue = Issue::new("textfile_not_written", message);
        Some(issue.path(path.display().to_string()))
    }

    fn metrics(&self, path: &Path, job: Job, outcome: Outcome, figures: Figures) -> String {
        let former = read_regular(path).unwrap_or_default();
        let elapsed = TimeDelta::from_std(self.started.elapsed()).unwrap_or_default();
        let run = Run {
            job: job.name(),
            ended: self.now.plus(elapsed),
            duration: self.seconds(),
            exit_code: outcome.exit_code(),
            success: outcome.is_success(),
            last_success: prometheus::last_success(&former, job.name()),
        };
        prometheus::render(&run, figures)
    }
}
