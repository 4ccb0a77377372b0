//! What a run leaves behind beside its result on standard output: the figures of `--textfile`.

use super::Session;
use crate::files::NewFile;
use crate::job::JobRun;
use crate::outcome::{Issue, Outcome};
use crate::report::nagios;
use crate::report::prometheus::{self, Figures, Run};
use chrono::TimeDelta;
use std::io;
use std::path::Path;

/// What a command prints, and how the run ended.
pub(super) struct Done {
    pub printed: String,
    pub outcome: Outcome,
    /// With `--output nagios`: its exit code replaces the outcome's, for the caller alone. A run that finds a full disk has done its work.
    pub state: Option<nagios::State>,
}

impl Done {
    pub fn new(printed: String, outcome: Outcome) -> Self {
        Self { printed, outcome, state: None }
    }

    pub fn plugin((printed, state): (String, nagios::State), outcome: Outcome) -> Self {
        Self { printed, outcome, state: Some(state) }
    }

    pub fn exit_code(&self) -> u8 {
        self.state.map_or(self.outcome.exit_code(), nagios::State::exit_code)
    }
}

impl Session {
    /// Writes the figures of a job's run for `--textfile`; what could not be done.
    pub(super) fn export(&self, job: &str, outcome: Outcome, figures: Figures) -> Option<Issue> {
        let path = self.common.textfile.as_deref()?;
        // A folder that is missing is not made: the node exporter reads one that is there.
        let written = match path.metadata() {
            // It would be read without end, and replaced by a file.
            Ok(there) if !there.is_file() => Err(io::Error::other("it is no regular file")),
            _ => {
                let figures = self.figures(path, job, outcome, figures);
                NewFile::create(path).and_then(|file| {
                    // The node exporter is another user.
                    file.set_mode(0o644)?;
                    file.publish(&figures)
                })
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

    /// The same for a run that failed, of which there are no figures but those of every run. Dry runs leave the file alone: it is about runs.
    pub(super) fn export_failure(&self, run: Option<JobRun>, outcome: Outcome) {
        if let Some(run) = run.filter(|run| !run.is_dry_run) {
            // It has been logged, and a run that failed has no `errors`.
            let _ = self.export(run.job.name(), outcome, Figures::None);
        }
    }

    fn figures(&self, path: &Path, job: &str, outcome: Outcome, figures: Figures) -> String {
        let former = std::fs::read_to_string(path).unwrap_or_default();
        let elapsed = TimeDelta::from_std(self.started.elapsed()).unwrap_or_default();
        let run = Run {
            job,
            ended: self.now + elapsed,
            duration: self.seconds(),
            exit_code: outcome.exit_code(),
            success: outcome.is_success(),
            last_success: prometheus::last_success(&former, job),
        };
        prometheus::render(&run, figures)
    }
}
