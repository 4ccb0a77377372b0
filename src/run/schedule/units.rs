//! The jobs as units of systemd: their folders, `schedule install --systemd` and `schedule remove --systemd`.

use crate::cli::SchedulePlace;
use crate::config;
use crate::files::{self, ALL_MAY_READ};
use crate::outcome::{Failure, Kind};
use crate::run::working_dir;
use crate::schedule::installed::{Installation, Installed};
use crate::schedule::job::CronJob;
use crate::schedule::report::Change;
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
    jobs: &[CronJob],
    place: &SchedulePlace,
    installation: &Installation,
    change: &mut Change,
) -> Result<()> {
    let folder = unit_dir(place)?;
    let written = systemd::read(&folder).with_context(|| unreadable(&folder))?;
    let old: Vec<Installed> = written.jobs.into_iter().map(|written| written.job).collect();
    let mut units = Vec::new();
    for job in jobs {
        let made = systemd::units(job, &old, installation)
            .map_err(|why| Failure::new(Kind::ConfigInvalid, why))?;
        units.extend(made.map(|unit| (folder.join(&unit.name), unit.text)));
    }
    let paths: Vec<&PathBuf> = units.iter().map(|(path, _)| path).collect();
    if let Some(path) = paths.iter().find(|path| path.exists() && !written.files.contains(path)) {
        return Err(Failure::new(
            Kind::OutputFailed,
            format!("{} is there already and not taskmon's own", path.display()),
        )
        .into());
    }
    // Units of jobs that are no more are removed, as from the crontab. systemd goes on with a timer that was not stopped.
    change.removed = written.files.iter().filter(|path| !paths.contains(path)).cloned().collect();
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

pub(super) fn remove_units(place: &SchedulePlace, change: &mut Change) -> Result<()> {
    let folder = unit_dir(place)?;
    change.removed = systemd::read(&folder).with_context(|| unreadable(&folder))?.files;
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
