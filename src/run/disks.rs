//! The disks are measured, and what they were is remembered: of a path that was a mount, or could be written to, it is known if it is not any more.

use crate::config::Config;
use crate::files::{NewFile, SHARED, read_regular};
use crate::folder::Folder;
use crate::host;
use crate::system::disk::{self, DiskReport, Expected, Prober, Seen, Settings};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Measures them, knowing what they were when they were measured last.
pub(super) fn measure(config: &Config, settings: &Settings) -> DiskReport {
    measured(&file(config), settings).1
}

/// The same of all paths of the configuration; what they are now is remembered.
pub(super) fn measure_and_remember(config: &Config, settings: &Settings) -> DiskReport {
    let file = file(config);
    let (expected, report) = measured(&file, settings);
    let seen = expected.seen.updated(&settings.paths, &report.disks);
    if seen != expected.seen
        && let Err(error) = write(&file, &seen)
    {
        log::warn!(
            "{} cannot be written, so a volume that is unmounted later may not be noticed: {error}",
            file.display()
        );
    }
    report
}

fn measured(file: &Path, settings: &Settings) -> (Expected, DiskReport) {
    let seen = read(file).unwrap_or_else(|error| {
        log::warn!("{} cannot be read: {error}", file.display());
        Seen::default()
    });
    let expected = Expected::new(seen);
    let report = disk::measure(settings, &expected, &Prober::default());
    (expected, report)
}

/// Each host has disks of its own.
fn file(config: &Config) -> PathBuf {
    let host = host::name().replace('/', "_");
    config.alerts.notify.records_dir.join(format!("disks_{host}.json"))
}

fn read(file: &Path) -> io::Result<Seen> {
    match read_regular(file) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Seen::default()),
        Err(error) => Err(error),
    }
}

fn write(file: &Path, seen: &Seen) -> io::Result<()> {
    Folder::make(file.parent().ok_or(ErrorKind::NotFound)?)?;
    NewFile::create(file, SHARED)?.publish(&serde_json::to_vec(seen)?)
}
