//! How full file systems are: the figures of `df`, against two thresholds.

mod expected;
pub mod mounts;
pub mod probe;
mod settings;
mod usage;

pub use expected::{Expected, Seen};
pub use settings::{Settings, Volume};
pub use usage::{Bytes, Status};

use crate::alert::Alert;
use crate::outcome::Issue;
use crate::units::{self, GIB};
use expected::Reason;
use mounts::{MOUNTS, Mount};
use probe::{Outcome, Probed};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use usage::{Inodes, Limits, Usage};

/// How long a file system may take to answer: one that is merely slow (a disk that spins up, a far server) needs a few seconds.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The kind of the error that something else is where a volume should be mounted.
pub const NOT_MOUNTED: &str = "disk_not_mounted";

/// The kinds of errors that say that a path is not among `disks`.
pub const NOT_MEASURED: [&str; 5] =
    ["path_missing", "path_unreadable", "disk_timeout", "disk_implausible", NOT_MOUNTED];

const MOUNTS_UNREADABLE: &str = "mounts_unreadable";

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

    /// The errors about paths that could not be measured.
    pub fn unmeasured(&self) -> impl Iterator<Item = &Issue> {
        self.errors.iter().filter(|issue| NOT_MEASURED.contains(&issue.kind))
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
    /// What people call it, if the configuration says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where the file system that holds the path is mounted; links in the path are followed first. `None`, as the two after it,
    /// where the kernel's list does not have it (below a `chroot`).
    pub mount: Option<String>,
    pub device: Option<String>,
    pub fs_type: Option<String>,
    pub total_gb: f64,
    pub used_gb: f64,
    /// What a user without privileges can still write; negative where root has used some of what is reserved for it.
    pub free_gb: f64,
    /// What `df` shows before it rounds up: used / (used + free).
    pub usage_percent: f64,
    /// `None` where inodes do not count: the file system counts none (btrfs, vfat), is read-only, or another program makes the numbers up (FUSE).
    pub inodes_usage_percent: Option<f64>,
    pub read_only: bool,
    /// It is read-only, and should not be.
    pub should_be_writable: bool,
    /// The thresholds that hold for it, in percent, and in GiB.
    pub warning_percent: f64,
    pub critical_percent: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_free_gb: Option<f64>,
    pub status: Status,
    /// The figures in GB before they were rounded.
    #[serde(skip)]
    pub bytes: Bytes,
}

/// File systems that nothing can ever be written to: they are always full.
const NEVER_WRITABLE: [&str; 5] = ["cramfs", "erofs", "iso9660", "romfs", "squashfs"];

/// How the file systems are asked.
#[derive(Debug, Clone)]
pub struct Prober {
    /// What is run as the child that asks: this program.
    pub program: PathBuf,
    /// How long all of them may take.
    pub deadline: Duration,
}

impl Default for Prober {
    fn default() -> Self {
        // Also leads to a program whose file has been replaced or removed.
        Self { program: "/proc/self/exe".into(), deadline: DEADLINE }
    }
}

/// Measures the file systems that hold the paths, all at once, and waits no longer than the deadline in all.
///
/// A path that cannot be measured becomes an entry of `errors`, and never keeps the others from being measured:
/// `path_missing`, `path_unreadable` (no permission, a loop of links, a dead mount), `disk_timeout` (no answer within the
/// deadline), `disk_implausible` (an answer that cannot be) or `disk_not_mounted`. `mounts_unreadable` says that the figures are whole but nobody
/// knows which mounts they belong to.
pub fn measure(settings: &Settings, expected: &Expected, prober: &Prober) -> DiskReport {
    let paths: Vec<&Path> = settings.all_paths().collect();
    let outcomes = probe::probe_all(&paths, &prober.program, prober.deadline);
    let mut errors = Vec::new();
    // Read after the file systems were asked: asking may have mounted one (autofs).
    let mounts = mounts::read().unwrap_or_else(|error| {
        errors.push(mounts_unreadable(&error));
        Vec::new()
    });
    let surroundings = Surroundings { settings, expected, mounts: &mounts };
    let mut measured = Vec::new();
    for (volume, outcome) in settings.paths.iter().zip(outcomes) {
        match surroundings.judge(volume, outcome, prober.deadline) {
            Ok(disk) => measured.push(disk),
            Err(issue) => errors.push(*issue),
        }
    }
    let (disks, usages): (Vec<Disk>, Vec<Usage>) = measured.into_iter().unzip();
    if disks.is_empty() {
        errors.retain(|issue| issue.kind != MOUNTS_UNREADABLE);
    }
    DiskReport {
        success: true,
        disk_info: find_worst(&disks, &usages),
        disks,
        alerts: Vec::new(),
        errors,
    }
}

/// What the answers are held against.
struct Surroundings<'a> {
    settings: &'a Settings,
    expected: &'a Expected,
    mounts: &'a [Mount],
}

impl Surroundings<'_> {
    fn judge(
        &self,
        volume: &Volume,
        outcome: Outcome,
        deadline: Duration,
    ) -> Result<(Disk, Usage), Box<Issue>> {
        let path = &volume.path;
        let probed = match outcome {
            Outcome::Answered(probed) => probed,
            Outcome::Failed(error) => {
                // A folder of a volume that is not mounted is missing, too.
                self.require_mount(volume, path)?;
                return Err(not_measured(path, &error).into());
            }
            Outcome::Late => return Err(timed_out(path, deadline).into()),
            Outcome::StillHangs { process } => return Err(still_hangs(path, process).into()),
        };
        self.require_mount(volume, &probed.real_path)?;
        let mount = mounts::find_mount(&probed.real_path, self.mounts);
        let usage = Usage::read(&probed.answer, counted_inodes(volume, mount, &probed))
            .map_err(|why| implausible(path, &why))?;
        Ok((self.disk(volume, mount, &probed, &usage), usage))
    }

    /// # Errors
    /// Another file system is where the volume should be.
    fn require_mount(&self, volume: &Volume, path: &Path) -> Result<(), Box<Issue>> {
        let Some((point, reason)) = self.expected.mount_point(volume, path) else {
            return Ok(());
        };
        match mounts::find_mount(path, self.mounts) {
            // Without the list nobody knows.
            None => Ok(()),
            Some(mount) if mount.point.starts_with(&point) => Ok(()),
            // A link leads elsewhere now: that is no folder beneath the mount point.
            Some(mount) if !point.starts_with(&mount.point) => Ok(()),
            Some(mount) => Err(not_mounted(&volume.path, &point, reason, mount).into()),
        }
    }

    fn disk(&self, volume: &Volume, mount: Option<&Mount>, probed: &Probed, usage: &Usage) -> Disk {
        let thresholds = self.settings.thresholds_of(volume);
        let read_only = probed.answer.is_read_only;
        let is_always_full = read_only
            && mount.is_some_and(|mount| NEVER_WRITABLE.contains(&mount.fs_type.as_str()));
        let min_free = volume.min_free_gb.map(|gib| (gib * GIB as f64) as i64);
        let status = usage.status(&Limits { thresholds, min_free });
        let bytes = usage.bytes();
        let expects_writable = mount.is_some_and(|mount| self.expected.is_writable(volume, mount));
        Disk {
            path: volume.path.to_string_lossy().into_owned(),
            label: volume.label.clone(),
            mount: mount.map(|mount| mount.point.to_string_lossy().into_owned()),
            device: mount.map(|mount| mount.device.clone()),
            fs_type: mount.map(|mount| mount.fs_type.clone()),
            total_gb: units::gib(bytes.total),
            used_gb: units::gib(bytes.used),
            free_gb: units::signed_gib(bytes.available),
            usage_percent: usage.space_percent(),
            inodes_usage_percent: usage.inodes_percent(),
            read_only,
            should_be_writable: read_only && expects_writable,
            warning_percent: thresholds.warning,
            critical_percent: thresholds.critical,
            min_free_gb: volume.min_free_gb,
            status: if is_always_full { Status::Normal } else { status },
            bytes,
        }
    }
}

/// Where nothing can be written, and where another program answers, the numbers of inodes are made up, often so that none is free.
fn counted_inodes(volume: &Volume, mount: Option<&Mount>, probed: &Probed) -> Inodes {
    let is_fuse = mount.is_some_and(|mount| mount.fs_type.starts_with("fuse"));
    match volume.inodes {
        Some(true) => Inodes::Counted,
        None if !is_fuse && !probed.answer.is_read_only => Inodes::Counted,
        Some(false) | None => Inodes::Ignored,
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

fn still_hangs(path: &Path, process: u32) -> Issue {
    let path = path.to_string_lossy();
    let message = format!(
        "{path} still does not answer: process {process} of an earlier run has been waiting for its file system ever since"
    );
    Issue::new("disk_timeout", message).path(path)
}

fn implausible(path: &Path, why: &str) -> Issue {
    let path = path.to_string_lossy();
    let message = format!("{path} cannot be measured: what its file system says cannot be: {why}");
    Issue::new("disk_implausible", message).path(path)
}

fn not_mounted(path: &Path, point: &Path, reason: Reason, mount: &Mount) -> Issue {
    let what = if point == path { "it".to_owned() } else { point.display().to_string() };
    let path = path.to_string_lossy();
    let reason = match reason {
        Reason::Configured => "by the configuration",
        Reason::Fstab => "by /etc/fstab",
        Reason::Before => {
            "as it was before (if it is not to be any more, say mount = false under [[disk.paths]])"
        }
    };
    let message = format!(
        "{path} is not mounted: {what} should be a mount point {reason}, and is a folder of {} now",
        mount.point.display()
    );
    Issue::new(NOT_MOUNTED, message).path(path)
}

fn mounts_unreadable(error: &io::Error) -> Issue {
    let message = format!("{MOUNTS} cannot be read, so mounts and devices are unknown: {error}");
    Issue::new(MOUNTS_UNREADABLE, message).path(MOUNTS)
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
    use usage::Answer;

    fn settings(paths: Vec<Volume>) -> Settings {
        Settings { paths, warning_percent: 80.0, critical_percent: 90.0 }
    }

    /// A path whose file system answers so; the list of mounts is what the kernel would show.
    fn judged(
        volume: Volume,
        answer: Answer,
        list: &str,
        expected: &Expected,
    ) -> Result<Disk, Box<Issue>> {
        let mounts = mounts::parse_mounts(list.as_bytes());
        let settings = settings(vec![volume]);
        let surroundings = Surroundings { settings: &settings, expected, mounts: &mounts };
        let volume = &settings.paths[0];
        let probed = Probed { real_path: volume.path.clone(), answer };
        surroundings.judge(volume, Outcome::Answered(probed), DEADLINE).map(|(disk, _)| disk)
    }

    fn disk(path: &str, answer: Answer) -> Disk {
        judged(Volume::at(path), answer, "", &Expected::default()).unwrap()
    }

    #[test]
    fn a_share_that_reads_80_and_is_more_is_a_warning() {
        let disk = disk("/", Answer::filled(80_001, 100_000, 0, 0));
        assert_eq!((disk.usage_percent, disk.status), (80.0, Status::Warning));
    }

    #[test]
    fn blocks_kept_for_root_are_neither_used_nor_free() {
        // ext4 of 1000 blocks of 1 GiB / 4, 5 % kept for root: df says 600 used, 350 available and, rounding up, 64 %.
        let answer = Answer {
            block_size: GIB / 4,
            free: 400,
            available: 350,
            ..Answer::filled(600, 1000, 164, 4000)
        };
        let disk = disk("/data", answer);
        assert_eq!(disk.total_gb, 250.0);
        assert_eq!(disk.used_gb, 150.0);
        assert_eq!(disk.free_gb, 87.5);
        assert_eq!(disk.usage_percent, 63.16);
        assert_eq!(disk.inodes_usage_percent, Some(4.1));
    }

    #[test]
    fn blocks_are_counted_in_fragments_and_not_in_units_of_transfer() {
        // A network file system: blocks of 1 MiB for reading and writing, sizes in units of 4 KiB.
        let answer = |f_bsize, f_frsize| StatVfs {
            f_bsize,
            f_frsize,
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
        let net = disk("/net", answer(1 << 20, 4096).into());
        assert_eq!((net.total_gb, net.used_gb, net.free_gb), (1.0, 0.5, 0.25));
        assert_eq!((net.usage_percent, net.inodes_usage_percent), (66.67, Some(40.0)));
        // A file system without fragments counts in blocks.
        assert_eq!(disk("/net", answer(4096, 0).into()), net);
    }

    #[test]
    fn a_file_system_without_size_is_empty_and_normal() {
        let disk = disk("/proc", Answer::filled(0, 0, 0, 0));
        assert_eq!((disk.usage_percent, disk.status), (0.0, Status::Normal));
        assert_eq!(disk.inodes_usage_percent, None);
    }

    #[test]
    fn an_answer_that_cannot_be_is_an_error_and_never_normal() {
        let answer = Answer { available: 1 << 50, ..Answer::filled(10, 100, 0, 0) };
        let issue = judged(Volume::at("/data"), answer, "", &Expected::default()).unwrap_err();
        assert_eq!((issue.kind, issue.path.as_deref()), ("disk_implausible", Some("/data")));
        assert!(issue.message.contains("of its 90 free blocks 1125899906842624"), "{issue:?}");
    }

    #[test]
    fn inodes_count_where_they_mean_something() {
        let list = |kind: &str| format!("20 1 8:1 / /data rw - {kind} device rw");
        let full = Answer::filled(10, 100, 100, 100);
        let read_only = Answer { is_read_only: true, ..full };
        let volume = |inodes| Volume { inodes, ..Volume::at("/data") };
        let [none, all] = [(None, Status::Normal), (Some(100.0), Status::Critical)];
        for (kind, inodes, answer, expected) in [
            ("ext4", None, full, all),
            ("ext4", Some(false), full, none),
            ("ext4", None, read_only, none),
            ("ext4", Some(true), read_only, all),
            ("fuse.s3fs", None, full, none),
            ("fuseblk", None, full, none),
            ("fuse.mergerfs", Some(true), full, all),
        ] {
            let disk = judged(volume(inodes), answer, &list(kind), &Expected::default()).unwrap();
            assert_eq!((disk.inodes_usage_percent, disk.status), expected, "{kind} {inodes:?}");
        }
    }

    #[test]
    fn what_nothing_can_be_written_to_is_full_and_normal() {
        let full = Answer { is_read_only: true, ..Answer::filled(100, 100, 7, 7) };
        for (kind, status) in [("squashfs", Status::Normal), ("ext4", Status::Critical)] {
            let list = format!("20 1 7:0 / /snap ro - {kind} device ro");
            let disk = judged(Volume::at("/snap"), full, &list, &Expected::default()).unwrap();
            assert_eq!((disk.usage_percent, disk.status), (100.0, status));
        }
    }

    #[test]
    fn a_path_has_thresholds_of_its_own() {
        let volume = Volume {
            label: Some("photos".to_owned()),
            warning_percent: Some(95.0),
            critical_percent: Some(99.0),
            min_free_gb: Some(1.5),
            ..Volume::at("/data")
        };
        let answer = |used| Answer { block_size: GIB / 8, ..Answer::filled(used, 1000, 0, 0) };
        let none = Expected::default();
        let judged = |used| judged(volume.clone(), answer(used), "", &none).unwrap();
        for (used, status) in [
            (950, Status::Normal),
            (951, Status::Warning),
            (988, Status::Warning),
            (989, Status::Critical),
        ] {
            assert_eq!(judged(used).status, status, "{used}");
        }
        let disk = judged(1);
        assert_eq!((disk.warning_percent, disk.critical_percent), (95.0, 99.0));
        assert_eq!((disk.min_free_gb, disk.label.as_deref()), (Some(1.5), Some("photos")));
    }

    #[test]
    fn another_file_system_in_the_place_of_a_volume_is_none_of_its_figures() {
        let root = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        let mounted = format!("{root}21 20 8:2 / /data rw - xfs /dev/sdb rw\n");
        let answer = Answer::filled(10, 100, 0, 0);
        let must = |mount| Volume { mount, ..Volume::at("/data") };
        let none = Expected::default();
        let disk = judged(must(Some(true)), answer, &mounted, &none).unwrap();
        assert_eq!(disk.mount.as_deref(), Some("/data"));
        let issue = judged(must(Some(true)), answer, root, &none).unwrap_err();
        assert_eq!((issue.kind, issue.path.as_deref()), (NOT_MOUNTED, Some("/data")));
        assert_eq!(
            issue.message,
            "/data is not mounted: it should be a mount point by the configuration, and is a folder of / now"
        );
        // It was one when it was measured last.
        let seen = Seen::default().updated(&[must(None)], &[disk]);
        let before = Expected { seen, ..none };
        let issue = judged(must(None), answer, root, &before).unwrap_err();
        assert!(issue.message.contains("as it was before"), "{issue:?}");
        assert!(judged(must(Some(false)), answer, root, &before).is_ok());
        // A link may lead to another volume one day.
        let moved = format!("{mounted}22 20 8:3 / /other rw - xfs /dev/sdc rw\n");
        let probed = Probed { real_path: "/other".into(), answer };
        let mounts = mounts::parse_mounts(moved.as_bytes());
        let settings = settings(vec![must(None)]);
        let surroundings = Surroundings { settings: &settings, expected: &before, mounts: &mounts };
        let outcome = Outcome::Answered(probed);
        assert!(surroundings.judge(&settings.paths[0], outcome, DEADLINE).is_ok());
        // What cannot be measured is remembered as it was.
        assert_eq!(before.seen.updated(&[must(None)], &[]), before.seen);
    }

    #[test]
    fn what_could_be_written_to_and_cannot_any_more_is_said() {
        let list = "21 20 8:2 / /data rw - xfs /dev/sdb rw\n";
        let writable = Answer::filled(10, 100, 0, 0);
        let read_only = Answer { is_read_only: true, ..writable };
        let volume = Volume::at("/data");
        let measured = |volume: &Volume, answer, expected: &Expected| {
            judged(volume.clone(), answer, list, expected).unwrap()
        };
        let disk = measured(&volume, writable, &Expected::default());
        let seen = Seen::default().updated(std::slice::from_ref(&volume), &[disk]);
        let before = Expected { seen, ..Expected::default() };
        let disk = measured(&volume, read_only, &before);
        assert!(disk.read_only && disk.should_be_writable);
        // That it once could be is not forgotten.
        assert_eq!(before.seen.updated(std::slice::from_ref(&volume), &[disk]), before.seen);
        assert!(!measured(&volume, read_only, &Expected::default()).should_be_writable);
        let meant = Volume { read_only: Some(true), ..volume };
        assert!(!measured(&meant, read_only, &before).should_be_writable);
    }

    fn worst_of(usages: &[Usage]) -> Option<String> {
        let disks: Vec<Disk> = usages
            .iter()
            .enumerate()
            .map(|(index, usage)| {
                let limits =
                    Limits { thresholds: settings(Vec::new()).thresholds(), min_free: None };
                let answer = Answer::filled(0, 0, 0, 0);
                Disk { status: usage.status(&limits), ..disk(&index.to_string(), answer) }
            })
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
        let list = "20 1 8:1 / / rw - ext4 /dev/sda1 rw";
        let (answer, usage) = (Answer::filled(70, 100, 41, 1000), Usage::filled(70, 100, 41, 1000));
        let disks = vec![judged(Volume::at("/"), answer, list, &Expected::default()).unwrap()];
        let report = DiskReport {
            success: true,
            disk_info: find_worst(&disks, &[usage]),
            disks,
            alerts: Vec::new(),
            errors: vec![not_measured(Path::new("/no"), &io::Error::from(io::ErrorKind::NotFound))],
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"success":true,"disk_info":{"total_gb":0.0,"used_gb":0.0,"free_gb":0.0,"usage_percent":70.0,"status":"normal","path":"/","inodes_usage_percent":4.1},"disks":[{"path":"/","mount":"/","device":"/dev/sda1","fs_type":"ext4","total_gb":0.0,"used_gb":0.0,"free_gb":0.0,"usage_percent":70.0,"inodes_usage_percent":4.1,"read_only":false,"should_be_writable":false,"warning_percent":80.0,"critical_percent":90.0,"status":"normal"}],"alerts":[],"errors":[{"kind":"path_missing","message":"/no does not exist","path":"/no"}]}"#
        );
    }

    #[test]
    fn no_paths_give_an_empty_report() {
        let report = measure(&settings(Vec::new()), &Expected::default(), &Prober::default());
        assert!(report.nothing_measured() && report.errors.is_empty());
        assert_eq!(report.disk_info, None);
    }
}
