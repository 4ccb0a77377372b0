//! The files that rows name: which of them may be removed.
//!
//! A row's word is never enough: a file goes only if, after every symbolic link on its way is resolved, it lies beneath a storage root
//! and is itself a regular file.

use super::dir::{Dir, kind_name};
use super::finding::Finding;
use super::roots::Roots;
use super::threads::EXAMINE;
use crate::mapping::canonical_path::{CanonicalPath, LONGEST_PATH, PathAliases};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many files of one folder a thread takes at once.
const PIECE: usize = 64;

/// A path as its row writes it, and its last part.
type NamedPath<'p> = (&'p [u8], &'p str);

/// Looks at the files, on several threads; nothing is changed.
pub fn examine<'p>(
    paths: impl IntoIterator<Item = &'p [u8]>,
    roots: &Roots,
    aliases: &PathAliases,
) -> HashMap<&'p [u8], Finding> {
    let mut findings = HashMap::new();
    let mut by_folder: BTreeMap<&str, Vec<NamedPath>> = BTreeMap::new();
    for path in paths {
        match split(path) {
            Ok((folder, name)) => by_folder.entry(folder).or_default().push((path, name)),
            Err(refused) => {
                findings.insert(path, refused);
            }
        }
    }
    for names in by_folder.values_mut() {
        names.sort_unstable();
        names.dedup();
    }
    let pieces: Vec<(&str, &[NamedPath])> = by_folder
        .iter()
        .flat_map(|(folder, names)| names.chunks(PIECE).map(move |names| (*folder, names)))
        .collect();
    let examined = EXAMINE.each(&pieces, |(folder, names)| {
        examine_folder(&roots.base().join(folder), names, roots, aliases)
    });
    findings.extend(examined.into_iter().flatten());
    findings
}

fn examine_folder<'p>(
    folder: &Path,
    names: &[NamedPath<'p>],
    roots: &Roots,
    aliases: &PathAliases,
) -> Vec<(&'p [u8], Finding)> {
    let (dir, handle) = match roots.open_folder(folder) {
        Ok(opened) => opened,
        Err(finding) => return names.iter().map(|(path, _)| (*path, finding.clone())).collect(),
    };
    let real_folder = roots.real_folder(&dir);
    let canonical =
        |folder: &Path, name: &str| aliases.canonical(folder.join(name).as_os_str().as_bytes());
    // Compared for something within them: a link leads on what lies beneath it.
    let is_linked = canonical(folder, "file") != canonical(&real_folder, "file");
    let each = names.iter().map(|(path, name)| {
        let real = is_linked.then(|| canonical(&real_folder, name));
        (*path, examine_file(&handle, OsStr::new(name), real))
    });
    each.collect()
}

fn examine_file(folder: &Dir, name: &OsStr, real: Option<CanonicalPath>) -> Finding {
    match folder.stat(name) {
        Ok(None) | Err(Errno::NOTDIR) => Finding::Gone,
        Err(error) => Finding::Refused("not_removable", format!("it cannot be looked at: {error}")),
        Ok(Some(stat)) if stat.kind != FileType::RegularFile => Finding::Refused(
            "not_a_file",
            format!("it is {}, not a regular file", kind_name(stat.kind)),
        ),
        Ok(Some(stat)) => match folder.find_obstacle(&stat) {
            Some(why) => Finding::Refused("not_removable", why),
            None => Finding::Removable { stat, real },
        },
    }
}

/// The folder of a path, as its row writes it, and the name in it.
fn split(path: &[u8]) -> Result<(&str, &str), Finding> {
    let refused = |why: &str| Finding::Refused("unusable_path", why.to_owned());
    if path.len() >= LONGEST_PATH {
        return Err(refused("it is longer than a path can be"));
    }
    let Ok(text) = std::str::from_utf8(path) else {
        return Err(refused("it is not valid UTF-8"));
    };
    if path.contains(&0) {
        return Err(refused("it holds a NUL, which no path can"));
    }
    if text.contains("://") {
        return Err(Finding::Outside("it is a URL, not a path".to_owned()));
    }
    if text.starts_with('~') {
        return Err(Finding::Outside("it starts with ~, which no folder is meant by".to_owned()));
    }
    let (folder, name) = match text.rfind('/') {
        Some(end) => text.split_at(end + 1),
        None => ("", text),
    };
    match name {
        "" => Err(refused("it names a folder")),
        "." | ".." => Err(refused("it names no file")),
        _ => Ok((folder, name)),
    }
}
