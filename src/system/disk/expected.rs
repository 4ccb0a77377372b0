//! What a path is expected to be, a mount and writable: by the configuration, by /etc/fstab, and by what it was when it was measured last. A volume that
//! is not mounted would else be measured as the folder that it is mounted on, which has room.

use super::Disk;
use super::mounts::{Mount, unescape};
use super::settings::Volume;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

const FSTAB: &str = "/etc/fstab";

/// What is known without asking the file systems.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub fstab: Vec<Planned>,
    pub seen: Seen,
}

/// A line of /etc/fstab, described in fstab(5), that is mounted when the host starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub point: PathBuf,
    pub is_read_only: bool,
}

/// What paths were when they were measured last, by the path.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen(pub BTreeMap<String, LastSeen>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastSeen {
    pub mount: String,
    /// Whether it could ever be written to.
    pub writable: bool,
}

/// Why a path must be on a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Configured,
    Fstab,
    Before,
}

impl Expected {
    /// Without /etc/fstab, as in most containers, nothing is planned.
    pub fn new(seen: Seen) -> Self {
        let fstab = std::fs::read(FSTAB).unwrap_or_else(|error| {
            if error.kind() != ErrorKind::NotFound {
                log::warn!(
                    "{FSTAB} cannot be read, so nobody knows what should be mounted: {error}"
                );
            }
            Vec::new()
        });
        Self { fstab: parse_fstab(&fstab), seen }
    }

    /// The mount point that is expected at a path or above it, and why.
    pub fn mount_point(&self, volume: &Volume, path: &Path) -> Option<(PathBuf, Reason)> {
        match volume.mount {
            Some(true) => return Some((path.to_owned(), Reason::Configured)),
            Some(false) => return None,
            None => {}
        }
        let planned = self.fstab.iter().map(|planned| &planned.point);
        let planned = planned.filter(|point| path.starts_with(point) && is_no_root(point));
        let planned = planned.max_by_key(|point| point.as_os_str().len());
        let seen = || {
            let seen = self.seen.of(volume)?;
            Some(PathBuf::from(&seen.mount)).filter(|point| is_no_root(point))
        };
        planned
            .map(|point| (point.clone(), Reason::Fstab))
            .or_else(|| seen().map(|point| (point, Reason::Before)))
    }

    /// Whether a path should be writable.
    pub fn is_writable(&self, volume: &Volume, mount: &Mount) -> bool {
        let mut planned = self.fstab.iter();
        let planned = planned.find(|planned| planned.point == mount.point);
        match (volume.read_only, planned) {
            (Some(is_read_only), _) => !is_read_only,
            (None, Some(planned)) => !planned.is_read_only,
            (None, None) => self.seen.of(volume).is_some_and(|seen| seen.writable),
        }
    }
}

fn is_no_root(point: &Path) -> bool {
    point.parent().is_some()
}

impl Seen {
    fn of(&self, volume: &Volume) -> Option<&LastSeen> {
        self.0.get(&*volume.path.to_string_lossy())
    }

    /// The same after another measurement of all volumes.
    pub fn updated(&self, volumes: &[Volume], disks: &[Disk]) -> Self {
        let seen = volumes.iter().filter_map(|volume| {
            let path = volume.path.to_string_lossy().into_owned();
            let before = self.of(volume);
            let measured = disks.iter().find(|disk| disk.path == path);
            let now = measured.and_then(|disk| {
                let was_writable = before.is_some_and(|before| before.writable);
                Some(LastSeen {
                    mount: disk.mount.clone()?,
                    writable: !disk.read_only || was_writable,
                })
            });
            Some((path, now.or(before.cloned())?))
        });
        Self(seen.collect())
    }
}

/// What fstab has mounted at the start: no swap, nothing with `noauto`.
fn parse_fstab(text: &[u8]) -> Vec<Planned> {
    let planned = text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields =
            line.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
        let (device, point) = (fields.next()?, fields.next()?);
        let (_kind, options) = (fields.next(), fields.next().unwrap_or_default());
        let mut options = options.split(|byte| *byte == b',');
        let has = |name: &[u8]| options.clone().any(|option| option == name);
        if device.starts_with(b"#") || !point.starts_with(b"/") || has(b"noauto") {
            return None;
        }
        let point = PathBuf::from(OsString::from_vec(unescape(point)));
        // As the kernel shows it: without a slash at its end.
        let point = point.components().collect();
        let is_read_only = options.any(|option| option == b"ro");
        Some(Planned { point, is_read_only })
    });
    planned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writable(point: &str) -> Planned {
        Planned { point: point.into(), is_read_only: false }
    }

    fn read_only(point: &str) -> Planned {
        Planned { is_read_only: true, ..writable(point) }
    }

    #[test]
    fn fstab_says_what_is_mounted_at_the_start() {
        let text = b"# a comment\nUUID=1 / ext4 errors=remount-ro 0 1\n\tUUID=2\t/data/  xfs\tdefaults,nofail 0 2\n\
            UUID=3 none swap sw 0 0\n/dev/sdb1 /mnt/usb vfat noauto,user 0 0\n//srv/x /mnt/with\\040blank cifs ro,_netdev\nshort\n#/dev/sdc1 /old ext4\n/dev/sdd1 /bare";
        let expected =
            [writable("/"), writable("/data"), read_only("/mnt/with blank"), writable("/bare")];
        assert_eq!(parse_fstab(text), expected);
    }

    #[test]
    fn a_mount_is_expected_by_the_configuration_then_by_fstab_then_by_what_was() {
        let last = LastSeen { mount: "/srv/photos".to_owned(), writable: true };
        let expected = Expected {
            fstab: vec![writable("/"), writable("/data"), read_only("/data/in")],
            seen: Seen([("/srv/photos/a".to_owned(), last)].into()),
        };
        let point = |volume: &Volume| expected.mount_point(volume, &volume.path);
        let at = |path: &str| Volume::at(path);
        for (volume, found) in [
            (at("/"), None),
            (at("/database"), None),
            (at("/data"), Some(("/data", Reason::Fstab))),
            (at("/data/in/deep"), Some(("/data/in", Reason::Fstab))),
            (at("/srv/photos/a"), Some(("/srv/photos", Reason::Before))),
            (at("/srv/photos"), None),
            (Volume { mount: Some(false), ..at("/data") }, None),
            (Volume { mount: Some(true), ..at("/x") }, Some(("/x", Reason::Configured))),
        ] {
            let found = found.map(|(point, reason)| (PathBuf::from(point), reason));
            assert_eq!(point(&volume), found, "{volume:?}");
        }
    }
}
