//! Folders and files that are opened step by step, from the root on, so that no other user decides where a path leads.
//!
//! The kernel follows every symbolic link. Where root cleans the uploads of an application, whoever owns `uploads` may put a link to `/usr/bin`
//! in the place of `uploads/temp`. Here each name is opened on the handle of the folder above it, and a link is followed only if root or this user
//! made it, which is what an administrator's `uploads -> /mnt/volume` is. What was opened is held by its handle: to move the folder away and put
//! another one in its place changes nothing any more.

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat, fstat, fstatfs, mkdirat, openat,
    readlinkat, renameat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// As the kernel has it.
const MOST_LINKS: u32 = 40;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(CLOSED);
const CLOSED: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC);

/// A folder that is held open.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
    real: PathBuf,
}

impl Folder {
    /// Opens a folder that is there.
    ///
    /// # Errors
    /// Also where another user's symbolic link is on the way.
    pub fn open(path: &Path) -> io::Result<Self> {
        Walk::start(path, Missing::Fail)?.open_folder()
    }

    /// The same, and makes what is missing on the way.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn make(path: &Path) -> io::Result<Self> {
        Walk::start(path, Missing::Make)?.open_folder()
    }

    /// The folder in which a path has its last name.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn above(path: &Path) -> io::Result<Self> {
        Self::open(path.parent().unwrap_or(path))
    }

    /// Its path, no symbolic link on the way.
    pub fn real(&self) -> &Path {
        &self.real
    }

    /// The folder itself, open for reading: the handle that it is held by only leads on.
    pub fn reader(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(&self.handle, ".", flags, Mode::empty())?)
    }

    /// What is in it, in no order.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::new(self.reader()?)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Opens a file in it, or makes it; a symbolic link is none. A FIFO blocks nothing.
    pub fn open_file(&self, name: &OsStr, flags: OFlags, mode: Mode) -> io::Result<File> {
        Ok(open_beneath(&self.handle, name, flags, mode)?)
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    pub fn rename(&self, name: &OsStr, new: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.handle, name, &self.handle, new)?)
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Opens a file, or makes it, a last symbolic link included that root or this user made. A FIFO blocks nothing.
///
/// # Errors
/// Also where another user's link is on the way, be it a hard link to a file that is to be written.
pub fn open_file(path: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
    Walk::start(path, Missing::Fail)?.open_file(flags, mode)
}

/// One name on the way to what a path leads to.
pub struct Step {
    /// No symbolic link before it.
    pub path: PathBuf,
    pub stat: Stat,
}

/// Every name on the way, folders and links and the last one, whoever made the links.
///
/// # Errors
/// One of them is not there or cannot be looked at.
pub fn steps(path: &Path) -> io::Result<Vec<Step>> {
    Walk::start(path, Missing::Fail)?.steps()
}

/// What to do about a folder that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Fail,
    Make,
}

/// A path on its way.
struct Walk {
    folder: OwnedFd,
    /// The folders that it is in, the nearest last: `..` leads back to where the path came from, also if the folder was moved meanwhile.
    above: Vec<OwnedFd>,
    real: PathBuf,
    /// The names to come, the next one last.
    rest: Vec<OsString>,
    links: u32,
    missing: Missing,
}

impl Walk {
    fn start(path: &Path, missing: Missing) -> io::Result<Self> {
        let (start, real) = if path.is_absolute() {
            ("/", PathBuf::from("/"))
        } else {
            (".", std::env::current_dir()?)
        };
        let folder = rustix::fs::open(start, FOLDER, Mode::empty())?;
        let mut walk = Self { folder, above: vec![], real, rest: vec![], links: 0, missing };
        walk.go_on(path);
        Ok(walk)
    }

    fn go_on(&mut self, path: &Path) {
        let names = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        let at = self.rest.len();
        self.rest.extend(names);
        self.rest[at..].reverse();
    }

    fn open_folder(mut self) -> io::Result<Folder> {
        while let Some(name) = self.rest.pop() {
            self.enter(&name)?;
        }
        Ok(Folder { handle: self.folder, real: self.real })
    }

    fn open_file(mut self, flags: OFlags, mode: Mode) -> io::Result<File> {
        while let Some(name) = self.rest.pop() {
            if !self.rest.is_empty() || name == ".." {
                self.enter(&name)?;
                continue;
            }
            match open_beneath(&self.folder, &name, flags, mode) {
                Ok(file) => return self.with_no_name_elsewhere(file, &name, flags),
                Err(Errno::LOOP) if self.is_proc()? => {
                    // Of `/dev/stderr`: what it leads to may have no path at all.
                    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
                    return Ok(openat(&self.folder, &name, flags, mode)?.into());
                }
                Err(Errno::LOOP) => self.follow(&name)?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::ISDIR.into())
    }

    fn steps(mut self) -> io::Result<Vec<Step>> {
        let mut steps = vec![Step { path: self.real.clone(), stat: fstat(&self.folder)? }];
        while let Some(name) = self.rest.pop() {
            if name == ".." {
                self.enter(&name)?;
                continue;
            }
            let entry = openat(&self.folder, &name, OFlags::PATH | CLOSED, Mode::empty())?;
            let stat = fstat(&entry)?;
            steps.push(Step { path: self.real.join(&name), stat });
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => self.go_to(&entry)?,
                FileType::Directory => self.enter(&name)?,
                _ if self.rest.is_empty() => break,
                _ => return Err(Errno::NOTDIR.into()),
            }
        }
        Ok(steps)
    }

    /// Goes into a folder, or on where a link leads.
    fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        if name == ".." {
            self.folder = match self.above.pop() {
                Some(above) => above,
                None => openat(&self.folder, "..", FOLDER, Mode::empty())?,
            };
            self.real.pop();
            return Ok(());
        }
        let open = |walk: &Self| openat(&walk.folder, name, FOLDER, Mode::empty());
        let opened = match open(self) {
            Err(Errno::NOENT) if self.missing == Missing::Make => {
                match mkdirat(&self.folder, name, Mode::from_raw_mode(0o775)) {
                    Ok(()) | Err(Errno::EXIST) => open(self),
                    Err(error) => Err(error),
                }
            }
            opened => opened,
        };
        match opened {
            Ok(folder) => {
                self.above.push(std::mem::replace(&mut self.folder, folder));
                self.real.push(name);
                Ok(())
            }
            // Both are said of a symbolic link.
            Err(Errno::NOTDIR | Errno::LOOP) => self.follow(name),
            Err(error) => Err(error.into()),
        }
    }

    fn follow(&mut self, name: &OsStr) -> io::Result<()> {
        let entry = openat(&self.folder, name, OFlags::PATH | CLOSED, Mode::empty())?;
        let link = fstat(&entry)?;
        if FileType::from_raw_mode(link.st_mode) != FileType::Symlink {
            return Err(Errno::NOTDIR.into());
        }
        if !may_be_followed(&link, &fstat(&self.folder)?) {
            let path = self.real.join(name);
            return Err(io::Error::other(format!(
                "{} is a symbolic link of user {}: only those of root and of this user are followed",
                path.display(),
                link.st_uid
            )));
        }
        self.go_to(&entry)
    }

    /// Where an open link leads.
    fn go_to(&mut self, link: &OwnedFd) -> io::Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = readlinkat(link, "", Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            self.folder = rustix::fs::open("/", FOLDER, Mode::empty())?;
            self.above.clear();
            self.real = PathBuf::from("/");
        }
        self.go_on(&target);
        Ok(())
    }

    fn is_proc(&self) -> io::Result<bool> {
        Ok(fstatfs(&self.folder)?.f_type == PROC_SUPER_MAGIC)
    }

    /// In a folder of theirs, others may have given a further name to a file that they could not write, where the kernel lets them
    /// (`fs.protected_hardlinks`).
    fn with_no_name_elsewhere(&self, file: File, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let found = fstat(&file)?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        let is_written = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
        if is_written && is_file && found.st_nlink > 1 && others_may_add_to(&fstat(&self.folder)?) {
            let path = self.real.join(name);
            return Err(io::Error::other(format!(
                "{} has another name elsewhere, which a user that may write to its folder can have given it",
                path.display()
            )));
        }
        Ok(file)
    }
}

fn open_beneath(folder: &OwnedFd, name: &OsStr, flags: OFlags, mode: Mode) -> Result<File, Errno> {
    let flags = flags | CLOSED | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(openat(folder, name, flags, mode)?))
}

/// The folders of the user's own, in the order in which they are tried. No variable has a word in it.
pub fn own_folders() -> Vec<PathBuf> {
    let user = rustix::process::geteuid();
    let shared = ["/tmp", "/var/tmp", "/dev/shm"];
    let runtime = user.is_root().then_some("/run");
    let folders = runtime.into_iter().chain(shared);
    folders.map(|folder| Path::new(folder).join(format!("taskmon-{}", user.as_raw()))).collect()
}

/// Makes a folder that is nobody else's.
///
/// # Errors
/// It cannot be made, or is somebody else's.
pub fn make_own(folder: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(folder)?;
    let user = rustix::process::geteuid().as_raw();
    if found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(io::Error::other("it is not this user's own folder, closed to others"))
    }
}

/// Whether a user is root or the one that runs this.
pub fn is_trusted(user: u32) -> bool {
    user == 0 || user == rustix::process::geteuid().as_raw()
}

/// No more is allowed than by the kernel where `fs.protected_symlinks` is on: in a sticky folder for all, such as `/tmp`, the link has to be
/// this user's or the folder's owner's.
fn may_be_followed(link: &Stat, folder: &Stat) -> bool {
    let for_all = Mode::SVTX | Mode::WOTH;
    let is_for_all = Mode::from_raw_mode(folder.st_mode).contains(for_all);
    let is_own = link.st_uid == rustix::process::geteuid().as_raw();
    is_trusted(link.st_uid) && (!is_for_all || is_own || link.st_uid == folder.st_uid)
}

fn others_may_add_to(folder: &Stat) -> bool {
    let mode = Mode::from_raw_mode(folder.st_mode);
    !is_trusted(folder.st_uid) || mode.intersects(Mode::WGRP | Mode::WOTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder with no link on the way to it.
    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        (folder, real)
    }

    #[test]
    fn a_path_leads_where_the_kernel_says() {
        let (_folder, top) = scratch();
        std::fs::create_dir_all(top.join("a/b/c")).unwrap();
        symlink("a/b", top.join("down")).unwrap();
        symlink(top.join("down/c"), top.join("far")).unwrap();
        symlink("../../down", top.join("a/b/back")).unwrap();
        symlink("/", top.join("root")).unwrap();
        for path in ["", "a/b/c", "down", "down/c", "far", "far/..", "far/../back/c", "a/./b//c/.."]
        {
            let path = top.join(path);
            let opened = Folder::open(&path).unwrap();
            assert_eq!(opened.real(), path.canonicalize().unwrap(), "{}", path.display());
        }
        assert_eq!(Folder::open(&top.join("root/../tmp")).unwrap().real(), Path::new("/tmp"));
    }

    #[test]
    fn what_is_no_folder_is_an_error_and_what_is_missing_can_be_made() {
        let (_folder, top) = scratch();
        std::fs::write(top.join("file"), "").unwrap();
        symlink("loop", top.join("loop")).unwrap();
        symlink("made/by/link", top.join("link")).unwrap();
        let error = |path: &str| Folder::open(&top.join(path)).unwrap_err();
        assert_eq!(error("missing/x").kind(), io::ErrorKind::NotFound);
        assert_eq!(error("file").kind(), io::ErrorKind::NotADirectory);
        assert_eq!(error("file/x").kind(), io::ErrorKind::NotADirectory);
        assert_eq!(error("loop").raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        assert_eq!(Folder::make(&top.join("link/x")).unwrap().real(), top.join("made/by/link/x"));
        assert!(Folder::make(&top.join("file/x")).is_err());
    }

    #[test]
    fn a_folder_that_is_held_stays_the_same_when_another_takes_its_place() {
        let (_folder, top) = scratch();
        std::fs::create_dir_all(top.join("held")).unwrap();
        let held = Folder::open(&top.join("held")).unwrap();
        std::fs::rename(top.join("held"), top.join("aside")).unwrap();
        std::fs::create_dir(top.join("held")).unwrap();
        let flags = OFlags::WRONLY | OFlags::CREATE;
        held.open_file(OsStr::new("x"), flags, Mode::RUSR).unwrap();
        assert!(top.join("aside/x").exists() && !top.join("held/x").exists());
        assert_eq!(held.names().unwrap(), ["x"]);
    }

    #[test]
    fn the_names_on_the_way_are_those_of_the_links_and_of_what_they_lead_to() {
        let (_folder, top) = scratch();
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(top.join("a/b/file"), "").unwrap();
        symlink("a/b", top.join("down")).unwrap();
        let steps = steps(&top.join("down/file")).unwrap();
        let names: Vec<PathBuf> = steps.into_iter().map(|step| step.path).collect();
        let behind = names.iter().skip_while(|path| **path != top).skip(1);
        let expected = ["down", "a", "a/b", "a/b/file"].map(|name| top.join(name));
        assert!(behind.eq(&expected), "{names:?}");
    }
}
