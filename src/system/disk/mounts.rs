//! The kernel's list of mounts, which is text and touches none of them.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The kernel's list of this process's mounts, described in proc(5).
pub const MOUNTS: &str = "/proc/self/mountinfo";

/// A line of that list.
#[derive(Debug, Clone, PartialEq)]
pub struct Mount {
    pub id: u64,
    /// The mount in which `point` lies.
    pub parent: u64,
    /// The number of the file system, `8:1`.
    pub number: String,
    /// What of the file system is mounted: `/`, or the folder or file of a bind mount.
    pub root: PathBuf,
    pub point: PathBuf,
    pub fs_type: String,
    pub device: String,
}

pub fn read() -> io::Result<Vec<Mount>> {
    // The kernel names no length; without room for a whole list it would be read in crumbs, and may change between two.
    let mut list = Vec::with_capacity(64 * 1024);
    File::open(MOUNTS)?.read_to_end(&mut list)?;
    Ok(parse_mounts(&list))
}

pub fn parse_mounts(list: &[u8]) -> Vec<Mount> {
    list.split(|byte| *byte == b'\n').filter_map(parse_mount).collect()
}

/// `36 35 98:0 /root /mount/point options [optional fields]… - type device options`
fn parse_mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let text = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescape(field)));
    let (number, root, point) = (text(fields.next()?), path(fields.next()?), path(fields.next()?));
    fields.find(|field| field == b"-")?;
    let (fs_type, device) = (text(fields.next()?), text(fields.next()?));
    Some(Mount { id, parent, number, root, point, fs_type, device })
}

impl Mount {
    /// What a path beneath its mount point leads to; `None`: it lies elsewhere.
    pub fn place_of(&self, path: &Path) -> Option<Place> {
        let within = path.strip_prefix(&self.point).ok()?;
        Some(Place { number: self.number.clone(), path: self.source().join(within) })
    }

    /// The path by which a place is reached through it; `None`: it does not show that place.
    pub fn path_to(&self, place: &Place) -> Option<PathBuf> {
        let within = place.path.strip_prefix(self.source()).ok()?;
        place.is_on(self).then(|| self.point.join(within).components().collect())
    }

    /// Of a network folder the kernel has the whole as its root, and the server's folder (`server:/folder`, `//server/folder`) as the device.
    fn source(&self) -> PathBuf {
        let below = self.root.strip_prefix("/").unwrap_or(&self.root);
        if self.device.contains(":/") || self.device.starts_with("//") {
            Path::new(&self.device).join(below)
        } else {
            self.root.clone()
        }
    }
}

/// A folder or file of a file system, wherever it is mounted.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    number: String,
    path: PathBuf,
}

impl Place {
    pub fn is_on(&self, mount: &Mount) -> bool {
        self.number == mount.number
    }

    /// The way from another place to it; `None`: it does not lie within.
    pub fn beneath(&self, other: &Place) -> Option<&Path> {
        let is_on_the_same = self.number == other.number;
        self.path.strip_prefix(&other.path).ok().filter(|_| is_on_the_same)
    }

    pub fn is_within(&self, other: &Place) -> bool {
        self.beneath(other).is_some()
    }

    /// How many folders it lies in.
    pub fn depth(&self) -> usize {
        self.path.components().count()
    }
}

/// The kernel writes blanks, newlines, backslashes and `#` as three octal digits.
pub fn unescape(field: &[u8]) -> Vec<u8> {
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
pub fn find_mount<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Mount> {
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

    fn found(path: &str, list: &str) -> Option<(String, String)> {
        let mounts = parse_mounts(list.as_bytes());
        let mount = find_mount(Path::new(path), &mounts)?;
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
        assert_eq!(find_mount(Path::new("/x"), &mounts).unwrap().device, "x");
    }

    #[test]
    fn a_line_that_the_kernel_never_writes_is_skipped() {
        let list = b"\nx y z\n20 1 8:1 / /\n20 1 8:1 / / rw - ext4 root rw\n21 20 8:1 / /x rw - ext4\n22 20 8:1 / /y rw -  \n";
        let mounts = parse_mounts(list);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[1].device, "");
    }
}
