//! The removal of a batch's files, so that it lasts before their rows are committed.

use super::dir::{Dir, FileStat};
use super::finding::{Finding, RootedDir, RootedFile};
use super::roots::Roots;
use super::threads::UNLINK;
use rustix::io::Errno;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

/// How many files of one folder a thread takes at once.
const PIECE: usize = 64;

/// A file, and what was seen when it was examined.
pub type Examined = (RootedFile, FileStat);

/// Unlinks files, which are sorted, on several threads, and makes that last. For each file the bytes that it set free, or why it is
/// still there.
pub fn remove(files: &[Examined], roots: &Roots) -> Vec<Result<u64, String>> {
    let pieces: Vec<&[Examined]> = by_folder(files).flat_map(|files| files.chunks(PIECE)).collect();
    // Of a file with several names the last one sets the bytes free: these go one after the other.
    let removed = UNLINK.each(&pieces, |files| -> Vec<Option<Result<u64, String>>> {
        let remove =
            |file: &Examined| (file.1.links <= 1).then(|| remove_one(&file.0, &file.1, roots));
        files.iter().map(remove).collect()
    });
    let mut outcomes: Vec<_> = files
        .iter()
        .zip(removed.into_iter().flatten())
        .map(|((file, stat), outcome)| outcome.unwrap_or_else(|| remove_one(file, stat, roots)))
        .collect();
    sync(files, &mut outcomes, roots);
    outcomes
}

/// Neighbours in one folder.
fn by_folder(files: &[Examined]) -> impl Iterator<Item = &[Examined]> {
    files.chunk_by(|(one, _), (next, _)| one.dir.number == next.dir.number)
}

/// The bytes that the file set free; a folder that is gone has taken it along.
fn remove_one(file: &RootedFile, examined: &FileStat, roots: &Roots) -> Result<u64, String> {
    match roots.handle(&file.dir) {
        Ok(folder) => unlink(&folder, &file.name, examined),
        Err(Finding::Refused(_, why) | Finding::Outside(why)) => Err(why),
        Err(_) => Ok(0),
    }
}

/// Removes what was examined, and nothing that has taken its place since.
fn unlink(folder: &Dir, name: &OsStr, examined: &FileStat) -> Result<u64, String> {
    let stat = match folder.stat(name) {
        Ok(None) => return Ok(0),
        Ok(Some(stat)) => stat,
        Err(error) => return Err(format!("it cannot be looked at: {error}")),
    };
    if (stat.kind, stat.id, stat.modified) != (examined.kind, examined.id, examined.modified) {
        return Err("it has changed since it was examined".to_owned());
    }
    match folder.unlink(name) {
        Ok(()) if stat.links > 1 => Ok(0),
        Ok(()) => Ok(stat.bytes),
        Err(Errno::NOENT) => Ok(0),
        Err(error) => Err(format!("it cannot be removed: {error}")),
    }
}

/// Writes to the disk what was unlinked, before the rows that named it are committed. Only once all of it is done: where the file
/// system writes ahead, syncing the first folder writes all of it, and the others find little left to do.
fn sync(files: &[Examined], outcomes: &mut [Result<u64, String>], roots: &Roots) {
    let mut rest = outcomes;
    let mut folders = Vec::new();
    for files in by_folder(files) {
        let (outcomes, others) = std::mem::take(&mut rest).split_at_mut(files.len());
        rest = others;
        if outcomes.iter().any(Result::is_ok) {
            folders.push((&files[0].0.dir, outcomes));
        }
    }
    let dirs: Vec<&Arc<RootedDir>> = folders.iter().map(|(dir, _)| *dir).collect();
    for ((_, outcomes), failed) in folders.into_iter().zip(sync_folders(&dirs, roots)) {
        if let Some(why) = failed {
            outcomes.fill(Err(why));
        }
    }
}

/// The same for files, sorted, that were gone already: a run that was killed may have unlinked them a moment ago. For each why its
/// removal is not on the disk.
pub fn sync_gone(gone: &[RootedFile], roots: &Roots) -> Vec<Option<String>> {
    let folders = gone.chunk_by(|one, next| one.dir.number == next.dir.number);
    let dirs: Vec<&Arc<RootedDir>> = folders.clone().map(|files| &files[0].dir).collect();
    let failed = folders.zip(sync_folders(&dirs, roots));
    failed.flat_map(|(files, why)| std::iter::repeat_n(why, files.len())).collect()
}

fn sync_folders(dirs: &[&Arc<RootedDir>], roots: &Roots) -> Vec<Option<String>> {
    UNLINK.each(dirs, |dir| {
        // A folder that is gone has nothing to write; some file systems cannot sync one and need not.
        let folder = roots.handle(dir).ok()?;
        let error = folder.sync().err().filter(|error| *error == Errno::IO)?;
        Some(format!("its removal could not be written to the disk: {error}"))
    })
}

/// Removes the folders of these files that are empty now, and the ones above them, up to their roots; how many went.
pub fn remove_empty_folders<'f>(
    files: impl IntoIterator<Item = &'f RootedFile>,
    roots: &Roots,
) -> u64 {
    let dirs: BTreeMap<usize, &RootedDir> =
        files.into_iter().map(|file| (file.dir.number, file.dir.as_ref())).collect();
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
