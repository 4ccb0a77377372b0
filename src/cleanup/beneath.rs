//! Files beneath a folder that is held open: looked at and unlinked on the same folder handle, so that a symbolic link which is
//! swapped in meanwhile leads nowhere.

use rustix::fs::{
    Access, AtFlags, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags, accessat, openat,
    statx, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

/// A batch of the usual size names fewer folders.
const ENOUGH_FILES: u64 = 16_384;

/// What lies in a folder under a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub kind: FileType,
    /// Bytes.
    pub len: u64,
    pub links: u32,
    /// Device and inode.
    pub id: (u64, u64),
    /// Microseconds since 1970.
    pub modified: i64,
    uid: u32,
    is_immutable: bool,
}

impl Look {
    fn of(found: &Statx) -> Self {
        let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
        let major = u64::from(found.stx_dev_major);
        Self {
            kind: FileType::from_raw_mode(found.stx_mode.into()),
            len: found.stx_size,
            links: found.stx_nlink,
            id: (major << 32 | u64::from(found.stx_dev_minor), found.stx_ino),
            modified: found
                .stx_mtime
                .tv_sec
                .saturating_mul(1_000_000)
                .saturating_add(i64::from(found.stx_mtime.tv_nsec / 1000)),
            uid: found.stx_uid,
            is_immutable: found.stx_attributes.intersects(fixed),
        }
    }
}

/// A folder that is open.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
    look: Look,
    is_sticky: bool,
    /// Why nothing can be removed from it.
    closed: Option<String>,
}

impl Folder {
    /// Opens the folder at a path, following symbolic links.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::new(rustix::fs::open(path, flags, Mode::empty())?)
    }

    /// Opens a folder beneath this one, step by step; a symbolic link on the way, or `..`, is an error.
    pub fn beneath(&self, relative: &Path) -> Result<Self, Errno> {
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
        let found = statx(&handle, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        let look = Look::of(&found);
        let may = accessat(&handle, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
        let closed = match may {
            _ if look.is_immutable => Some("its folder is immutable".to_owned()),
            Ok(()) => None,
            Err(Errno::ROFS) => Some("its file system is read-only".to_owned()),
            Err(error) => Some(format!("its folder may not be written: {error}")),
        };
        Ok(Self {
            handle,
            look,
            is_sticky: u32::from(found.stx_mode) & Mode::SVTX.as_raw_mode() != 0,
            closed,
        })
    }

    pub fn id(&self) -> (u64, u64) {
        self.look.id
    }

    /// What the name stands for, a symbolic link not followed; `None`: nothing.
    pub fn look(&self, name: &OsStr) -> Result<Option<Look>, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match statx(&self.handle, name, flags, StatxFlags::BASIC_STATS) {
            Ok(found) => Ok(Some(Look::of(&found))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why a file in it cannot be removed, as far as that can be seen without trying.
    pub fn hindrance(&self, look: &Look) -> Option<String> {
        if let Some(reason) = &self.closed {
            return Some(reason.clone());
        }
        if look.is_immutable {
            return Some("it is immutable (lsattr shows i or a)".to_owned());
        }
        if !self.is_sticky {
            return None;
        }
        let own = rustix::process::geteuid().as_raw();
        let is_owner = own == 0 || own == look.uid || own == self.look.uid;
        (!is_owner).then(|| "its folder is sticky and the file belongs to another user".to_owned())
    }

    pub fn unlink(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(&self.handle, name, AtFlags::empty())
    }

    /// Removes an empty folder in it.
    pub fn remove_folder(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(&self.handle, name, AtFlags::REMOVEDIR)
    }

    /// Makes what was unlinked outlast a power cut, before the rows are committed that named it.
    pub fn sync(&self) -> Result<(), Errno> {
        rustix::fs::fsync(self.handle.as_fd())
    }
}

/// Lets this process open as many files as it may, and says how many that are: cron's jobs begin with 1024 as a rule.
pub fn raise_open_files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH_FILES, |most| most.min(ENOUGH_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    usize::try_from(limit.current.unwrap_or(wanted)).unwrap_or(usize::MAX)
}

/// What a file is called that is not a regular one.
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
