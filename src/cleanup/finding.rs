//! Where a file that a row names really is, and whether it can be removed.

use super::dir::{Dir, FileStat};
use super::paths::shown;
use crate::mapping::canonical_path::CanonicalPath;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// What was found at a path that a row names.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    Removable {
        stat: FileStat,
        /// Of the file's real path, where the row's own leads there through a symbolic link: a row that stays may name the file without that
        /// link.
        real: Option<CanonicalPath>,
    },
    /// Nothing is there any more.
    Gone,
    /// It leads out of the storage roots; with the reason.
    Outside(String),
    /// It cannot be removed, or must not be: the kind of the issue, and why.
    Refused(&'static str, String),
}

/// A folder beneath a root, no symbolic link on the way; one of each in a batch.
#[derive(Debug)]
pub struct RootedDir {
    /// The root's index.
    pub root: usize,
    pub relative: PathBuf,
    /// Identifies it within the batch.
    pub number: usize,
    /// `None`: it is not there.
    pub handle: OnceLock<Option<Arc<Dir>>>,
}

/// A file by its folder and its name in it.
#[derive(Debug, Clone)]
pub struct RootedFile {
    pub dir: Arc<RootedDir>,
    pub name: Arc<OsStr>,
}

impl RootedFile {
    /// The path for messages, from its root on.
    pub fn shown(&self) -> String {
        shown(self.dir.relative.join(&*self.name))
    }
}

impl Ord for RootedFile {
    /// By folder, then by name; only within a batch.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.dir.number, &self.name).cmp(&(other.dir.number, &other.name))
    }
}

impl PartialOrd for RootedFile {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RootedFile {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RootedFile {}
