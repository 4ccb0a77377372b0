//! Jobs that somebody wrote by hand, into the user's crontab outside of the block, /etc/crontab or a file of /etc/cron.d.

use super::jobs::parse_words;
use crate::check::{Finding, placement};
use crate::cli::Command;
use crate::config::{self, Config, Env, Request};
use crate::files::{open_named, read_whole};
use crate::host;
use crate::job::ByHand;
use crate::run::Session;
use crate::run::arguments::recorded_words;
use crate::run::caller::without_terminal;
use crate::run::locks::real;
use crate::schedule::crontab::Crontab;
use crate::schedule::entry::Entry;
use crate::schedule::installed::Installed;
use crate::schedule::lines::{Form, Line, lines};
use crate::schedule::program::Program;
use crate::schedule::seen::{self, SeenLine};
use crate::schedule::shell;
use crate::schedule::starts::{Start, Unclear};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

const SYSTEM_CRONTAB: &str = "/etc/crontab";
const SYSTEM_FOLDER: &str = "/etc/cron.d";

/// What was found of a configuration's jobs.
#[derive(Default)]
pub(super) struct HandWritten {
    pub(super) entries: Vec<Entry>,
    pub(super) findings: Vec<Finding>,
}

impl Session {
    /// The jobs of this configuration that are written by hand. `crontab`: that of the program's user, if it is known.
    pub(super) fn by_hand(
        &self,
        config: &Config,
        program: &Program,
        crontab: Option<&Crontab>,
    ) -> HandWritten {
        let mut found = HandWritten::default();
        if let Some(crontab) = crontab {
            let user = program.user.clone().or_else(host::user);
            let home = user.as_deref().and_then(host::home_of);
            // A user of a directory service is not in /etc/passwd.
            let other = self.env.path("HOME").filter(|_| program.user.is_none());
            let home = home.or_else(|| other.map(|home| home.display().to_string()));
            let source = Source { place: "crontab".to_owned(), home };
            for line in lines(&crontab.outside(), Form::User) {
                self.note(config, &source, line, &mut found);
            }
        }
        for (path, text) in system_crontabs() {
            let source = Source { place: path.display().to_string(), home: None };
            match text {
                Ok(text) => {
                    for line in lines(&text, Form::System) {
                        self.note(config, &source, line, &mut found);
                    }
                }
                Err(error) => {
                    found.findings.push(placement::unreadable(&path, &error, config.language));
                }
            }
        }
        let mut seen: Vec<SeenLine> =
            found.entries.iter().map(|entry| seen_line(entry, config)).collect();
        seen::date(&config.alerts.notify.logs_dir, &mut seen);
        for (entry, seen) in found.entries.iter_mut().zip(seen) {
            entry.job.installed = seen.since;
        }
        found
    }

    fn note(&self, config: &Config, source: &Source, line: Line, found: &mut HandWritten) {
        let position = format!("{}:{}", source.place, line.number);
        let starts = match &line.starts {
            Ok(starts) => starts,
            Err(unclear) => {
                found.findings.push(placement::unclear(&position, unclear, config.language));
                return;
            }
        };
        for start in starts {
            match job(config, source, &line, start) {
                Ok(None) => {}
                Ok(Some(known)) => {
                    if let Some(by_hand) = known.by_hand {
                        let finding = placement::quiet(&position, by_hand, config.language);
                        found.findings.push(finding);
                    }
                    let job = Installed {
                        name: known.name,
                        cron: line.cron.clone(),
                        command: known.command,
                        queue: known.queue,
                        // As install writes it: nice is 2 × (9 − priority).
                        priority: 9_u8.saturating_sub(start.niceness / 2).max(1),
                        installed: self.now,
                    };
                    if let Err(path) = on_path(&line, start) {
                        let finding = placement::not_on_path(&position, &path, config.language);
                        found.findings.push(finding);
                    }
                    found.entries.push(Entry {
                        place: source.place.clone(),
                        line: Some(line.number),
                        is_timer: false,
                        runs: true,
                        words: vec![start.program.clone()],
                        job,
                    });
                }
                Err(why) => found.findings.push(placement::unclear(
                    &position,
                    &Unclear::Refused(why),
                    config.language,
                )),
            }
        }
    }
}

/// Keeps since when these lines are known, for the runs to come.
pub(super) fn remember_seen(config: &Config, entries: &[Entry]) {
    let lines: Vec<SeenLine> = (entries.iter())
        .filter(|entry| entry.line.is_some())
        .map(|entry| seen_line(entry, config))
        .collect();
    let folder = &config.alerts.notify.logs_dir;
    if let Err(error) = seen::remember(folder, &lines) {
        log::warn!(
            "since when lines of a crontab are known cannot be kept in {}: {error}",
            folder.display()
        );
    }
}

fn seen_line(entry: &Entry, config: &Config) -> SeenLine {
    SeenLine {
        host: host::name(),
        config: config.file.as_deref().map(real),
        source: entry.place.clone(),
        cron: entry.job.cron.clone(),
        command: entry.job.command.clone(),
        since: entry.job.installed,
    }
}

/// A crontab.
struct Source {
    place: String,
    /// The home folder of its user; `None`: its lines name their users, or it is not known.
    home: Option<String>,
}

/// What a line starts, if that is a job of this configuration.
struct KnownJob {
    name: String,
    command: String,
    queue: String,
    /// Why its runs notify nobody.
    by_hand: Option<ByHand>,
}

/// # Errors
/// Why it would be refused.
fn job(
    config: &Config,
    source: &Source,
    line: &Line,
    start: &Start,
) -> Result<Option<KnownJob>, String> {
    let cli = parse_words(start.words.iter())?;
    let is_job = matches!(
        &cli.command,
        Command::Cleanup(_) | Command::Stats(_) | Command::Disk(_) | Command::Alert(_)
    );
    // A dry run is a run of no job.
    if !is_job || start.words.iter().any(|word| word == "--dry-run") {
        return Ok(None);
    }
    let by_hand = cli.command.job_run(without_terminal(&cli.common)).and_then(|run| run.by_hand);
    let home = line.user.as_deref().and_then(host::home_of).or_else(|| source.home.clone());
    let request = request(cli.common.config, home, line, start);
    if config::file_of(&request).as_deref().map(real) != config.file.as_deref().map(real) {
        return Ok(None);
    }
    let words = recorded_words(&start.words);
    let is_same = |command: &str| {
        shlex::split(command).is_some_and(|configured| recorded_words(&configured) == words)
    };
    let configured = config.schedule.jobs.iter().find(|job| is_same(&job.command));
    let command = shell::quoted_words(&words);
    Ok(Some(match configured {
        Some(job) => {
            KnownJob { name: job.name.clone(), command, queue: job.queue.clone(), by_hand: None }
        }
        None => KnownJob { name: command.clone(), command, queue: String::new(), by_hand },
    }))
}

/// What a run that cron starts by a line goes by.
fn request(
    config_flag: Option<PathBuf>,
    home: Option<String>,
    line: &Line,
    start: &Start,
) -> Request {
    let home = home.map(|home| ("HOME".to_owned(), home));
    let variables = home.into_iter().chain(line.variables.clone()).chain(start.variables.clone());
    let env: Env = variables.collect();
    let home = env.path("HOME").unwrap_or_else(|| PathBuf::from("/"));
    let working_dir = match &start.folder {
        Some(folder) => home.join(folder),
        None => home,
    };
    Request { config_flag, database_url_flag: None, language_flag: None, env, working_dir }
}

/// # Errors
/// The program is named without a path, and no folder of cron's PATH, which is returned, has it.
fn on_path(line: &Line, start: &Start) -> Result<(), String> {
    // What Debian's cron and cronie have where the crontab does not set it.
    const USUAL: &str = "/usr/bin:/bin";
    if start.program.contains('/') {
        return Ok(());
    }
    let mut set = start.variables.iter().rev().chain(line.variables.iter().rev());
    let path = set.find(|(name, _)| name == "PATH").map_or(USUAL, |(_, value)| value);
    let mut places = std::env::split_paths(path).map(|folder| folder.join(&start.program));
    if places.any(|place| place.is_file()) { Ok(()) } else { Err(path.to_owned()) }
}

/// The crontabs of the system and their content; those that are not there are none.
fn system_crontabs() -> Vec<(PathBuf, io::Result<Vec<u8>>)> {
    let read = |path: PathBuf| {
        let text = open_named(&path).and_then(read_whole);
        let is_missing = text.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        (!is_missing).then_some((path, text))
    };
    let mut found: Vec<_> = read(PathBuf::from(SYSTEM_CRONTAB)).into_iter().collect();
    match std::fs::read_dir(SYSTEM_FOLDER) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.retain(|path| {
                path.file_name().is_some_and(|name| is_read(&name.to_string_lossy()))
            });
            paths.sort();
            found.extend(paths.into_iter().filter_map(read));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => found.push((PathBuf::from(SYSTEM_FOLDER), Err(error))),
    }
    found
}

/// Whether cron reads a file of this name: the rule of Debian's cron, as `run-parts` has it.
fn is_read(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
}
