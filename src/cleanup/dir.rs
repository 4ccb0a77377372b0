//! A folder that is held open: its files are examined and unlinked on the same handle, so that a symbolic link that somebody swaps in
//! between the two cannot lead the removal elsewhere.

use crate::folder::Folder;
use rustix::fs::{
    Access, AtFlags, CWD, DirEntry, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags,
    StatxTimestamp, accessat, openat, statx, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

/// A batch of the usual size names fewer folders.
const WANTED_OPEN_FILES: u64 = 16_384;

/// What statx(2) is asked for.
const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// What statx(2) says of a name in a folder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FileStat {
    pub kind: FileType,
    /// The bytes that its removal sets free: its length, or what a sparse file really takes.
    pub bytes: u64,
    pub links: u32,
    /// Device and inode.
    pub id: (u64, u64),
    /// Microseconds since 1970.
    pub modified: i64,
    /// The latest of its modification, its last change of any kind (ctime) and, where the file system keeps it, its birth; as above.
    pub youngest: i64,
    uid: u32,
    /// `chattr +i` or `+a`.
    is_immutable: bool,
    /// Something is mounted there, be it a folder or file of the same file system.
    pub is_mount_point: bool,
}

impl FileStat {
    fn of(found: &Statx) -> Self {
        let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
        let major = u64::from(found.stx_dev_major);
        let has_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        let born = if has_birth { micros(&found.stx_btime) } else { i64::MIN };
        let modified = micros(&found.stx_mtime);
        Self {
            kind: FileType::from_raw_mode(found.stx_mode.into()),
            bytes: found.stx_size.min(found.stx_blocks.saturating_mul(512)),
            links: found.stx_nlink,
            id: (major << 32 | u64::from(found.stx_dev_minor), found.stx_ino),
            modified,
            youngest: modified.max(micros(&found.stx_ctime)).max(born),
            uid: found.stx_uid,
            is_immutable: found.stx_attributes.intersects(fixed),
            is_mount_point: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        }
    }
}

fn micros(time: &StatxTimestamp) -> i64 {
    time.tv_sec.saturating_mul(1_000_000).saturating_add(i64::from(time.tv_nsec / 1000))
}

/// An open folder.
#[derive(Debug)]
pub struct Dir {
    handle: OwnedFd,
    stat: FileStat,
    is_sticky: bool,
    /// Why nothing can be removed from it.
    obstacle: Option<String>,
}

impl Dir {
    /// The folder that a path has led to.
    pub fn of(folder: &Folder) -> io::Result<Self> {
        Ok(Self::new(folder.reader()?)?)
    }

    /// Opens a folder beneath this one, step by step; a symbolic link on the way, or `..`, is an error.
    pub fn open_beneath(&self, relative: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut opened: Option<OwnedFd> = None;
        for part in relative.components() {
            let name = match part {
                Component::CurDir => continue,
                Component::Normal(name) => name,
                _ => return Err(Errno::XDEV),
            };
            let above = opened.as_ref().unwrap_or(&self.handle).as_fd();
            opened = Some(openat(above, name, flags, Mode::empty())?);
        }
        Self::new(match opened {
            Some(handle) => handle,
            None => openat(&self.handle, ".", flags, Mode::empty())?,
        })
    }

    fn new(handle: OwnedFd) -> Result<Self, Errno> {
        let found = statx(&handle, "", AtFlags::EMPTY_PATH, WANTED)?;
        let stat = FileStat::of(&found);
        let may_write =
            accessat(&handle, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
        let obstacle = match may_write {
            _ if stat.is_immutable => Some("its folder is immutable".to_owned()),
            Ok(()) => None,
            Err(Errno::ROFS) => Some("its file system is read-only".to_owned()),
            Err(error) => Some(format!("its folder may not be written: {error}")),
        };
        Ok(Self {
            handle,
            stat,
            is_sticky: u32::from(found.stx_mode) & Mode::SVTX.as_raw_mode() != 0,
            obstacle,
        })
    }

    pub fn id(&self) -> (u64, u64) {
        self.stat.id
    }

    /// Whether nothing is in it; false where that cannot be seen.
    pub fn is_empty(&self) -> bool {
        self.entries().is_ok_and(|mut entries| entries.next().is_none())
    }

    /// What was found when it was opened.
    pub fn own_stat(&self) -> &FileStat {
        &self.stat
    }

    pub fn entries(&self) -> Result<impl Iterator<Item = Result<DirEntry, Errno>> + use<>, Errno> {
        let is_dot = |entry: &DirEntry| matches!(entry.file_name().to_bytes(), b"." | b"..");
        let entries = rustix::fs::Dir::read_from(&self.handle)?;
        Ok(entries.filter(move |entry| !entry.as_ref().is_ok_and(is_dot)))
    }

    /// The folder that it lies in now.
    pub fn open_above(&self) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::new(openat(&self.handle, "..", flags, Mode::empty())?)
    }

    /// Does not follow a symbolic link; `None`: there is nothing of that name.
    pub fn stat(&self, name: &OsStr) -> Result<Option<FileStat>, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match statx(&self.handle, name, flags, WANTED) {
            Ok(found) => Ok(Some(FileStat::of(&found))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why a file in it cannot be removed, as far as that can be seen without trying.
    pub fn find_obstacle(&self, file: &FileStat) -> Option<String> {
        if let Some(reason) = &self.obstacle {
            return Some(reason.clone());
        }
        if file.is_immutable {
            return Some("it is immutable (lsattr shows i or a)".to_owned());
        }
        if file.is_mount_point {
            return Some("something is mounted on it".to_owned());
        }
        if !self.is_sticky {
            return None;
        }
        let user = rustix::process::geteuid().as_raw();
        let is_owner = user == 0 || user == file.uid || user == self.stat.uid;
        (!is_owner).then(|| "its folder is sticky and the file belongs to another user".to_owned())
    }

    pub fn unlink(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(&self.handle, name, AtFlags::empty())
    }

    /// Removes an empty folder in it.
    pub fn remove_empty(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(&self.handle, name, AtFlags::REMOVEDIR)
    }

    /// Writes what was unlinked to the disk, so that it survives a power cut.
    pub fn sync(&self) -> Result<(), Errno> {
        rustix::fs::fsync(self.handle.as_fd())
    }
}

/// Device and inode of what a path leads to. A server that does not answer is not asked, and nothing is mounted for it.
pub fn id_at(path: &Path) -> Option<(u64, u64)> {
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    let found = statx(CWD, path, flags, WANTED).ok()?;
    Some(FileStat::of(&found).id)
}

/// Raises the soft limit of open files, which cron's jobs mostly find at 1024, and returns what it is then.
pub fn raise_open_files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED_OPEN_FILES, |most| most.min(WANTED_OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    usize::try_from(limit.current.unwrap_or(wanted)).unwrap_or(usize::MAX)
}

/// For messages about what is not a regular file.
pub fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::Socket => "a socket",
        FileType::Fifo => "a fifo",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no regular file",
    }
}
