//! How full file systems are: the figures of `df`, against two thresholds.
//!
//! Each path is asked about in a thread of its own, so that one mount that hangs (a network file system whose server is
//! gone) costs one deadline and not the figures of the others. Which mount a path belongs to is looked up in the kernel's
//! own list, which is text and touches no mount.

use crate::alert::Alert;
use crate::outcome::Issue;
use crate::units;
use rustix::fs::StatVfs;
use serde::Serialize;
use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a file system may take to answer: one that is merely slow (a disk that spins up, a far server) needs a few seconds.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Percent above which, not at which, a file system is worth a warning, and critical.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub warning: f64,
    pub critical: f64,
}

/// How bad it is, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Normal,
    Warning,
    Critical,
}

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

/// A file system's space to the byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    pub total: u64,
    pub used: u64,
    /// What a user without privileges can still write.
    pub available: u64,
}

/// What a file system says of itself, as `statvfs(3)` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of a block (`f_frsize`, in which the next three count).
    pub block_size: u64,
    pub blocks: u64,
    /// Free to root.
    pub free: u64,
    /// Free to everybody: `free` without the blocks reserved for root.
    pub available: u64,
    /// Inodes; 0 where the file system does not count them.
    pub files: u64,
    /// Linux keeps no inodes for root, so free to root and free to everybody are one number.
    pub files_free: u64,
}

impl From<StatVfs> for Usage {
    fn from(answer: StatVfs) -> Self {
        Self {
            block_size: answer.f_frsize,
            blocks: answer.f_blocks,
            free: answer.f_bfree,
            available: answer.f_bavail,
            files: answer.f_files,
            files_free: answer.f_ffree,
        }
    }
}

impl Usage {
    fn space(&self) -> Share {
        Share::of(self.used(), self.available)
    }

    fn inodes(&self) -> Option<Share> {
        let used = self.files.saturating_sub(self.files_free);
        (self.files > 0).then(|| Share::of(used, self.files_free))
    }

    /// Blocks in use. A network server may report more free than there is.
    fn used(&self) -> u64 {
        self.blocks.saturating_sub(self.free)
    }

    fn bytes(&self) -> Bytes {
        let bytes = |blocks: u64| blocks.saturating_mul(self.block_size);
        Bytes {
            total: bytes(self.blocks),
            used: bytes(self.used()),
            available: bytes(self.available),
        }
    }

    /// The fuller of space and inodes.
    fn fullest(&self) -> Share {
        let space = self.space();
        self.inodes().map_or(space, |inodes| space.max(inodes))
    }

    /// Where it stands, by its space and its inodes alike, on the exact shares: 80.001 % is above 80 although it reads 80.0.
    pub fn status(&self, thresholds: Thresholds) -> Status {
        let fullest = self.fullest();
        if fullest.is_above(thresholds.critical) {
            Status::Critical
        } else if fullest.is_above(thresholds.warning) {
            Status::Warning
        } else {
            Status::Normal
        }
    }
}

/// An exact fraction.
#[derive(Debug, Clone, Copy)]
struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    fn of(used: u64, free: u64) -> Self {
        Self { part: used, whole: used.saturating_add(free) }
    }

    fn percent(self) -> f64 {
        units::percent(self.part, self.whole)
    }

    /// Whether it is above a limit in percent, which counts to 9 decimals: the binary number nearest to 92.7 lies beside it.
    /// Nothing of nothing is above no limit.
    fn is_above(self, percent: f64) -> bool {
        const NANO: f64 = 1e9;
        let limit = (percent * NANO).round() as u128;
        let part = u128::from(self.part) * 100 * (NANO as u128);
        part > limit.saturating_mul(self.whole.into())
    }

    fn max(self, other: Self) -> Self {
        if self.compare(other) == Ordering::Less { other } else { self }
    }

    fn compare(self, other: Self) -> Ordering {
        let scaled = |share: Share, by: Share| u128::from(share.part) * u128::from(by.whole.max(1));
        scaled(self, other).cmp(&scaled(other, self))
    }
}

/// Measures the file systems that hold `paths`, all at once, and waits no longer than `deadline` in all.
///
/// A path that cannot be measured becomes an entry of `errors`, and never keeps the others from being measured:
/// `path_missing`, `path_unreadable` (no permission, a loop of links, a dead mount), or `disk_timeout` (no answer within the
/// deadline). `mounts_unreadable` says that the figures are whole but nobody knows which mounts they belong to.
pub fn measure(paths: &[PathBuf], thresholds: Thresholds, deadline: Duration) -> DiskReport {
    let answers = ask_all(paths, deadline, ask);
    let mut errors = Vec::new();
    let mut measured = Vec::new();
    for (path, answer) in paths.iter().zip(answers) {
        match answer {
            Some(Ok(place)) => measured.push((path, place)),
            Some(Err(error)) => errors.push(refusal(path, &error)),
            None => errors.push(timeout(path, deadline)),
        }
    }
    // Read after the file systems were asked: asking may have mounted one (autofs).
    let mounts = if measured.is_empty() {
        Vec::new()
    } else {
        mounts().unwrap_or_else(|error| {
            errors.push(mounts_unreadable(&error));
            Vec::new()
        })
    };
    let usages: Vec<Usage> = measured.iter().map(|(_, place)| place.usage).collect();
    let disks: Vec<Disk> = measured
        .into_iter()
        .map(|(path, place)| {
            let mount = mount_of(&place.real_path, &mounts);
            disk(path, mount, &place.usage, thresholds)
        })
        .collect();
    DiskReport {
        success: true,
        disk_info: worst(&disks, &usages),
        disks,
        alerts: Vec::new(),
        errors,
    }
}

/// What a path turned out to be.
struct Place {
    /// Without links.
    real_path: PathBuf,
    usage: Usage,
}

/// Asks about every path at the same time; `None` for those that did not answer in time.
///
/// A thread that hangs is left behind. It waits inside the kernel, where nothing but the end of the process reaches it. That
/// end it does not hold up as long as the wait can be killed, as those of NFS and FUSE can.
fn ask_all(
    paths: &[PathBuf],
    deadline: Duration,
    ask: fn(&Path) -> io::Result<Place>,
) -> Vec<Option<io::Result<Place>>> {
    let start = Instant::now();
    let mut answers: Vec<Option<io::Result<Place>>> = paths.iter().map(|_| None).collect();
    let (sender, receiver) = mpsc::channel();
    let mut awaited = 0;
    for (index, path) in paths.iter().enumerate() {
        let (path, sender) = (path.clone(), sender.clone());
        let answer = move || {
            // Nobody listens any more once the deadline has passed.
            let _ = sender.send((index, ask(&path)));
        };
        match thread::Builder::new().spawn(answer) {
            Ok(_) => awaited += 1,
            Err(error) => answers[index] = Some(Err(error)),
        }
    }
    while awaited > 0 {
        let left = deadline.saturating_sub(start.elapsed());
        let Ok((index, answer)) = receiver.recv_timeout(left) else {
            break;
        };
        answers[index] = Some(answer);
        awaited -= 1;
    }
    answers
}

/// Either call may hang: the first already looks into the mount.
fn ask(path: &Path) -> io::Result<Place> {
    let real_path = path.canonicalize()?;
    let usage = rustix::fs::statvfs(&real_path)?.into();
    Ok(Place { real_path, usage })
}

fn refusal(path: &Path, error: &io::Error) -> Issue {
    let path = path.to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Issue::new("path_missing", format!("{path} does not exist"))
        }
        _ => Issue::new("path_unreadable", format!("{path} cannot be measured: {error}")),
    }
    .path(path)
}

fn timeout(path: &Path, deadline: Duration) -> Issue {
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

fn disk(path: &Path, mount: Option<&Mount>, usage: &Usage, thresholds: Thresholds) -> Disk {
    let bytes = usage.bytes();
    Disk {
        path: path.to_string_lossy().into_owned(),
        mount: mount.map(|mount| mount.point.to_string_lossy().into_owned()),
        device: mount.map(|mount| mount.device.clone()),
        fs_type: mount.map(|mount| mount.fs_type.clone()),
        total_gb: units::gib(bytes.total),
        used_gb: units::gib(bytes.used),
        free_gb: units::gib(bytes.available),
        usage_percent: usage.space().percent(),
        inodes_usage_percent: usage.inodes().map(Share::percent),
        status: usage.status(thresholds),
        bytes,
    }
}

/// The one that [`Worst`] describes; `disks` and `usages` are in the same order.
fn worst(disks: &[Disk], usages: &[Usage]) -> Option<Worst> {
    let worse = |a: &(&Disk, &Usage), b: &(&Disk, &Usage)| {
        let fuller = || a.1.fullest().compare(b.1.fullest());
        a.0.status.cmp(&b.0.status).then_with(fuller)
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

/// The kernel's list of this process's mounts, described in proc(5).
const MOUNTS: &str = "/proc/self/mountinfo";

/// A line of that list.
#[derive(Debug, Clone, PartialEq)]
struct Mount {
    id: u64,
    /// The mount in which `point` lies.
    parent: u64,
    point: PathBuf,
    fs_type: String,
    device: String,
}

fn mounts() -> io::Result<Vec<Mount>> {
    // The kernel names no length; without room for a whole list it would be read in crumbs, and may change between two.
    let mut list = Vec::with_capacity(64 * 1024);
    File::open(MOUNTS)?.read_to_end(&mut list)?;
    Ok(parse_mounts(&list))
}

/// `procfs` has a parser too, but it leaves `\040` in mount points, and one mount point that is not UTF-8 costs it the list.
fn parse_mounts(list: &[u8]) -> Vec<Mount> {
    list.split(|byte| *byte == b'\n').filter_map(parse_mount).collect()
}

/// `36 35 98:0 /root /mount/point options [optional fields]… - type device options`
fn parse_mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let point = PathBuf::from(OsString::from_vec(unescape(fields.nth(2)?)));
    fields.find(|field| field == b"-")?;
    let mut text =
        || fields.next().map(|field| String::from_utf8_lossy(&unescape(field)).into_owned());
    Some(Mount { id, parent, point, fs_type: text()?, device: text()? })
}

/// The kernel writes blanks, newlines, backslashes and `#` as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if first == b'\\' => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    bytes
}

/// The mount that holds a path without links: the longest mount point above it that can be reached.
///
/// It walks from the root through each mount that lies in the last, as the kernel does. The longest prefix alone would
/// find a mount at `/a/b` that another, mounted on `/a` later, has hidden. Of two on one mount point the later lies in the
/// earlier and so comes after it.
fn mount_of<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Mount> {
    let ids: HashSet<u64> = mounts.iter().map(|mount| mount.id).collect();
    // The topmost one's parent is itself, or outside of what this process may see.
    let is_topmost = |mount: &Mount| mount.parent == mount.id || !ids.contains(&mount.parent);
    let mut found: Option<&Mount> = None;
    // Each step leads one mount deeper, so there are no more steps than mounts, even in a list that changed while it was read.
    for _ in mounts {
        let inside = |mount: &Mount| match found {
            None => is_topmost(mount),
            Some(outer) => mount.parent == outer.id && mount.id != outer.id,
        };
        let nearest = mounts
            .iter()
            .enumerate()
            .filter(|(_, mount)| inside(mount) && path.starts_with(&mount.point))
            .min_by_key(|(index, mount)| {
                (mount.point.as_os_str().as_bytes().len(), Reverse(*index))
            });
        match nearest {
            Some((_, mount)) => found = Some(mount),
            None => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Thresholds = Thresholds { warning: 80.0, critical: 90.0 };

    /// `used` of `whole` blocks, `files` of `all_files` inodes.
    fn filled(used: u64, whole: u64, files: u64, all_files: u64) -> Usage {
        Usage {
            block_size: 4096,
            blocks: whole,
            free: whole - used,
            available: whole - used,
            files: all_files,
            files_free: all_files - files,
        }
    }

    #[test]
    fn a_threshold_is_passed_above_it_and_not_at_it() {
        use Status::{Critical, Normal, Warning};
        for (used, expected) in [
            (0, Normal),
            (79_999, Normal),
            (80_000, Normal),
            (80_001, Warning),
            (89_999, Warning),
            (90_000, Warning),
            (90_001, Critical),
            (100_000, Critical),
        ] {
            let by_space = filled(used, 100_000, 1, 100_000);
            assert_eq!(by_space.status(LIMITS), expected, "space {used}");
            let by_inodes = filled(1, 100_000, used, 100_000);
            assert_eq!(by_inodes.status(LIMITS), expected, "inodes {used}");
            let without_inodes = filled(used, 100_000, 0, 0);
            assert_eq!(without_inodes.status(LIMITS), expected, "space only {used}");
        }
    }

    #[test]
    fn the_worse_of_space_and_inodes_is_the_status() {
        for (space, inodes, expected) in [
            (81, 91, Status::Critical),
            (91, 81, Status::Critical),
            (81, 10, Status::Warning),
            (80, 80, Status::Normal),
        ] {
            let status = filled(space, 100, inodes, 100).status(LIMITS);
            assert_eq!(status, expected, "{space} {inodes}");
        }
    }

    #[test]
    fn a_share_that_reads_80_and_is_more_is_a_warning() {
        let usage = filled(80_001, 100_000, 0, 0);
        let disk = disk(Path::new("/"), None, &usage, LIMITS);
        assert_eq!((disk.usage_percent, disk.status), (80.0, Status::Warning));
    }

    #[test]
    fn thresholds_with_decimals_are_taken_at_their_word() {
        let limits = |warning| Thresholds { warning, critical: 100.0 };
        for (used, warning, expected) in [
            (927, 92.7, Status::Normal),
            (928, 92.7, Status::Warning),
            (551, 55.1, Status::Normal),
            (1, 0.1, Status::Normal),
            (1, 0.0, Status::Warning),
            (0, 0.0, Status::Normal),
            (1000, 100.0, Status::Normal),
        ] {
            let status = filled(used, 1000, 0, 0).status(limits(warning));
            assert_eq!(status, expected, "{used} {warning}");
        }
    }

    #[test]
    fn the_largest_numbers_there_are_overflow_nothing() {
        let usage = Usage {
            block_size: 1 << 20,
            blocks: u64::MAX,
            free: 0,
            available: u64::MAX,
            files: u64::MAX,
            files_free: 1,
        };
        assert_eq!(usage.status(LIMITS), Status::Critical);
        assert_eq!(usage.space().percent(), 100.0);
        assert_eq!(usage.bytes().total, u64::MAX);
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
        let disk = disk(Path::new("/data"), None, &usage, LIMITS);
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
            f_flag: rustix::fs::StatVfsMountFlags::empty(),
            f_namemax: 255,
        };
        let disk = disk(Path::new("/net"), None, &answer.into(), LIMITS);
        assert_eq!((disk.total_gb, disk.used_gb, disk.free_gb), (1.0, 0.5, 0.25));
        assert_eq!((disk.usage_percent, disk.inodes_usage_percent), (66.67, Some(40.0)));
    }

    #[test]
    fn answers_that_trickle_in_do_not_put_the_deadline_off() {
        // The n-th path answers after n times 0.1 s.
        fn slowly(path: &Path) -> io::Result<Place> {
            let tenths = path.as_os_str().len() as u32;
            thread::sleep(Duration::from_millis(100) * tenths);
            Err(io::ErrorKind::NotFound.into())
        }
        let paths: Vec<PathBuf> = (1..=20).map(|tenths| "x".repeat(tenths).into()).collect();
        let answers = ask_all(&paths, Duration::from_secs(1), slowly);
        assert!(answers[0].is_some());
        assert!(answers[19].is_none());
    }

    #[test]
    fn only_root_has_room_left_and_that_is_full() {
        let usage = Usage {
            block_size: 4096,
            blocks: 1000,
            free: 50,
            available: 0,
            files: 0,
            files_free: 0,
        };
        assert_eq!(usage.space().percent(), 100.0);
        assert_eq!(usage.status(LIMITS), Status::Critical);
    }

    #[test]
    fn a_file_system_without_size_is_empty_and_normal() {
        let usage = filled(0, 0, 0, 0);
        let disk = disk(Path::new("/proc"), None, &usage, LIMITS);
        assert_eq!((disk.usage_percent, disk.status), (0.0, Status::Normal));
        assert_eq!(disk.inodes_usage_percent, None);
    }

    #[test]
    fn a_server_that_claims_more_free_than_there_is_has_nothing_used() {
        let usage = Usage {
            block_size: 4096,
            blocks: 10,
            free: 20,
            available: 20,
            files: 10,
            files_free: 20,
        };
        assert_eq!(usage.space().percent(), 0.0);
        assert_eq!(usage.inodes().map(Share::percent), Some(0.0));
    }

    fn worst_of(usages: &[Usage]) -> Option<String> {
        let disks: Vec<Disk> = usages
            .iter()
            .enumerate()
            .map(|(index, usage)| disk(Path::new(&index.to_string()), None, usage, LIMITS))
            .collect();
        worst(&disks, usages).map(|worst| worst.path)
    }

    #[test]
    fn the_worst_is_found_by_status_then_by_the_fuller_of_space_and_inodes() {
        for (usages, expected) in [
            (vec![filled(70, 100, 5, 100), filled(10, 100, 95, 100)], Some("1")),
            (vec![filled(85, 100, 0, 0), filled(50, 100, 86, 100)], Some("1")),
            (vec![filled(10, 100, 60, 100), filled(59, 100, 1, 100)], Some("0")),
            (vec![filled(80_001, 100_000, 0, 0), filled(80_002, 100_000, 0, 0)], Some("1")),
            (vec![filled(7, 10, 0, 0), filled(70, 100, 0, 0), filled(1, 100, 0, 0)], Some("0")),
            (vec![filled(0, 0, 0, 0), filled(1, 100, 0, 0)], Some("1")),
            (vec![filled(1, 100, 0, 0), filled(0, 0, 0, 0)], Some("0")),
            (vec![], None),
        ] {
            assert_eq!(worst_of(&usages).as_deref(), expected, "{usages:?}");
        }
    }

    fn found(path: &str, list: &str) -> Option<(String, String)> {
        let mounts = parse_mounts(list.as_bytes());
        let mount = mount_of(Path::new(path), &mounts)?;
        Some((mount.point.to_str()?.to_owned(), mount.device.clone()))
    }

    const LIST: &str = "\
20 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw
21 20 8:2 / /data rw - xfs /dev/sdb rw
22 20 8:3 / /data2 rw unbindable - xfs /dev/sdc rw
23 21 8:4 / /data/in rw - btrfs /dev/sdd rw
24 20 8:2 /photos /home/photos rw - xfs /dev/sdb rw
25 20 0:9 / /mnt/with\\040blank rw - tmpfs one\\040two rw
26 20 0:9 / /mnt/物流 rw - tmpfs tmpfs rw
";

    #[test]
    fn a_path_belongs_to_the_longest_mount_point_above_it() {
        for (path, mount, device) in [
            ("/", "/", "/dev/sda1"),
            ("/home", "/", "/dev/sda1"),
            ("/data", "/data", "/dev/sdb"),
            ("/data/other/in", "/data", "/dev/sdb"),
            ("/data/in", "/data/in", "/dev/sdd"),
            ("/data/in/a/b", "/data/in", "/dev/sdd"),
            ("/data/inner", "/data", "/dev/sdb"),
            ("/data2/a", "/data2", "/dev/sdc"),
            ("/data22", "/", "/dev/sda1"),
            ("/dat", "/", "/dev/sda1"),
            ("/home/photos/1.jpg", "/home/photos", "/dev/sdb"),
            ("/mnt/with blank/x", "/mnt/with blank", "one two"),
            ("/mnt/物流/单", "/mnt/物流", "tmpfs"),
            ("/mnt/物", "/", "/dev/sda1"),
        ] {
            let expected = Some((mount.to_owned(), device.to_owned()));
            assert_eq!(found(path, LIST), expected, "{path}");
        }
    }

    #[test]
    fn the_later_of_two_mounts_on_one_point_wins() {
        let list = format!("{LIST}30 21 0:40 / /data rw - tmpfs over rw\n");
        assert_eq!(found("/data/x", &list).unwrap().1, "over");
        // What was mounted in the hidden one is hidden with it.
        assert_eq!(found("/data/in/x", &list).unwrap().1, "over");
        let list = format!("{list}31 30 0:41 / /data/in rw - tmpfs inner rw\n");
        assert_eq!(found("/data/in/x", &list).unwrap().1, "inner");
        let siblings = "20 1 8:1 / / rw - ext4 a rw\n21 20 8:1 / /x rw - ext4 b rw\n22 20 8:1 / /x rw - ext4 c rw\n";
        assert_eq!(found("/x/y", siblings).unwrap().1, "c");
    }

    #[test]
    fn a_mount_on_a_folder_above_hides_the_deeper_one() {
        let list = "20 1 8:1 / / rw - ext4 root rw\n21 20 8:1 / /a/b rw - ext4 deep rw\n22 20 8:1 / /a rw - ext4 above rw\n";
        assert_eq!(found("/a/b/c", list).unwrap().1, "above");
    }

    #[test]
    fn a_root_that_is_its_own_parent_ends_the_walk() {
        let list = "1 1 0:2 / / rw - rootfs rootfs rw\n2 1 8:1 / /x rw - ext4 x rw\n";
        assert_eq!(found("/", list).unwrap().1, "rootfs");
        assert_eq!(found("/x", list).unwrap().1, "x");
        let circle = "1 2 0:2 / / rw - ext4 a rw\n2 1 0:2 / / rw - ext4 b rw\n";
        assert_eq!(found("/", circle), None);
    }

    #[test]
    fn below_a_chroot_the_root_has_no_mount_and_the_others_do() {
        let list = "40 7 0:5 / /proc rw - proc proc rw\n41 7 0:6 / /tmp rw - tmpfs t rw\n42 41 0:6 / /tmp/a rw - tmpfs u rw\n";
        assert_eq!(found("/etc", list), None);
        assert_eq!(found("/tmp/a/x", list).unwrap().1, "u");
    }

    #[test]
    fn names_come_back_as_they_were_given() {
        for (escaped, plain) in [
            (&b"/a\\040b"[..], &b"/a b"[..]),
            (b"/tab\\011line\\012back\\134hash\\043", b"/tab\tline\nback\\hash#"),
            (b"/back\\134040", b"/back\\040"),
            (b"/\\04", b"/\\04"),
            (b"/\\999", b"/\\999"),
            (b"/\\777", b"/\\777"),
            (b"/raw\xff", b"/raw\xff"),
            (b"/end\\", b"/end\\"),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
    }

    #[test]
    fn a_mount_point_that_is_not_utf_8_costs_no_other_mount() {
        let list = b"20 1 8:1 / / rw - ext4 root rw\n21 20 0:3 / /\xff rw - tmpfs t rw\n22 20 0:3 / /x rw - tmpfs x rw\n";
        let mounts = parse_mounts(list);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mount_of(Path::new("/x"), &mounts).unwrap().device, "x");
    }

    #[test]
    fn a_line_that_the_kernel_never_writes_is_passed_over() {
        let list = b"\nx y z\n20 1 8:1 / /\n20 1 8:1 / / rw - ext4 root rw\n21 20 8:1 / /x rw - ext4\n22 20 8:1 / /y rw -  \n";
        let mounts = parse_mounts(list);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[1].device, "");
    }

    #[test]
    fn the_keys_stand_in_the_order_of_the_interface() {
        let usage = filled(70, 100, 41, 1000);
        let mount = &parse_mounts(LIST.as_bytes())[0];
        let disks = vec![disk(Path::new("/"), Some(mount), &usage, LIMITS)];
        let report = DiskReport {
            success: true,
            disk_info: worst(&disks, &[usage]),
            disks,
            alerts: Vec::new(),
            errors: vec![refusal(Path::new("/no"), &io::Error::from(io::ErrorKind::NotFound))],
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
