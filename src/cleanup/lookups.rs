//! Where folders really are, each looked up once a batch: a hundred thousand rows may name files in folders that are long gone, or beneath no root.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// Where a path leads.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// No symbolic link is on the way.
    At(PathBuf),
    /// Nowhere.
    Absent {
        /// The last of the folders on the way that is there, without links.
        above: PathBuf,
    },
    /// That cannot be seen; with the reason.
    Failed(String),
}

#[derive(Debug, Default)]
pub struct Lookups {
    known: Mutex<HashMap<PathBuf, Lookup>>,
}

impl Lookups {
    /// Where an absolute path leads.
    pub fn find(&self, path: &Path) -> Lookup {
        if let Some(known) = self.lock().get(path) {
            return known.clone();
        }
        let mut parts = path.components();
        let found = match (parts.next_back(), parts.as_path()) {
            (Some(Component::Normal(name)), above) => match self.find(above) {
                Lookup::At(real) => step(real, Path::new(name)),
                other => other,
            },
            (Some(Component::ParentDir), above) => match self.find(above) {
                Lookup::At(real) => step(real, Path::new("..")),
                other => other,
            },
            _ => Lookup::At(PathBuf::from("/")),
        };
        self.lock().insert(path.to_owned(), found.clone());
        found
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Lookup>> {
        self.known.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// One name further, in a folder that is free of links.
fn step(folder: PathBuf, name: &Path) -> Lookup {
    let path = folder.join(name);
    let found = path.symlink_metadata().and_then(|found| {
        // Only here does the kernel have to go all the way again.
        let is_simple = !found.is_symlink() && name != Path::new("..");
        if is_simple { Ok(path) } else { path.canonicalize() }
    });
    match found {
        Ok(real) => Lookup::At(real),
        Err(error) if is_absent(&error) => Lookup::Absent { above: folder },
        Err(error) => Lookup::Failed(error.to_string()),
    }
}

pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, create_dir_all, write};
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_leads_where_the_kernel_says_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        create_dir_all(base.join("a/b")).unwrap();
        write(base.join("a/file"), "").unwrap();
        for (link, target) in
            [("link", "a/b"), ("a/b/up", ".."), ("loop", "loop"), ("nowhere", "gone/x")]
        {
            symlink(target, base.join(link)).unwrap();
        }
        let lookups = Lookups::default();
        for path in [
            "a",
            "a/b",
            "a//b/.",
            "a/b/..",
            "link",
            "link/..",
            "link/up/b",
            "a/b/up/../a",
            "loop",
            "loop/x",
            "nowhere",
            "nowhere/x",
            "gone",
            "gone/x/y",
            "gone/..",
            "a/file",
            "a/file/x",
            "a/file/..",
            "../..",
        ] {
            let path = base.join(path);
            let really = path.canonicalize();
            match (lookups.find(&path), really) {
                (Lookup::At(found), Ok(real)) => assert_eq!(found, real, "{path:?}"),
                (Lookup::Absent { above }, Err(error)) if is_absent(&error) => {
                    let mut there = path.ancestors().filter_map(|path| path.canonicalize().ok());
                    assert_eq!(Some(above), there.next(), "{path:?}");
                }
                (Lookup::Failed(why), Err(error)) => assert_eq!(why, error.to_string(), "{path:?}"),
                other => panic!("{path:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_was_looked_up_is_known_until_the_batch_ends() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let lookups = Lookups::default();
        let absent = Lookup::Absent { above: base.clone() };
        assert_eq!(lookups.find(&base.join("a/b")), absent);
        create_dir(base.join("a")).unwrap();
        assert_eq!(lookups.find(&base.join("a/c")), absent);
        lookups.clear();
        assert_eq!(lookups.find(&base.join("a/c")), Lookup::Absent { above: base.join("a") });
    }
}
