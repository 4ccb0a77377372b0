//! How full file systems are: the figures of `df`, against two thresholds.

pub mod mounts;
mod probe;
mod settings;
mod usage;

pub use settings::Settings;
pub use usage::{Bytes, Status};

use crate::alert::Alert;
use crate::outcome::Issue;
use crate::units::{self, Thresholds};
use mounts::{MOUNTS, Mount};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use usage::Usage;

/// How long a file system may take to answer: one that is merely slow (a disk that spins up, a far server) needs a few seconds.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The result of the job `disk`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiskReport {
    pub success: bool,
    /// The worst of `disks`; `None`: nothing could be measured.
    pub disk_info: Option<Worst>,
    /// In the order of the paths that were asked for, without those that stand in `errors`.
    pub disks: Vec<Disk>,
    pub alerts: Vec<Alert>,
    pub errors: Vec<Issue>,
}

impl DiskReport {
    /// Whether not one path could be measured: then there is no result, only `errors`.
    pub fn nothing_measured(&self) -> bool {
        self.disks.is_empty()
    }
}

/// The figures of the worst file system: the one of the worst status, among those the one whose space or inodes, whichever
/// are fuller, are used most, among those the first.
///
/// Its `status` may come from its inodes alone, so they stand here too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worst {
    pub total_gb: f64,
    pub used_gb: f64,
    pub free_gb: f64,
    pub usage_percent: f64,
    pub status: Status,
    pub path: String,
    pub inodes_usage_percent: Option<f64>,
}

/// One path's file system; GB are 1024³ bytes, figures have 2 decimals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disk {
    /// As it was asked for.
    pub path: String,
    /// Where the file system that holds the path is mounted; links in the path are followed first. `None`, as the two after it,
    /// where the kernel's list does not have it (below a `chroot`).
    pub mount: Option<String>,
    pub device: Option<String>,
    pub fs_type: Option<String>,
    pub total_gb: f64,
    pub used_gb: f64,
    /// What a user without privileges can still write.
    pub free_gb: f64,
    /// What `df` shows before it rounds up: used / (used + free).
    pub usage_percent: f64,
    /// `None` where the file system does not count inodes (btrfs, vfat).
    pub inodes_usage_percent: Option<f64>,
    pub status: Status,
    /// The figures in GB before they were rounded.
    #[serde(skip)]
    pub bytes: Bytes,
}

impl Disk {
    fn new(path: &Path, mount: Option<&Mount>, usage: &Usage, thresholds: Thresholds) -> Self {
        let bytes = usage.bytes();
        Self {
            path: path.to_string_lossy().into_owned(),
            mount: mount.map(|mount| mount.point.to_string_lossy().into_owned()),
            device: mount.map(|mount| mount.device.clone()),
            fs_type: mount.map(|mount| mount.fs_type.clone()),
            total_gb: units::gib(bytes.total),
            used_gb: units::gib(bytes.used),
            free_gb: units::gib(bytes.available),
            usage_percent: usage.space_percent(),
            inodes_usage_percent: usage.inodes_percent(),
            status: usage.status(thresholds),
            bytes,
        }
    }
}

/// Measures the file systems that hold `paths`, all at once, and waits no longer than `deadline` in all.
///
/// A path that cannot be measured becomes an entry of `errors`, and never keeps the others from being measured:
/// `path_missing`, `path_unreadable` (no permission, a loop of links, a dead mount), or `disk_timeout` (no answer within the
/// deadline). `mounts_unreadable` says that the figures are whole but nobody knows which mounts they belong to.
pub fn measure(paths: &[PathBuf], thresholds: Thresholds, deadline: Duration) -> DiskReport {
    let answers = probe::probe_all(paths, deadline);
    let mut errors = Vec::new();
    let mut measured = Vec::new();
    for (path, answer) in paths.iter().zip(answers) {
        match answer {
            Some(Ok(probed)) => measured.push((path, probed)),
            Some(Err(error)) => errors.push(not_measured(path, &error)),
            None => errors.push(timed_out(path, deadline)),
        }
    }
    // Read after the file systems were asked: asking may have mounted one (autofs).
    let mounts = if measured.is_empty() {
        Vec::new()
    } else {
        mounts::read().unwrap_or_else(|error| {
            errors.push(mounts_unreadable(&error));
            Vec::new()
        })
    };
    let usages: Vec<Usage> = measured.iter().map(|(_, probed)| probed.usage).collect();
    let disks: Vec<Disk> = measured
        .into_iter()
        .map(|(path, probed)| {
            let mount = mounts::find_mount(&probed.real_path, &mounts);
            Disk::new(path, mount, &probed.usage, thresholds)
        })
        .collect();
    DiskReport {
        success: true,
        disk_info: find_worst(&disks, &usages),
        disks,
        alerts: Vec::new(),
        errors,
    }
}

fn not_measured(path: &Path, error: &io::Error) -> Issue {
    let path = path.to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Issue::new("path_missing", format!("{path} does not exist"))
        }
        _ => Issue::new("path_unreadable", format!("{path} cannot be measured: {error}")),
    }
    .path(path)
}

fn timed_out(path: &Path, deadline: Duration) -> Issue {
    let path = path.to_string_lossy();
    let seconds = deadline.as_secs_f64();
    let message =
        format!("{path} did not answer within {seconds} s; its file system may be hanging");
    Issue::new("disk_timeout", message).path(path)
}

fn mounts_unreadable(error: &io::Error) -> Issue {
    let message = format!("{MOUNTS} cannot be read, so mounts and devices are unknown: {error}");
    Issue::new("mounts_unreadable", message).path(MOUNTS)
}

/// `disks` and `usages` are in the same order.
fn find_worst(disks: &[Disk], usages: &[Usage]) -> Option<Worst> {
    let worse = |a: &(&Disk, &Usage), b: &(&Disk, &Usage)| {
        a.0.status.cmp(&b.0.status).then_with(|| a.1.compare(b.1))
    };
    // Of equals `max_by` takes the last; from behind, that is the first.
    let (disk, _) = disks.iter().zip(usages).rev().max_by(worse)?;
    Some(Worst {
        total_gb: disk.total_gb,
        used_gb: disk.used_gb,
        free_gb: disk.free_gb,
        usage_percent: disk.usage_percent,
        status: disk.status,
        path: disk.path.clone(),
        inodes_usage_percent: disk.inodes_usage_percent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{StatVfs, StatVfsMountFlags};

    const LIMITS: Thresholds = Thresholds { warning: 80.0, critical: 90.0 };

    #[test]
    fn a_share_that_reads_80_and_is_more_is_a_warning() {
        let usage = Usage::filled(80_001, 100_000, 0, 0);
        let disk = Disk::new(Path::new("/"), None, &usage, LIMITS);
        assert_eq!((disk.usage_percent, disk.status), (80.0, Status::Warning));
    }

    #[test]
    fn blocks_kept_for_root_are_neither_used_nor_free() {
        // ext4 of 1000 blocks of 1 GiB / 4, 5 % kept for root: df says 600 used, 350 available and, rounding up, 64 %.
        let usage = Usage {
            block_size: units::GIB / 4,
            blocks: 1000,
            free: 400,
            available: 350,
            files: 4000,
            files_free: 3836,
        };
        let disk = Disk::new(Path::new("/data"), None, &usage, LIMITS);
        assert_eq!(disk.total_gb, 250.0);
        assert_eq!(disk.used_gb, 150.0);
        assert_eq!(disk.free_gb, 87.5);
        assert_eq!(disk.usage_percent, 63.16);
        assert_eq!(disk.inodes_usage_percent, Some(4.1));
    }

    #[test]
    fn blocks_are_counted_in_fragments_and_not_in_units_of_transfer() {
        // A network file system: blocks of 1 MiB for reading and writing, sizes in units of 4 KiB.
        let answer = StatVfs {
            f_bsize: 1 << 20,
            f_frsize: 4096,
            f_blocks: 262_144,
            f_bfree: 131_072,
            f_bavail: 65_536,
            f_files: 100,
            f_ffree: 60,
            f_favail: 60,
            f_fsid: 1,
            f_flag: StatVfsMountFlags::empty(),
            f_namemax: 255,
        };
        let disk = Disk::new(Path::new("/net"), None, &answer.into(), LIMITS);
        assert_eq!((disk.total_gb, disk.used_gb, disk.free_gb), (1.0, 0.5, 0.25));
        assert_eq!((disk.usage_percent, disk.inodes_usage_percent), (66.67, Some(40.0)));
    }

    #[test]
    fn a_file_system_without_size_is_empty_and_normal() {
        let usage = Usage::filled(0, 0, 0, 0);
        let disk = Disk::new(Path::new("/proc"), None, &usage, LIMITS);
        assert_eq!((disk.usage_percent, disk.status), (0.0, Status::Normal));
        assert_eq!(disk.inodes_usage_percent, None);
    }

    fn worst_of(usages: &[Usage]) -> Option<String> {
        let disks: Vec<Disk> = usages
            .iter()
            .enumerate()
            .map(|(index, usage)| Disk::new(Path::new(&index.to_string()), None, usage, LIMITS))
            .collect();
        find_worst(&disks, usages).map(|worst| worst.path)
    }

    #[test]
    fn the_worst_is_found_by_status_then_by_the_fuller_of_space_and_inodes() {
        for (usages, expected) in [
            (vec![Usage::filled(70, 100, 5, 100), Usage::filled(10, 100, 95, 100)], Some("1")),
            (vec![Usage::filled(85, 100, 0, 0), Usage::filled(50, 100, 86, 100)], Some("1")),
            (vec![Usage::filled(10, 100, 60, 100), Usage::filled(59, 100, 1, 100)], Some("0")),
            (
                vec![Usage::filled(80_001, 100_000, 0, 0), Usage::filled(80_002, 100_000, 0, 0)],
                Some("1"),
            ),
            (
                vec![
                    Usage::filled(7, 10, 0, 0),
                    Usage::filled(70, 100, 0, 0),
                    Usage::filled(1, 100, 0, 0),
                ],
                Some("0"),
            ),
            (vec![Usage::filled(0, 0, 0, 0), Usage::filled(1, 100, 0, 0)], Some("1")),
            (vec![Usage::filled(1, 100, 0, 0), Usage::filled(0, 0, 0, 0)], Some("0")),
            (vec![], None),
        ] {
            assert_eq!(worst_of(&usages).as_deref(), expected, "{usages:?}");
        }
    }

    #[test]
    fn the_keys_stand_in_the_order_of_the_interface() {
        let usage = Usage::filled(70, 100, 41, 1000);
        let mount = Mount {
            id: 20,
            parent: 1,
            number: "8:1".to_owned(),
            root: "/".into(),
            point: "/".into(),
            fs_type: "ext4".to_owned(),
            device: "/dev/sda1".to_owned(),
        };
        let disks = vec![Disk::new(Path::new("/"), Some(&mount), &usage, LIMITS)];
        let report = DiskReport {
            success: true,
            disk_info: find_worst(&disks, &[usage]),
            disks,
            alerts: Vec::new(),
            errors: vec![not_measured(Path::new("/no"), &io::Error::from(io::ErrorKind::NotFound))],
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"success":true,"disk_info":{"total_gb":0.0,"used_gb":0.0,"free_gb":0.0,"usage_percent":70.0,"status":"normal","path":"/","inodes_usage_percent":4.1},"disks":[{"path":"/","mount":"/","device":"/dev/sda1","fs_type":"ext4","total_gb":0.0,"used_gb":0.0,"free_gb":0.0,"usage_percent":70.0,"inodes_usage_percent":4.1,"status":"normal"}],"alerts":[],"errors":[{"kind":"path_missing","message":"/no does not exist","path":"/no"}]}"#
        );
    }

    #[test]
    fn no_paths_give_an_empty_report() {
        let report = measure(&[], LIMITS, DEADLINE);
        assert!(report.nothing_measured() && report.errors.is_empty());
        assert_eq!(report.disk_info, None);
    }
}
