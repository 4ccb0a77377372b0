//! The jobs as units of systemd: their folders, `schedule install --systemd` and `schedule remove --systemd`.

use super::is_file;
use crate::cli::{SchedulePlace, ScheduleRemoveArgs};
use crate::config::{self, Config};
use crate::files::{self, ALL_MAY_READ};
use crate::outcome::{Failure, Kind};
use crate::run::working_dir;
use crate::schedule::installed::{Installation, Installed};
use crate::schedule::job::CronJob;
use crate::schedule::report::Change;
use crate::schedule::systemd::WrittenFile;
use crate::schedule::{shell, systemd};
use crate::values;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

const SYSTEM_UNITS: &str = "/etc/systemd/system";

/// The folder of the units of the user who runs this.
fn user_units() -> Result<PathBuf> {
    let env = config::Env::read();
    let xdg = env.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let folder = xdg.or_else(|| env.path("HOME").map(|home| home.join(".config")));
    let folder = folder.ok_or_else(|| {
        Failure::new(Kind::Usage, "$HOME is not set, so there is no folder for a user's units")
            .hint("name one with --unit-dir")
    })?;
    Ok(folder.join("systemd/user"))
}

/// The folder of the units that the arguments name.
pub(super) fn unit_dir(place: &SchedulePlace) -> Result<PathBuf> {
    match (&place.unit_dir, place.system) {
        (Some(folder), _) => Ok(values::absolute(&working_dir()?, folder)),
        (None, true) => Ok(PathBuf::from(SYSTEM_UNITS)),
        (None, false) => user_units(),
    }
}

/// The folders in which units are looked for, and the `systemctl` that goes with each.
pub(super) fn unit_folders() -> Vec<(PathBuf, &'static str)> {
    let user = user_units().ok().map(|folder| (folder, "systemctl --user"));
    let system = (PathBuf::from(SYSTEM_UNITS), "systemctl");
    user.into_iter().chain([system]).collect()
}

/// Where links that enable units of a folder may be, besides that folder.
pub(super) fn enabled_elsewhere(folder: &Path) -> Vec<PathBuf> {
    if folder == Path::new(SYSTEM_UNITS) {
        return vec![PathBuf::from("/run/systemd/system")];
    }
    let runtime = config::Env::read().path("XDG_RUNTIME_DIR");
    let runtime = runtime.map(|folder| folder.join("systemd/user"));
    [Some(PathBuf::from("/etc/systemd/user")), runtime].into_iter().flatten().collect()
}

/// The words of `systemctl` that go with the arguments.
fn systemctl(place: &SchedulePlace) -> &'static str {
    if place.system { "systemctl" } else { "systemctl --user" }
}

pub(super) fn install_units(
    config: &Config,
    jobs: &[CronJob],
    place: &SchedulePlace,
    installation: &Installation,
    change: &mut Change,
) -> Result<()> {
    let folder = unit_dir(place)?;
    let written = systemd::read(&folder).with_context(|| unreadable(&folder))?;
    let is_this = is_file(Some(&installation.config));
    let (mine, others): (Vec<WrittenFile>, Vec<WrittenFile>) =
        (written.files.into_iter()).partition(|file| file.config.as_deref().is_none_or(&is_this));
    let old = written.jobs.into_iter().filter(|written| is_this(&written.config));
    let old: Vec<Installed> = old.map(|written| written.job).collect();
    let units_of = |label: Option<&str>| -> Result<Vec<(PathBuf, String)>> {
        let mut units = Vec::new();
        for job in jobs {
            let made = systemd::units(job, label, &old, installation)
                .map_err(|why| Failure::new(Kind::ConfigInvalid, why))?;
            units.extend(made.map(|unit| (folder.join(&unit.name), unit.text)));
        }
        Ok(units)
    };
    let has = |files: &[WrittenFile], units: &[(PathBuf, String)]| {
        files.iter().any(|file| units.iter().any(|(path, _)| *path == file.path))
    };
    let (plain, labelled) = (units_of(None)?, units_of(Some(&label(config, installation)))?);
    // Once it has names with a label it keeps them, also when the others are gone.
    let units = if has(&others, &plain) || has(&mine, &labelled) { labelled } else { plain };
    if let Some(other) = others.iter().find(|file| units.iter().any(|(path, _)| *path == file.path))
    {
        let theirs = other.config.as_deref().unwrap_or(Path::new("?")).display();
        return Err(Failure::new(
            Kind::OutputFailed,
            format!("{} is a unit of another configuration, {theirs}", other.path.display()),
        )
        .hint("say `name` in this configuration: it becomes a part of its units' names")
        .into());
    }
    let paths: Vec<&PathBuf> = units.iter().map(|(path, _)| path).collect();
    let is_mine = |path: &Path| mine.iter().any(|file| file.path == path);
    if let Some(path) = paths.iter().find(|path| path.exists() && !is_mine(path)) {
        return Err(Failure::new(
            Kind::OutputFailed,
            format!("{} is there already and not taskmon's own", path.display()),
        )
        .into());
    }
    // Units of jobs that are no more are removed, as from the crontab. systemd goes on with a timer that was not stopped.
    let mine = mine.into_iter().map(|file| file.path);
    change.removed = mine.filter(|path| !paths.contains(&path)).collect();
    let stopped = timers_of(&change.removed);
    let control = systemctl(place);
    if !stopped.is_empty() {
        change.next.push(format!("{control} disable --now {}", shell::quoted_words(&stopped)));
    }
    let timers = shell::quoted_words(&timers_of(paths.iter().copied()));
    change.next.push(format!("{control} daemon-reload"));
    change.next.push(format!("{control} enable --now {timers}"));
    if !change.dry_run {
        remove_files(&change.removed)?;
    }
    for (path, text) in &units {
        if std::fs::read_to_string(path).is_ok_and(|there| there == *text) {
            continue;
        }
        change.files.push(path.clone());
        if !change.dry_run {
            files::replace(path, text, ALL_MAY_READ).map_err(|error| unwritable(path, &error))?;
        }
    }
    change.changed = !change.files.is_empty() || !change.removed.is_empty();
    let texts: Vec<String> =
        units.iter().map(|(path, text)| format!("# {}\n{text}", path.display())).collect();
    change.block = Some(texts.join("\n"));
    Ok(())
}

pub(super) fn remove_units(
    config: &Config,
    arguments: &ScheduleRemoveArgs,
    change: &mut Change,
) -> Result<()> {
    let place = &arguments.place;
    let folder = unit_dir(place)?;
    let is_this = is_file(config.file.as_deref());
    let is_meant =
        |file: &WrittenFile| arguments.all || file.config.as_deref().is_none_or(&is_this);
    let files = systemd::read(&folder).with_context(|| unreadable(&folder))?.files.into_iter();
    change.removed = files.filter(is_meant).map(|file| file.path).collect();
    let timers = timers_of(&change.removed);
    let control = systemctl(place);
    if !timers.is_empty() {
        change.next = vec![
            format!("{control} disable --now {}", shell::quoted_words(&timers)),
            format!("{control} daemon-reload"),
        ];
    }
    if !change.dry_run {
        remove_files(&change.removed)?;
    }
    change.changed = !change.removed.is_empty();
    Ok(())
}

/// What distinguishes a configuration's units from those of others: its `name`, else its file's.
fn label(config: &Config, installation: &Installation) -> String {
    let file = installation.config.file_stem().unwrap_or_default().to_string_lossy();
    config.values.name.clone().unwrap_or_else(|| file.into_owned())
}

/// The names of the timers among these files.
fn timers_of<'p>(files: impl IntoIterator<Item = &'p PathBuf>) -> Vec<&'p str> {
    let names = files.into_iter().filter_map(|path| path.file_name()?.to_str());
    names.filter(|name| name.ends_with(".timer")).collect()
}

fn remove_files(files: &[PathBuf]) -> Result<(), Failure> {
    files
        .iter()
        .try_for_each(|path| std::fs::remove_file(path).map_err(|error| unwritable(path, &error)))
}

fn unreadable(folder: &Path) -> String {
    format!("the folder of units {} cannot be read", folder.display())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Kind::OutputFailed, format!("{} cannot be written: {error}", path.display()))
}
