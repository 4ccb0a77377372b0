//! The command line: clap's types, nothing else.

mod values;

pub use values::{AsOf, Parsed, ReportDay};

use crate::cleanup::Part;
use crate::job::{ByHand, Caller, Job, JobRun, Notify};
use crate::language::Language;
use crate::notify::silences::Matcher;
use crate::outcome::Severity;
use chrono::TimeDelta;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  taskmon demo --output text            make a sandbox and try the jobs on it
  taskmon stats                         yesterday's report
  taskmon cleanup --dry-run             what has expired and would be deleted
  taskmon stats --date 2023-12-01 | jq .task_statistics
  taskmon disk / /data --output text    how full the disks are, as a page
  taskmon check --output text           what keeps the jobs from working
  taskmon config --default > taskmon.toml
  taskmon stats --help                  the options of a command
  taskmon help                          the manual

Exit codes:
  0     done
  1     done, but something could not be done: see \"errors\" in the result
  2     wrong usage or wrong configuration
  3     could not do the job
  4     done, and an alert at or above --fail-on is firing
  75    another run of the same job is in progress: nothing was done";

/// Cleans up, reports on and watches job tables in PostgreSQL and SQLite. One command does one job, prints JSON and ends.
#[derive(Debug, Parser)]
#[command(name = "taskmon", version, after_help = EXAMPLES, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// The options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// The configuration file; without it $TASKMON_CONFIG, ./taskmon.toml, ~/.config/taskmon/taskmon.toml, /etc/taskmon/taskmon.toml
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The database, as postgresql://user@host/name or sqlite:FILE; beats $TASKMON_DATABASE_URL, $DATABASE_URL and the file
    #[arg(long, value_name = "URL", global = true)]
    pub database_url: Option<String>,
    /// The format of the result: a JSON document; a page for people; for disk, stats and alert the line of a monitoring plugin, with exit codes 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; for stats a table
    #[arg(long, value_name = "FORMAT", default_value = "json", global = true)]
    pub output: Format,
    /// The language of alerts, pages and the manual; without it `language` of the configuration, else that of the locale
    #[arg(long, value_name = "LANGUAGE", global = true)]
    pub lang: Option<Language>,
    /// Whether to colour what is printed; auto: on a terminal, unless $NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub color: Color,
    /// JSON over several lines; the default on a terminal
    #[arg(long, global = true, conflicts_with = "compact")]
    pub pretty: bool,
    /// JSON on one line; the default in a pipe or a file
    #[arg(long, global = true)]
    pub compact: bool,
    /// Exit with 4 if an alert of this severity or a worse one is firing
    #[arg(long, value_name = "SEVERITY", global = true)]
    pub fail_on: Option<Severity>,
    /// Run even if another run of the same job is in progress
    #[arg(long, global = true)]
    pub no_lock: bool,
    /// Seconds to wait for another run of the same job to end
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "30",
        allow_hyphen_values = true,
        global = true
    )]
    pub wait: u32,
    /// Also write the result of a job as Prometheus text to this file, for the node exporter; a file for each job
    #[arg(long, value_name = "FILE.prom", global = true)]
    pub textfile: Option<PathBuf>,
    /// Also append the log to this file
    #[arg(long, value_name = "FILE", global = true)]
    pub log_file: Option<PathBuf>,
    /// Log more to standard error; twice, every statement ($RUST_LOG wins)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Log errors only; twice, nothing
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "verbose")]
    pub quiet: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Json,
    Text,
    Nagios,
    Csv,
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Delete expired tasks and receipts with their files, old temp files and old logs
    Cleanup(CleanupArgs),
    /// Compute, print and save the report of a day
    Stats(StatsArgs),
    /// Measure file systems against thresholds
    Disk(DiskArgs),
    /// Evaluate the live rules and notify; or raise alerts from a result, send given ones, test the channels
    Alert(AlertArgs),
    /// Install the jobs into the crontab or as systemd timers; list when they are due and how they ended
    #[command(subcommand, after_help = SCHEDULE_EXAMPLES)]
    Schedule(ScheduleCommand),
    /// Check whether the jobs can work here: configuration, database, tables, rights, folders, channels
    #[command(after_help = "\
Examples:
  taskmon check --output text           a checklist
  taskmon check | jq -r '.checks[] | select(.status == \"failed\") | .message'

Exit codes: 0, or 1 if a check failed. It notifies nobody and changes nothing.")]
    Check,
    /// Make a sandbox with a SQLite database, files and logs, and run the jobs on it
    Demo(DemoArgs),
    /// Find out which tables these are, write a configuration and show yesterday's figures
    Init(InitArgs),
    /// Print the configuration in force, secrets masked
    Config(ConfigArgs),
    /// Print a shell's completions
    #[command(after_help = "\
Examples:
  taskmon completions bash > /etc/bash_completion.d/taskmon
  taskmon completions zsh > ~/.zfunc/_taskmon")]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: Shell,
    },
    /// Show a page of the manual, or list the pages
    Help(HelpArgs),
    /// Print a page of the manual in the format of man
    Man(ManArgs),
}

impl Cli {
    /// Options that do not fit the command, which clap cannot refuse where an option is global.
    pub fn misfit(&self) -> Option<String> {
        let job = self.command.job_run(Caller::Unknown).map(|run| run.job);
        let is_service = matches!(job, Some(Job::Disk | Job::Stats | Job::Alert));
        if self.common.output == Format::Nagios && !is_service {
            return Some("--output nagios is for disk, stats and alert".to_owned());
        }
        let is_table = matches!(self.common.output, Format::Csv | Format::Markdown);
        if is_table && job != Some(Job::Stats) {
            return Some("--output csv and --output markdown are for stats".to_owned());
        }
        if self.common.textfile.is_some() && job.is_none() {
            return Some("--textfile is for cleanup, stats, disk and alert".to_owned());
        }
        None
    }
}

impl Command {
    /// The run of a job that it is; `None`: it is none of cron's jobs.
    pub fn job_run(&self, caller: Caller) -> Option<JobRun> {
        match self {
            Command::Cleanup(arguments) => Some(arguments.job_run(caller)),
            Command::Stats(arguments) => Some(arguments.job_run(caller)),
            Command::Disk(arguments) => Some(arguments.job_run(caller)),
            Command::Alert(arguments) if arguments.silences.is_given() => None,
            Command::Alert(arguments) => Some(arguments.job_run(caller)),
            _ => None,
        }
    }
}

/// Whether to notify.
#[derive(Debug, Args)]
pub struct Notifying {
    /// Notify nobody, whatever comes of it
    #[arg(long, conflicts_with = "alert")]
    pub no_alert: bool,
    /// Notify although it is run by hand: on a terminal, or with an option that cron's run does not have
    #[arg(long)]
    pub alert: bool,
}

impl Notifying {
    fn notify(&self) -> Notify {
        match self {
            Notifying { alert: true, .. } => Notify::Always,
            Notifying { no_alert: true, .. } => Notify::Never,
            _ => Notify::IfNotByHand,
        }
    }
}

/// The first of these options that was given.
fn first_given<const N: usize>(options: [(&'static str, bool); N]) -> Option<ByHand> {
    let given = options.into_iter().find(|(_, is_given)| *is_given);
    given.map(|(option, _)| ByHand::Option(option))
}

impl CleanupArgs {
    pub fn job_run(&self, caller: Caller) -> JobRun {
        if self.dry_run {
            return JobRun::dry(Job::Cleanup);
        }
        JobRun::new(Job::Cleanup, self.notifying.notify(), caller.by_hand(None))
    }
}

impl StatsArgs {
    pub fn job_run(&self, caller: Caller) -> JobRun {
        let options = [("--date", self.date.is_some()), ("--no-save", self.no_save)];
        JobRun::new(Job::Stats, self.notifying.notify(), caller.by_hand(first_given(options)))
    }
}

impl DiskArgs {
    pub fn job_run(&self, caller: Caller) -> JobRun {
        let options =
            [("--warning", self.warning.is_some()), ("--critical", self.critical.is_some())];
        JobRun::new(Job::Disk, self.notifying.notify(), caller.by_hand(first_given(options)))
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon stats                       yesterday, in the configured time zone
  taskmon stats --date 2023-12-01     that day
  taskmon stats --date today          the day so far
  taskmon stats --days 7 --no-save    the week up to yesterday, as an array
  taskmon stats --output text         a page for people
  taskmon stats --days 31 --output csv > month.csv
  taskmon stats | jq .error_statistics.error_categories
  taskmon stats | jq -e '.task_statistics.failure_rate < 5' || echo too many")]
pub struct StatsArgs {
    /// The day: 2026-11-20, 20261120, 2026/11/20, today, yesterday, -2 for two days ago; without it yesterday
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, value_parser = values::parser(values::date))]
    pub date: Option<Parsed<ReportDay>>,
    /// Report on the N days that end there, as an array, oldest first
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = values::parser(values::days))]
    pub days: Option<Parsed<u64>>,
    /// Print the report without saving it
    #[arg(long)]
    pub no_save: bool,
    #[command(flatten)]
    pub notifying: Notifying,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon cleanup --dry-run                  what would be deleted
  taskmon cleanup --dry-run --output text    the same as a page for people
  taskmon cleanup                            what cron runs every night
  taskmon cleanup --only temp,logs           without a database
  taskmon cleanup --failed-tasks-days 3      another limit, for this run
  taskmon cleanup --dry-run --as-of 2026-12-31T04:00:00+08:00
  taskmon cleanup | jq -r '.errors[] | [.kind, .task_id, .message] | @tsv'

$TASKMON_COMPLETED_TASKS_DAYS and the like set limits; a flag beats them.")]
pub struct CleanupArgs {
    /// Report what would be deleted; change nothing, take no lock
    #[arg(long)]
    pub dry_run: bool,
    /// Only these parts, separated by commas
    #[arg(long, value_name = "PARTS", value_delimiter = ',', num_args = 1..)]
    pub only: Vec<Part>,
    /// Days after which completed tasks expire
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub completed_tasks_days: Option<u32>,
    /// Days after which failed tasks expire
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub failed_tasks_days: Option<u32>,
    /// Days after which receipts expire that no task refers to
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub receipts_days: Option<u32>,
    /// Hours after which files in the temp folders expire
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub temp_files_hours: Option<u32>,
    /// Days after which logs expire
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub log_files_days: Option<u32>,
    /// Rows in one transaction
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch_size: Option<u32>,
    /// Stop between two batches after this many seconds; 0: no limit
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub max_runtime: Option<u32>,
    /// Count the limits back from this time; later than now only with --dry-run
    #[arg(long, value_name = "RFC3339", value_parser = values::parser(values::as_of))]
    pub as_of: Option<Parsed<AsOf>>,
    /// Ignore the clock check, the brake and missing storage roots
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub notifying: Notifying,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon disk                          the configured paths, / by default
  taskmon disk / /data --warning 70     two paths, a lower threshold
  taskmon disk --fail-on critical       exit 4 if a disk is critical
  taskmon disk --no-alert               measure, and notify nobody
  taskmon disk | jq -r '.disks[] | [.path, .usage_percent, .status] | @tsv'")]
pub struct DiskArgs {
    /// Files or folders; the file system that each lies on is measured
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Above this percentage of space or inodes the status is warning
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true, value_parser = values::parser(values::warning))]
    pub warning: Option<Parsed<f64>>,
    /// Above this percentage of space or inodes the status is critical
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true, value_parser = values::parser(values::critical))]
    pub critical: Option<Parsed<f64>>,
    #[command(flatten)]
    pub notifying: Notifying,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon alert                           what cron runs every five minutes: the live rules
  taskmon alert --dry-run | jq .live      the state of now; nothing is sent or written
  taskmon alert --test --output text      does each channel work?
  taskmon stats --date 2023-12-01 | taskmon alert --report -
  taskmon alert -m \"the backup of /srv failed\" --severity error
  taskmon alert --silence disk_space_warning=/data --for 2h --reason \"moving the archive\"
  taskmon alert --send '[{\"type\": \"deploy\", \"message\": \"done\", \"severity\": \"warning\"}]'

An alert is a line in logs/{critical,error,warning,info}_alerts.log and on standard error, a record in
reports/alerts/alerts_YYYYMMDD.jsonl, and a message to each channel of [[alerts.channels]].")]
pub struct AlertArgs {
    /// Raise alerts from a result of stats or disk, or from an error document: a file, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["send", "test"])]
    pub report: Option<PathBuf>,
    /// Send these: a text, a JSON list of {"type", "message", "severity"}, @FILE with either, or - for standard input
    #[arg(long, value_name = "TEXT", conflicts_with = "test")]
    pub send: Option<String>,
    /// Send this text, whatever it looks like, as an alert of the type "message"
    #[arg(short, long, value_name = "TEXT", conflicts_with_all = ["report", "send", "test"])]
    pub message: Option<String>,
    /// How severe the text of --message or --send is; without it a warning
    #[arg(long, value_name = "SEVERITY", conflicts_with_all = ["report", "test"])]
    pub severity: Option<Severity>,
    /// Send a test alert through every channel
    #[arg(long)]
    pub test: bool,
    /// Report who would be notified; send and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Notify although the live rules are evaluated by hand: on a terminal, or with --database-url
    #[arg(long, conflicts_with_all = ["report", "send", "message", "test", "dry_run"])]
    pub alert: bool,
    #[command(flatten)]
    pub silences: SilenceArgs,
}

/// What is silenced.
#[derive(Debug, Args)]
#[group(conflicts_with_all = ["report", "send", "message", "test", "dry_run", "alert"])]
pub struct SilenceArgs {
    /// Notify nobody of these alerts for a while: a type, or *, and perhaps what they are about
    #[arg(long, value_name = "TYPE[=SUBJECT]", requires = "duration", conflicts_with_all = ["unsilence", "silences"], value_parser = values::parser(values::silence))]
    pub silence: Option<Parsed<Matcher>>,
    /// For how long, as 30m, 2h, 1d or 1h 30m
    #[arg(long = "for", id = "duration", value_name = "DURATION", requires = "silence", value_parser = values::parser(values::duration))]
    pub duration: Option<Parsed<TimeDelta>>,
    /// Why
    #[arg(long, value_name = "TEXT", requires = "silence")]
    pub reason: Option<String>,
    /// End a silence
    #[arg(long, value_name = "TYPE[=SUBJECT]", conflicts_with = "silences", value_parser = values::parser(values::unsilence))]
    pub unsilence: Option<Parsed<Matcher>>,
    /// List what is silenced now
    #[arg(long)]
    pub silences: bool,
}

impl SilenceArgs {
    pub fn is_given(&self) -> bool {
        self.silence.is_some() || self.unsilence.is_some() || self.silences
    }
}

impl AlertArgs {
    pub fn job_run(&self, caller: Caller) -> JobRun {
        if self.dry_run {
            return JobRun::dry(Job::Alert);
        }
        if self.is_given() {
            // Whoever gives alerts means them to be sent, and says nothing about the job that cron runs.
            return JobRun { is_dry_run: false, ..JobRun::dry(Job::Alert) };
        }
        let notify = if self.alert { Notify::Always } else { Notify::IfNotByHand };
        JobRun::new(Job::Alert, notify, caller.by_hand(None))
    }

    /// Whether it is given what to notify of, and does not look at the live state.
    fn is_given(&self) -> bool {
        self.report.is_some() || self.send.is_some() || self.message.is_some() || self.test
    }
}

const SCHEDULE_EXAMPLES: &str = "\
Examples:
  taskmon schedule install --dry-run --output text    the lines for the crontab
  taskmon schedule install                  write them; again, nothing changes
  taskmon schedule install --queues receipt,file    what this host serves
  taskmon schedule install --replace        in place of lines that were written by hand
  taskmon schedule status --output text     is cron running, what is overdue?
  taskmon schedule logs --lines 5 | jq '.runs[] | [.job, .start, .exit_code]'
  taskmon schedule logs --follow            each run as it ends
  taskmon schedule install --systemd        units in ~/.config/systemd/user
  taskmon schedule remove                   take the lines out";

#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// The jobs of the configuration, and when each is due next
    List(ScheduleListArgs),
    /// The same, with how each ended last, and whether it is installed and overdue
    Status(ScheduleStatusArgs),
    /// The records of the runs, newest last
    Logs(ScheduleLogsArgs),
    /// Write the jobs into the crontab, as one marked block; other lines stay as they are
    Install(ScheduleInstallArgs),
    /// Take this configuration's block out of the crontab
    Remove(ScheduleRemoveArgs),
}

/// A queue's name, without the blanks around it in a list.
fn queue(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("the name of a queue is empty"),
        name => Ok(name.to_owned()),
    }
}

#[derive(Debug, Args)]
pub struct ScheduleListArgs {
    /// Only the jobs of these queues, and those without one
    #[arg(long, value_name = "QUEUES", value_delimiter = ',', num_args = 1.., value_parser = queue)]
    pub queues: Vec<String>,
}

#[derive(Debug, Default, Args)]
pub struct ScheduleStatusArgs {
    /// Only the jobs of these queues, and those without one
    #[arg(long, value_name = "QUEUES", value_delimiter = ',', num_args = 1.., value_parser = queue)]
    pub queues: Vec<String>,
    /// Look at another user's crontab; for root
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

#[derive(Debug, Args)]
pub struct ScheduleLogsArgs {
    /// Go on with each run as it ends, until interrupted
    #[arg(long)]
    pub follow: bool,
    /// The last N runs
    #[arg(long, value_name = "N", default_value = "20")]
    pub lines: usize,
}

#[derive(Debug, Args)]
pub struct ScheduleInstallArgs {
    /// Only the jobs of these queues, and those without one
    #[arg(long, value_name = "QUEUES", value_delimiter = ',', num_args = 1.., value_parser = queue)]
    pub queues: Vec<String>,
    /// Turn lines of the crontab that start the same jobs, and that somebody wrote by hand, into comments
    #[arg(long, conflicts_with = "systemd")]
    pub replace: bool,
    /// Report what would be written, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub place: SchedulePlace,
}

#[derive(Debug, Args)]
pub struct ScheduleRemoveArgs {
    /// The jobs of every configuration that this program runs, not only of this one
    #[arg(long)]
    pub all: bool,
    /// Report what would be removed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub place: SchedulePlace,
}

/// Where the jobs are written.
#[derive(Debug, Args)]
pub struct SchedulePlace {
    /// Another user's crontab; for root
    #[arg(long, value_name = "NAME", conflicts_with = "systemd")]
    pub user: Option<String>,
    /// Units of systemd, a service and a timer for each job, instead of the crontab
    #[arg(long)]
    pub systemd: bool,
    /// With --systemd: units of this user, in ~/.config/systemd/user; the default
    #[arg(long, requires = "systemd", conflicts_with_all = ["system", "unit_dir"])]
    pub user_units: bool,
    /// With --systemd: units of the system, in /etc/systemd/system
    #[arg(long, requires = "systemd")]
    pub system: bool,
    /// With --systemd: another folder for the units
    #[arg(long, value_name = "DIR", requires = "systemd")]
    pub unit_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon demo --output text    the sandbox ./taskmon-demo, and a page to read
  taskmon demo /tmp/try         another folder: missing, empty, or a sandbox
  taskmon demo | jq .next       what to try next")]
pub struct DemoArgs {
    /// Where the sandbox is made
    #[arg(value_name = "DIR", default_value = "taskmon-demo")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon init postgresql://me@localhost/shop --output text
  taskmon init sqlite:jobs.db            a SQLite file
  taskmon init                           the database of $DATABASE_URL
  taskmon init URL --preset celery       where several presets fit
  taskmon init URL --table app.jobs      a table that no preset knows")]
pub struct InitArgs {
    /// The database; without it --database-url, $TASKMON_DATABASE_URL, $DATABASE_URL
    #[arg(value_name = "URL", conflicts_with = "database_url")]
    pub url: Option<String>,
    /// The preset to use, where several fit
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// The table of the jobs, where no preset fits or another table is meant
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// Replace a configuration that is there, which is kept beside it
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon config                             the configuration in force
  taskmon config | jq .sources               and where it comes from
  taskmon config --default > taskmon.toml    start a configuration
  taskmon config --presets --output text     the queues that it knows
  taskmon config --preset celery             how Celery's tables are read")]
pub struct ConfigArgs {
    /// Print the commented default configuration
    #[arg(long, conflicts_with = "preset")]
    pub default: bool,
    /// Print how a queue's tables are described, as a configuration to start from: celery, pg-boss, river …
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// List the presets
    #[arg(long, conflicts_with_all = ["default", "preset"])]
    pub presets: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon help                the pages of the manual
  taskmon help cleanup        what cleanup deletes, and what it never does
  taskmon help slack          how a channel is configured
  taskmon help rules --lang zh | less

On a terminal a page is shown by $PAGER, or by less.")]
pub struct HelpArgs {
    /// A command, a channel or a subject; without it the pages are listed
    #[arg(value_name = "TOPIC")]
    pub topic: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskmon man | man -l -          read the page of taskmon itself
  taskmon man stats | man -l -    read that of a command
  taskmon man > /usr/local/share/man/man1/taskmon.1
  taskmon man stats > /usr/local/share/man/man1/taskmon-stats.1
  taskmon man rules > /usr/local/share/man/man7/taskmon-rules.7
  taskmon man --list              each page, and the section that it belongs to")]
pub struct ManArgs {
    /// The topic whose page is printed; without it the page of taskmon itself
    #[arg(value_name = "TOPIC")]
    pub topic: Option<String>,
    /// List the topics that have a page, and the section of each
    #[arg(long, conflicts_with = "topic")]
    pub list: bool,
}
