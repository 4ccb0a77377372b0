//! `schedule install` and `schedule remove`: the block in a crontab.

use super::units::{install_units, remove_units};
use super::{cron_zone, is_file};
use crate::check::{Finding, placement};
use crate::cli::{ScheduleInstallArgs, ScheduleRemoveArgs};
use crate::config::{self, Config};
use crate::language::Language;
use crate::lock;
use crate::outcome::{Failure, Kind, Outcome};
use crate::report::text::schedule as page;
use crate::run::Session;
use crate::run::locks::real;
use crate::run::output::Done;
use crate::schedule::crontab::{self, Block};
use crate::schedule::entry::Entry;
use crate::schedule::installed::Installation;
use crate::schedule::job::CronJob;
use crate::schedule::program::Program;
use crate::schedule::report::Change;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a change of a crontab waits for another one.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

impl Session {
    pub(super) fn install(&self, config: &Config, arguments: &ScheduleInstallArgs) -> Result<Done> {
        let installation = self.installation(config)?;
        let (served, left_out) = self.served(config, &installation, &arguments.queues)?;
        let place = &arguments.place;
        let mut change = Change { success: true, dry_run: arguments.dry_run, ..Change::default() };
        change.left_out = left_out.into_iter().map(|job| job.name).collect();
        let (set, replaced) = if place.systemd {
            install_units(config, &served, place, &installation, &mut change)?;
            (Vec::new(), Vec::new())
        } else {
            self.install_lines(config, &served, arguments, &installation, &mut change)?
        };
        change.warnings.extend(self.missing_variables(config, &set, place)?);
        let doubled = self.doubled_by(config, &served, place, &replaced);
        change.warnings.extend(doubled.iter().map(Finding::sentence));
        change.jobs = served.iter().map(|job| self.line(job, cron_zone())).collect();
        self.changed(change, config)
    }

    /// The jobs of these queues, and the others.
    fn served(
        &self,
        config: &Config,
        installation: &Installation,
        queues: &[String],
    ) -> Result<(Vec<CronJob>, Vec<CronJob>)> {
        let jobs = self.jobs(config)?;
        if jobs.is_empty() {
            let file = installation.config.display();
            return Err(Failure::new(
                Kind::Usage,
                format!("schedule.jobs is empty in {file}, so there is nothing to install"),
            )
            .hint("without the key the default jobs hold; `taskmon schedule remove` takes out what is installed")
            .into());
        }
        let (served, left_out): (Vec<CronJob>, Vec<CronJob>) =
            jobs.into_iter().partition(|job| job.is_served(queues));
        if served.is_empty() {
            let queues = queues.join(",");
            return Err(Failure::new(
                Kind::Usage,
                format!("no job is of the queues {queues}, so there is nothing to install"),
            )
            .into());
        }
        Ok((served, left_out))
    }

    /// Returns the variables that the crontab sets for the lines, and the lines that a dry run would turn into comments.
    fn install_lines(
        &self,
        config: &Config,
        jobs: &[CronJob],
        arguments: &ScheduleInstallArgs,
        installation: &Installation,
        change: &mut Change,
    ) -> Result<(Vec<String>, Vec<usize>)> {
        let program = program(arguments.place.user.as_deref())?;
        let _lock = self.crontab_lock(change)?;
        let before = program.read()?.unwrap_or_default();
        let replaced = if arguments.replace {
            self.replaced_lines(config, &program, jobs, &before, change)?
        } else {
            Vec::new()
        };
        let text = crontab::comment_out(&before, &replaced);
        let crontab = crontab::read(&text)?;
        let is_this = is_file(Some(&installation.config));
        let block = crontab.block_of(&is_this)?;
        let set = crontab.variables(block);
        let zones = placement::zones_above(
            &set,
            config::of_the_host(),
            config.values.timezone.as_deref(),
            config.language,
        );
        change.warnings.extend(zones.iter().map(Finding::sentence));
        report_foreign_lines(block.into_iter(), change, config.language);
        let new = crontab.with(block, jobs, installation);
        change.changed = new != before;
        change.block = crontab::read(&new)?.block_of(&is_this)?.map(Block::text);
        if change.changed && !change.dry_run {
            program.write(&new)?;
        }
        // A variable that is set to nothing counts as unset.
        let set = set.into_iter().filter(|(_, value)| !value.is_empty());
        let set = set.map(|(name, _)| name).collect();
        Ok((set, if change.dry_run { replaced } else { Vec::new() }))
    }

    /// The lines by hand that start the same jobs and that this crontab has; those in files of the system are named in a warning.
    fn replaced_lines(
        &self,
        config: &Config,
        program: &Program,
        jobs: &[CronJob],
        text: &[u8],
        change: &mut Change,
    ) -> Result<Vec<usize>> {
        let entries = self.by_hand(config, program, Some(&crontab::read(text)?)).entries;
        let is_same = |entry: &&Entry| jobs.iter().any(|job| job.name == entry.job.name);
        let (here, elsewhere): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().filter(is_same).partition(|entry| entry.place == "crontab");
        let elsewhere: Vec<String> = elsewhere.into_iter().map(Entry::position).collect();
        if !elsewhere.is_empty() {
            let finding = placement::to_take_out(&elsewhere, config.language);
            change.warnings.push(finding.sentence());
        }
        let mut numbers: Vec<usize> = here.into_iter().filter_map(|entry| entry.line).collect();
        numbers.dedup();
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().enumerate();
        let is_replaced = |at: usize| numbers.contains(&at.saturating_add(1));
        let replaced = lines.filter(|(at, _)| is_replaced(*at));
        change.replaced = replaced.map(|(_, line)| line.to_owned()).collect();
        Ok(numbers)
    }

    pub(super) fn remove(&self, config: &Config, arguments: &ScheduleRemoveArgs) -> Result<Done> {
        let mut change = Change { success: true, dry_run: arguments.dry_run, ..Change::default() };
        if arguments.place.systemd {
            remove_units(config, arguments, &mut change)?
        } else {
            self.remove_lines(config, arguments, &mut change)?
        }
        self.changed(change, config)
    }

    fn remove_lines(
        &self,
        config: &Config,
        arguments: &ScheduleRemoveArgs,
        change: &mut Change,
    ) -> Result<()> {
        let program = program(arguments.place.user.as_deref())?;
        let _lock = self.crontab_lock(change)?;
        let text = program.read()?.unwrap_or_default();
        let crontab = crontab::read(&text)?;
        let blocks: Vec<&Block> = if arguments.all {
            let this = current_program()?;
            crontab.blocks().iter().filter(|block| is_started(block, &this)).collect()
        } else {
            let is_this = is_file(config.file.as_deref());
            crontab.block_of(&is_this)?.into_iter().collect()
        };
        change.changed = !blocks.is_empty();
        report_foreign_lines(blocks.iter().copied(), change, config.language);
        let texts: String = blocks.iter().map(|block| block.text()).collect();
        change.block = Some(texts).filter(|text| !text.is_empty());
        if !change.changed || change.dry_run {
            return Ok(());
        }
        let rest = crontab.without(&blocks);
        if rest.is_empty() {
            return Ok(program.clear()?);
        }
        // Most crons take no crontab whose last line has no end: then it keeps the one that `install` gave it.
        Ok(program.write(&rest).or_else(|refused| {
            if rest.ends_with(b"\n") {
                Err(refused)
            } else {
                program.write(&[rest.as_slice(), b"\n"].concat())
            }
        })?)
    }

    fn changed(&self, mut change: Change, config: &Config) -> Result<Done> {
        for warning in &change.warnings {
            log::warn!("{warning}");
        }
        change.notes = change.warnings.clone();
        self.done(&change, Outcome::Done, || page::change(&change, self.clock(config)))
    }

    /// Waits for another `install` or `remove`, which must not write between this one's reading and writing of the crontab.
    fn crontab_lock(&self, change: &Change) -> Result<Option<lock::Lock>> {
        if self.common.no_lock || change.dry_run {
            return Ok(None);
        }
        let subject = lock::Subject { folder: None, name: "schedule", identity: "" };
        lock::acquire(&subject, LOCK_TIMEOUT).map(Some)
    }

    fn installation(&self, config: &Config) -> Result<Installation> {
        let Some(file) = &config.file else {
            return Err(Failure::new(
                Kind::Usage,
                "there is no configuration file, and cron's jobs know nothing else",
            )
            .hint("`taskmon config --default > taskmon.toml` makes one; name it with --config")
            .into());
        };
        let binary = current_program()?;
        // A line of a crontab ends at a line feed, and what is not UTF-8 could not be compared with what is there.
        for path in [file, &binary] {
            if path.to_str().is_none_or(|text| text.contains(char::is_control)) {
                return Err(Failure::new(
                    Kind::Usage,
                    format!("the path {path:?} cannot be written in a crontab"),
                )
                .into());
            }
        }
        Ok(Installation { binary, config: file.clone(), now: self.now })
    }
}

/// Whether a block's lines start this program, or none that is there.
fn is_started(block: &Block, program: &Path) -> bool {
    let programs = block.programs();
    let mut others = programs.iter().map(|other| real(Path::new(other)));
    programs.is_empty() || others.any(|other| other == real(program) || !other.exists())
}

/// Reports the lines in the blocks that somebody else wrote: they go with them.
fn report_foreign_lines<'b>(
    blocks: impl Iterator<Item = &'b Block<'b>>,
    change: &mut Change,
    language: Language,
) {
    change.dropped = blocks.flat_map(Block::foreign).collect();
    if change.dropped.is_empty() {
        return;
    }
    let lines = change.dropped.join(" ⏎ ");
    let word = if change.dry_run {
        language.pick("将一并去掉", "would go with it")
    } else {
        language.pick("已一并去掉", "are gone with it")
    };
    change.warnings.push(language.pick(
        format!("区块中有并非 taskmon 写入的行，{word}：{lines}；需要的请写在区块之外"),
        format!("lines of the block that taskmon had not written {word}: {lines}; write what you need outside of the block"),
    ));
}

pub(super) fn program(user: Option<&str>) -> Result<Program> {
    if user.is_some() && !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            Kind::Usage,
            "--user is for root: another user's crontab is not yours to change",
        )
        .into());
    }
    Ok(Program { user: user.map(str::to_owned) })
}

/// The path of this program: where PATH leads to it, that path, which stays the same when a new version is put there.
fn current_program() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("this program's own path is not known")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("taskmon"))
        .find(|candidate| candidate.is_file());
    Ok(match on_path {
        Some(found) if found.canonicalize().is_ok_and(|real| real == exe) => found,
        _ => exe,
    })
}
