//! `system::disk` against `df` and against real mounts.

mod df;
mod mounts;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use taskmon::system::disk::{
    DEADLINE, Disk, DiskReport, Expected, Prober, Settings, Status, Volume, measure,
};

fn measured(paths: &[&Path]) -> DiskReport {
    measured_within(paths, DEADLINE)
}

fn measured_within(paths: &[&Path], deadline: Duration) -> DiskReport {
    let paths = paths.iter().map(Volume::at).collect();
    let settings = Settings { paths, warning_percent: 80.0, critical_percent: 90.0 };
    let program = env!("CARGO_BIN_EXE_taskmon").into();
    measure(&settings, &Expected::default(), &Prober { program, deadline })
}

/// The one disk of a report that has no errors.
fn only(path: &Path) -> Disk {
    let mut report = measured(&[path]);
    assert_eq!(report.errors, []);
    assert_eq!(report.disks.len(), 1);
    report.disks.remove(0)
}

/// What a program wrote, which must have succeeded.
fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_file_system_without_blocks_is_empty_and_normal() {
    let disk = only(Path::new("/proc"));
    assert_eq!(disk.fs_type.as_deref(), Some("proc"));
    assert_eq!((disk.total_gb, disk.usage_percent, disk.status), (0.0, 0.0, Status::Normal));
    assert_eq!(disk.inodes_usage_percent, None);
}

#[test]
fn a_path_that_cannot_be_measured_is_an_entry_and_the_others_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let dangling = folder.path().join("dangling");
    symlink(&missing, &dangling).unwrap();
    let circle = folder.path().join("circle");
    symlink(&circle, &circle).unwrap();
    let root = Path::new("/");
    let report =
        measured(&[&missing, root, &file.join("below"), &circle, &file, &dangling, Path::new("")]);
    let entries: Vec<(&str, &str)> =
        report.errors.iter().map(|error| (error.kind, error.path.as_deref().unwrap())).collect();
    assert_eq!(
        entries,
        [
            ("path_missing", missing.to_str().unwrap()),
            ("path_missing", file.join("below").to_str().unwrap()),
            ("path_unreadable", circle.to_str().unwrap()),
            ("path_missing", dangling.to_str().unwrap()),
            ("path_missing", ""),
        ]
    );
    for error in &report.errors {
        assert!(error.message.starts_with(error.path.as_deref().unwrap()));
    }
    let paths: Vec<&str> = report.disks.iter().map(|disk| disk.path.as_str()).collect();
    assert_eq!(paths, ["/", file.to_str().unwrap()]);
    assert!(report.success && !report.nothing_measured());

    let report = measured(&[&missing]);
    assert!(report.nothing_measured());
    assert_eq!(report.disk_info, None);
    assert_eq!(report.errors.len(), 1);
}

#[test]
fn a_relative_path_starts_at_the_working_folder() {
    let here = only(Path::new("."));
    let folder = std::env::current_dir().unwrap();
    assert_eq!(here.path, ".");
    assert_eq!(here.mount, only(&folder).mount);
}
