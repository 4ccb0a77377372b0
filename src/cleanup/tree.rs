//! The folders of a walk, on their handles: no path is ever opened, because one deeper than 4,096 bytes cannot be, and because what a path leads
//! to may be swapped.

use super::dir::{Dir, FileStat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many folders above the one where the walk is are held open; the way back to the others is `..`.
const HELD_OPEN: usize = 32;

/// Identifies a folder of a walk.
pub type FolderId = usize;

/// What the walk knows of a folder.
pub struct Folder {
    above: Option<FolderId>,
    name: OsString,
    /// As it was before anything went from it.
    pub stat: FileStat,
    dir: Option<Arc<Dir>>,
    /// Not yet entered.
    subfolders: Vec<OsString>,
    /// By its own name or by that of a folder above it.
    pub is_protected: bool,
    /// It is the top, protected, or named by the configuration.
    pub stays: bool,
    pub entries: u64,
    pub gone: u64,
}

/// The way from the top to where the walk is, and the folders that it has left and that are not finished.
pub struct Tree {
    folders: HashMap<FolderId, Folder>,
    made: FolderId,
    way: Vec<FolderId>,
    /// Beneath the top, of the folder where the walk is.
    pub path: PathBuf,
}

impl Tree {
    pub fn new(top: Dir) -> Self {
        let (folders, way) = (HashMap::new(), Vec::new());
        let mut tree = Self { folders, made: 0, way, path: PathBuf::new() };
        tree.push(OsString::new(), top);
        tree
    }

    fn push(&mut self, name: OsString, dir: Dir) {
        let above = self.way.last().copied();
        let is_protected = above.is_some_and(|above| self.folders[&above].is_protected);
        let (stat, dir, subfolders) = (*dir.own_stat(), Some(Arc::new(dir)), Vec::new());
        let (stays, entries, gone) = (true, 0, 0);
        let folder =
            Folder { above, name, stat, dir, subfolders, is_protected, stays, entries, gone };
        self.folders.insert(self.made, folder);
        self.way.push(self.made);
        self.made += 1;
        // The top stays open: from there the way is found where `..` leads elsewhere.
        let far = self.way.len().checked_sub(HELD_OPEN).filter(|far| *far > 0);
        if let Some(folder) = far.and_then(|far| self.folders.get_mut(&self.way[far])) {
            folder.dir = None;
        }
    }

    /// The folder where the walk is; `None`: it has left the top.
    pub fn here(&self) -> Option<FolderId> {
        self.way.last().copied()
    }

    /// A folder that is on the way or not finished.
    pub fn folder(&mut self, id: FolderId) -> Option<&mut Folder> {
        self.folders.get_mut(&id)
    }

    /// Notes a sub-folder of the one where the walk is.
    pub fn add_subfolder(&mut self, name: &OsStr) {
        if let Some(folder) = self.here().and_then(|here| self.folders.get_mut(&here)) {
            folder.subfolders.push(name.to_owned());
        }
    }

    pub fn next_subfolder(&mut self) -> Option<OsString> {
        self.here().and_then(|here| self.folders.get_mut(&here)?.subfolders.pop())
    }

    /// The handle of the folder where the walk is.
    pub fn open_here(&self) -> Result<Arc<Dir>, Errno> {
        self.here().and_then(|here| self.folders[&here].dir.clone()).ok_or(Errno::NOENT)
    }

    /// Opens a sub-folder of the one where the walk is.
    pub fn open(&self, name: &OsStr) -> Result<Dir, Errno> {
        self.open_here()?.open_beneath(Path::new(name))
    }

    /// Goes on in a sub-folder.
    pub fn enter(&mut self, name: OsString, dir: Dir) {
        self.path.push(&name);
        self.push(name, dir);
    }

    /// Goes back to the folder above; the one that is left stays known until it is finished.
    ///
    /// # Errors
    /// The folder above is not where it was: what is left in it is not walked through.
    pub fn leave(&mut self) -> Result<(), Errno> {
        let Some(left) = self.way.pop() else {
            return Ok(());
        };
        self.path.pop();
        let Some(above) = self.here().filter(|above| self.folders[above].dir.is_none()) else {
            return Ok(());
        };
        let reopened = self.open_above(left).or_else(|_| self.reopen(above));
        let folder = self.folders.get_mut(&above);
        match (reopened, folder) {
            (Ok(dir), Some(folder)) => folder.dir = Some(dir),
            (Err(error), Some(folder)) => {
                folder.subfolders.clear();
                return Err(error);
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// The folder above one that is open, if it still is the one that the walk came through.
    fn open_above(&self, id: FolderId) -> Result<Arc<Dir>, Errno> {
        let folder = &self.folders[&id];
        let above = &self.folders[&folder.above.ok_or(Errno::NOENT)?];
        if let Some(dir) = &above.dir {
            return Ok(Arc::clone(dir));
        }
        let dir = folder.dir.as_ref().ok_or(Errno::NOENT)?.open_above()?;
        if dir.id() == above.stat.id { Ok(Arc::new(dir)) } else { Err(Errno::NOENT) }
    }

    /// The folder where the walk is, from the top on.
    fn reopen(&self, here: FolderId) -> Result<Arc<Dir>, Errno> {
        let top = self.way.first().and_then(|top| self.folders[top].dir.as_ref());
        let dir = top.ok_or(Errno::NOENT)?.open_beneath(&self.path)?;
        if dir.id() == self.folders[&here].stat.id { Ok(Arc::new(dir)) } else { Err(Errno::NOENT) }
    }

    /// Removes an empty folder that was left.
    pub fn remove(&self, id: FolderId) -> Result<(), Errno> {
        self.open_above(id)?.remove_empty(&self.folders[&id].name)
    }

    /// Forgets a folder that was left; the one above it.
    pub fn finish(&mut self, id: FolderId) -> Option<&mut Folder> {
        let above = self.folders.remove(&id)?.above?;
        self.folders.get_mut(&above)
    }
}
