//! The jobs of the configuration, each checked as the run that it starts would check its arguments.

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::outcome::Failure;
use crate::run::Session;
use crate::run::cleanup::as_of;
use crate::run::disk::disk_settings;
use crate::run::stats::dates;
use crate::schedule::job::CronJob;
use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Parser;
use std::path::Path;

impl Session {
    /// The jobs of the configuration.
    ///
    /// # Errors
    /// [`Kind::ConfigInvalid`](crate::outcome::Kind::ConfigInvalid): a cron expression that not every cron knows, a command that a run would refuse.
    pub(super) fn jobs(&self, config: &Config) -> Result<Vec<CronJob>> {
        let jobs = config.schedule.jobs.iter().map(|settings| {
            let job = CronJob::read(settings)?;
            check_command(&job.words, config, self.now).map_err(|why| {
                settings.invalid(&format!("has the `command` \"{}\": {why}", settings.command))
            })?;
            Ok(job)
        });
        jobs.collect()
    }
}

/// Whether taskmon would take these words, and do a job by them; else why not.
fn check_command(words: &[String], config: &Config, now: DateTime<Utc>) -> Result<(), String> {
    let line = ["-c", "taskmon.toml"].map(str::to_owned);
    let cli = parse_words(line.iter().chain(words))?;
    if cli.common.config.as_deref() != Some(Path::new("taskmon.toml")) {
        return Err(
            "which names a configuration with --config; a job has that of its file".to_owned()
        );
    }
    if let Some(misfit) = cli.misfit() {
        return Err(misfit);
    }
    let checked = match &cli.command {
        Command::Cleanup(arguments) => as_of(arguments, now).map(drop),
        Command::Stats(arguments) => dates(arguments, config, now).map(drop),
        Command::Disk(arguments) => disk_settings(arguments, config).map(drop),
        Command::Alert(_) => Ok(()),
        _ => return Err("which is none of cleanup, stats, disk and alert".to_owned()),
    };
    checked.map_err(|error| Failure::of(&error).message)
}

/// What these arguments of taskmon mean, or why they are refused.
pub(super) fn parse_words<'w>(words: impl Iterator<Item = &'w String>) -> Result<Cli, String> {
    let line = std::iter::once("taskmon").chain(words.map(String::as_str));
    Cli::try_parse_from(line).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default();
        first.trim_start_matches("error: ").to_owned()
    })
}
