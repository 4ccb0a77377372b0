//! The removal of files whose rows are deleted.

use super::dir::{Dir, FileStat};
use super::finding::{Finding, RootedDir, RootedFile};
use super::journal::IntendedFile;
use super::roots::Roots;
use super::threads::UNLINK;
use crate::store::prune::Mode;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

/// How many files of one folder a thread takes at once.
const PIECE: usize = 64;

/// What became of a file.
pub enum Outcome {
    /// With what was found of it just before.
    Removed { file: RootedFile, stat: FileStat },
    /// Nothing was there.
    Gone,
    /// Something else has taken its place.
    Changed,
    /// Why it is still there.
    Left(String),
}

impl IntendedFile {
    pub fn is(&self, stat: &FileStat) -> bool {
        stat.kind == FileType::RegularFile
            && (stat.id.1, stat.modified) == (self.inode, self.modified)
    }

    fn split(&self) -> (&str, &str) {
        self.path.split_at(self.path.rfind('/').map_or(0, |slash| slash + 1))
    }
}

/// Unlinks files, which are sorted, on several threads, and writes that to the disk; a dry run only looks at them.
pub fn remove(files: &[&IntendedFile], roots: &Roots, mode: Mode) -> Vec<Outcome> {
    let pieces: Vec<&[&IntendedFile]> = files
        .chunk_by(|one, next| one.split().0 == next.split().0)
        .flat_map(|files| files.chunks(PIECE))
        .collect();
    let removed = UNLINK.each(&pieces, |files| remove_piece(files, roots, mode, Names::One));
    // Of a file with several names the last one sets the bytes free: these go one after the other.
    let again = |file: &&IntendedFile| {
        remove_piece(std::slice::from_ref(file), roots, mode, Names::Any).pop().flatten()
    };
    let mut outcomes: Vec<Outcome> = files
        .iter()
        .zip(removed.into_iter().flatten())
        .map(|(file, outcome)| outcome.or_else(|| again(file)).unwrap_or(Outcome::Gone))
        .collect();
    if mode == Mode::Apply {
        sync(&mut outcomes, roots);
    }
    outcomes
}

/// Which files are removed, by the number of their names.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    One,
    Any,
}

/// Removes files of one folder; `None`: it has another number of names.
fn remove_piece(
    files: &[&IntendedFile],
    roots: &Roots,
    mode: Mode,
    names: Names,
) -> Vec<Option<Outcome>> {
    let folder = files.first().map_or("", |file| file.split().0);
    let (dir, handle) = match roots.open_folder(&roots.base().join(folder)) {
        Ok(opened) => opened,
        Err(finding) => {
            let outcome = || match &finding {
                Finding::Refused(_, why) | Finding::Outside(why) => Outcome::Left(why.clone()),
                Finding::Removable { .. } | Finding::Gone => Outcome::Gone,
            };
            return files.iter().map(|_| Some(outcome())).collect();
        }
    };
    let each = files.iter().map(|file| {
        let name = Arc::from(OsStr::new(file.split().1));
        let place = RootedFile { dir: Arc::clone(&dir), name };
        remove_one(file, place, &handle, mode, names)
    });
    each.collect()
}

/// Removes what was examined, and nothing that has taken its place since.
fn remove_one(
    file: &IntendedFile,
    place: RootedFile,
    folder: &Dir,
    mode: Mode,
    names: Names,
) -> Option<Outcome> {
    let stat = match folder.stat(&place.name) {
        Ok(Some(stat)) => stat,
        Ok(None) | Err(Errno::NOTDIR) => return Some(Outcome::Gone),
        Err(error) => return Some(Outcome::Left(format!("it cannot be looked at: {error}"))),
    };
    if !file.is(&stat) {
        return Some(Outcome::Changed);
    }
    if names == Names::One && stat.links > 1 {
        return None;
    }
    let removed = match mode {
        Mode::Apply => folder.unlink(&place.name),
        Mode::DryRun => Ok(()),
    };
    Some(match removed {
        Ok(()) => Outcome::Removed { file: place, stat },
        Err(Errno::NOENT) => Outcome::Gone,
        Err(error) => Outcome::Left(format!("it cannot be removed: {error}")),
    })
}

/// Writes to the disk what was unlinked, before the journal that has it goes. Only once all of it is done: where the file system writes ahead,
/// syncing the first folder writes all of it, and the others find little left to do.
fn sync(outcomes: &mut [Outcome], roots: &Roots) {
    let mut folders: BTreeMap<usize, Arc<RootedDir>> = BTreeMap::new();
    for outcome in outcomes.iter() {
        if let Outcome::Removed { file, .. } = outcome {
            folders.entry(file.dir.number).or_insert_with(|| Arc::clone(&file.dir));
        }
    }
    let dirs: Vec<Arc<RootedDir>> = folders.into_values().collect();
    let failed: BTreeMap<usize, String> = UNLINK
        .each(&dirs, |dir| {
            // A folder that is gone has nothing to write; some file systems cannot sync one and need not.
            let folder = roots.handle(dir).ok()?;
            let error = folder.sync().err().filter(|error| *error == Errno::IO)?;
            Some((dir.number, format!("its removal could not be written to the disk: {error}")))
        })
        .into_iter()
        .flatten()
        .collect();
    for outcome in outcomes.iter_mut() {
        if let Outcome::Removed { file, .. } = outcome
            && let Some(why) = failed.get(&file.dir.number)
        {
            *outcome = Outcome::Left(why.clone());
        }
    }
}

/// Removes the folders of these files that are empty now, and the ones above them, up to their roots; how many went.
pub fn remove_empty_folders(files: &[RootedFile], roots: &Roots) -> u64 {
    let dirs: BTreeMap<usize, &RootedDir> =
        files.iter().map(|file| (file.dir.number, file.dir.as_ref())).collect();
    let mut folders: Vec<(usize, &Path)> = dirs
        .into_values()
        .flat_map(|dir| dir.relative.ancestors().map(|folder| (dir.root, folder)))
        .filter(|(_, folder)| !folder.as_os_str().is_empty())
        .collect();
    folders.sort_by_key(|(root, folder)| (*root, Reverse(folder.components().count()), *folder));
    folders.dedup();
    let mut gone = 0;
    for (root, folder) in folders {
        let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
            continue;
        };
        if let Ok(parent) = roots.handle(&roots.dir(root, parent)) {
            gone += u64::from(parent.remove_empty(name).is_ok());
        }
    }
    gone
}
