//! The storage roots, and the way from a folder that a row names to an open one beneath them.

use super::Config;
use super::bound::{Alias, name_of};
use super::dir::{self, Dir};
use super::finding::{Finding, RootedDir, RootedFile};
use super::lookups::{Lookup, Lookups, is_absent};
use super::paths::{lexical, shown};
use crate::folder::Folder;
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// The most folders that are held open at once.
const MOST_OPEN: usize = 4096;

const MOUNTED: &str = "is its volume mounted here?";

/// A folder beneath a root and its handle, or what was found in its place.
pub type Opened = Result<(Arc<RootedDir>, Arc<Dir>), Finding>;

/// The storage roots, held open for the run.
pub struct Roots {
    roots: Vec<Root>,
    /// Where relative paths of rows start.
    base: PathBuf,
    /// Delete rows although the root of their files cannot be used.
    force: bool,
    /// Some root really lies within another one.
    overlap: bool,
    open: OpenFolders,
}

struct Root {
    /// As configured, absolute.
    path: PathBuf,
    /// With every symbolic link resolved; as configured where it is missing.
    real: PathBuf,
    /// Opened once: whatever is put in the place of a folder on its way later, files are looked for and removed beneath this one.
    folder: Option<Dir>,
    /// Why the rows whose files lie beneath it must wait.
    unusable: Option<String>,
}

/// The folders of a batch, open while its files are examined, and again while they are unlinked and synced. Not longer, because a folder that
/// somebody moves away and makes anew is another folder.
struct OpenFolders {
    folders: Mutex<HashMap<(usize, PathBuf), Arc<RootedDir>>>,
    /// Further ones are opened anew each time.
    most: usize,
    /// Where the paths of others lead.
    lookups: Lookups,
}

impl Roots {
    /// The storage roots; `base`: where relative paths of rows start.
    pub fn open(config: &Config, base: &Path) -> Self {
        let marker = Some(config.root_marker.as_str()).filter(|marker| !marker.is_empty());
        let roots: Vec<Root> =
            config.storage_roots.iter().map(|path| Root::open(path, marker)).collect();
        let is_nested = |(index, root): (usize, &Root)| {
            let mut others = roots.iter().enumerate().filter(|(other, _)| *other != index);
            others.any(|(_, other)| root.real.starts_with(&other.real))
        };
        Self {
            overlap: roots.iter().enumerate().any(is_nested),
            roots,
            base: base.to_owned(),
            force: false,
            open: OpenFolders {
                folders: Mutex::default(),
                lookups: Lookups::default(),
                most: (dir::raise_open_files() / 2).min(MOST_OPEN),
            },
        }
    }

    /// The same for a run that goes on although roots are missing.
    pub fn forced(self) -> Self {
        Self { force: true, ..self }
    }

    /// The roots that keep rows from being deleted, and why.
    pub fn unusable(&self) -> Vec<(PathBuf, String)> {
        let roots = self.roots.iter();
        roots.filter_map(|root| Some((root.path.clone(), root.unusable.clone()?))).collect()
    }

    /// The others.
    pub fn usable(&self) -> impl Iterator<Item = PathBuf> {
        let roots = self.roots.iter().filter(|root| root.unusable.is_none());
        roots.map(|root| root.real.clone())
    }

    /// Where relative paths of rows start.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The folder that a path which a row writes begins with, if it is none of the roots' and so may be missing among them.
    pub fn find_missing<'p>(&self, stored: &'p [u8]) -> Option<&'p str> {
        let text = std::str::from_utf8(stored).ok()?;
        if text.contains("://") || text.starts_with('~') {
            return None;
        }
        let path = Path::new(text);
        let mut parts = path.strip_prefix(&self.base).unwrap_or(path).components();
        let (Component::Normal(name), Some(Component::Normal(_))) = (parts.next()?, parts.next())
        else {
            return None;
        };
        let folder = self.base.join(name);
        let holds_a_root = self.roots.iter().any(|root| root.path.starts_with(&folder));
        name.to_str().filter(|_| !holds_a_root)
    }

    /// Closes the folders of a batch.
    pub fn close_folders(&self) {
        self.open.lock().clear();
        self.open.lookups.clear();
    }

    /// Names of the same folders: each root as configured and as it really is.
    pub fn aliases(&self) -> Vec<(PathBuf, PathBuf)> {
        self.roots.iter().map(|root| (root.path.clone(), root.real.clone())).collect()
    }

    /// The symbolic links, each with the folder that it leads to, on the way to a root or to a folder of `swept` or beneath one: roots
    /// themselves, and what lies directly in one of them or where relative paths start. Deeper ones are not searched for: that would be a
    /// walk over every file.
    /// `bound`: folders that are mounted in a second place, by which a link may lead to a folder above a root, too.
    pub fn links(&self, swept: &[PathBuf], bound: &[Alias]) -> Vec<Alias> {
        let mut links = self.aliases();
        let base = [(self.base.clone(), self.base.clone())];
        for (path, real) in self.aliases().into_iter().chain(base) {
            for (name, target) in linked_folders(&path) {
                links.push((path.join(&name), target.clone()));
                links.push((real.join(&name), target));
            }
        }
        let real = self.roots.iter().map(|root| &root.real);
        let relevant: Vec<&PathBuf> = real.chain(swept).collect();
        let is_relevant = |target: &Path| {
            relevant.iter().any(|folder| target.starts_with(folder) || folder.starts_with(target))
        };
        links.retain(|(_, target)| is_relevant(target) || is_relevant(&name_of(target, bound)));
        links
    }

    /// Where a file really is, no symbolic link on the way.
    pub fn real_path(&self, file: &RootedFile) -> PathBuf {
        self.real_folder(&file.dir).join(&*file.name)
    }

    pub fn real_folder(&self, dir: &RootedDir) -> PathBuf {
        self.roots[dir.root].real.join(&dir.relative)
    }

    /// Opens an absolute folder; an error if it does not lie beneath a root, or cannot be opened.
    pub fn open_folder(&self, folder: &Path) -> Opened {
        if let Some(opened) = self.open_unlinked(folder) {
            return opened;
        }
        let (root, relative) = self.resolve(folder)?;
        let dir = self.dir(root, &relative);
        let handle = self.handle(&dir)?;
        Ok((dir, handle))
    }

    /// Most folders lie beneath a root by their text, and no symbolic link is on the way: then the kernel has said so in opening them, or in saying
    /// that they are not there.
    fn open_unlinked(&self, folder: &Path) -> Option<Opened> {
        let climbs = folder.components().any(|part| part == Component::ParentDir);
        // A root within another one that is not mounted looks like an empty folder of the outer one.
        if climbs || self.find_unusable(folder).is_some() {
            return None;
        }
        let above = self.roots.iter().enumerate().filter_map(|(index, root)| {
            let relative = folder.strip_prefix(&root.path).ok()?;
            root.unusable.is_none().then_some((index, relative))
        });
        let (index, relative) = above.min_by_key(|(_, relative)| relative.as_os_str().len())?;
        let dir = if self.overlap {
            // Seen from the deepest root, so that each folder is one `RootedDir`.
            let (index, relative) = self.beneath_root(&self.roots[index].real.join(relative))?;
            self.dir(index, &relative)
        } else {
            self.dir(index, relative)
        };
        match self.handle(&dir) {
            Ok(handle) => Some(Ok((dir, handle))),
            Err(gone @ Finding::Gone) => Some(Err(gone)),
            // There may be a symbolic link on the way.
            Err(_) => None,
        }
    }

    /// The root that a folder really lies beneath, and its path from there.
    fn resolve(&self, folder: &Path) -> Result<(usize, PathBuf), Finding> {
        if let Some(why) = self.find_unusable(folder) {
            return Err(Finding::Refused("root_unavailable", why));
        }
        match self.open.lookups.find(folder) {
            Lookup::At(real) => {
                let (root, relative) = self.beneath_root(&real).ok_or_else(|| outside(&real))?;
                match &self.roots[root].unusable {
                    Some(why) if !self.force => {
                        Err(Finding::Refused("root_unavailable", why.clone()))
                    }
                    _ => Ok((root, relative)),
                }
            }
            Lookup::Absent { above } => Err(self.absent(folder, &above)),
            Lookup::Failed(error) => Err(Finding::Refused(
                "not_removable",
                format!("its folder cannot be reached: {error}"),
            )),
        }
    }

    /// A folder that is not there has no file; but what would be outside is outside all the same. `above`: what there is of the folders above it.
    fn absent(&self, folder: &Path, above: &Path) -> Finding {
        let is_inside = self.beneath_root(above).is_some();
        let is_inside_by_text =
            self.roots.iter().any(|root| lexical(folder).starts_with(&root.path));
        if is_inside || (is_inside_by_text && self.force) { Finding::Gone } else { outside(folder) }
    }

    /// Why the root above a folder, by the text of its path alone, cannot be used now.
    fn find_unusable(&self, folder: &Path) -> Option<String> {
        if self.force {
            return None;
        }
        let folder = lexical(folder);
        let above = self
            .roots
            .iter()
            .filter(|root| folder.starts_with(&root.path) || folder.starts_with(&root.real));
        above.max_by_key(|root| root.path.as_os_str().len())?.unusable.clone()
    }

    /// The deepest root above a real path, and the path from there.
    fn beneath_root(&self, real: &Path) -> Option<(usize, PathBuf)> {
        let above = self.roots.iter().enumerate().filter_map(|(index, root)| {
            let relative = real.strip_prefix(&root.real).ok()?;
            root.folder.as_ref().map(|_| (index, relative.to_owned()))
        });
        above.min_by_key(|(_, relative)| relative.as_os_str().len())
    }

    pub fn dir(&self, root: usize, relative: &Path) -> Arc<RootedDir> {
        let mut folders = self.open.lock();
        let number = folders.len();
        let dir = folders.entry((root, relative.to_owned())).or_insert_with(|| {
            let (relative, handle) = (relative.to_owned(), OnceLock::new());
            Arc::new(RootedDir { root, relative, number, handle })
        });
        Arc::clone(dir)
    }

    /// Opens a folder on the handle of the one above it: each is looked up once a batch, be it there or not.
    pub fn handle(&self, dir: &RootedDir) -> Result<Arc<Dir>, Finding> {
        if let Some(known) = dir.handle.get() {
            return known.clone().ok_or(Finding::Gone);
        }
        let opened = match (dir.relative.parent(), dir.relative.file_name()) {
            (Some(above), Some(name)) => {
                let above = match self.handle(&self.dir(dir.root, above)) {
                    Err(gone @ Finding::Gone) => {
                        dir.handle.get_or_init(|| None);
                        return Err(gone);
                    }
                    opened => opened?,
                };
                above.open_beneath(Path::new(name))
            }
            _ => match &self.roots[dir.root].folder {
                Some(root) => root.open_beneath(Path::new("")),
                None => Err(Errno::NOENT),
            },
        };
        let is_kept = dir.number < self.open.most;
        match opened {
            // The first handle stays where two threads opened the same folder.
            Ok(handle) if is_kept => {
                let handle = dir.handle.get_or_init(|| Some(Arc::new(handle)));
                handle.clone().ok_or(Finding::Gone)
            }
            Ok(handle) => Ok(Arc::new(handle)),
            Err(Errno::NOENT) => {
                dir.handle.get_or_init(|| None);
                Err(Finding::Gone)
            }
            Err(error) => Err(Finding::Refused(
                "not_removable",
                format!("its folder cannot be opened: {error}"),
            )),
        }
    }
}

impl OpenFolders {
    fn lock(&self) -> MutexGuard<'_, HashMap<(usize, PathBuf), Arc<RootedDir>>> {
        self.folders.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl Root {
    fn open(path: &Path, marker: Option<&str>) -> Self {
        let mut root =
            Self { path: lexical(path), real: lexical(path), folder: None, unusable: None };
        let opened = Folder::open(path).and_then(|folder| {
            root.real = folder.real().to_owned();
            Dir::of(&folder)
        });
        let why = match &opened {
            Err(error) if is_absent(error) => Some(format!("cannot be opened: {error}; {MOUNTED}")),
            Err(error) => Some(format!("cannot be opened: {error}")),
            Ok(folder) => why_unmounted(folder, marker).map(|why| format!("{why}; {MOUNTED}")),
        };
        let shown = shown(path);
        root.unusable = why.map(|why| format!("the storage root {shown} {why}"));
        root.folder = opened.ok();
        root
    }
}

/// What distinguishes the folder of a mount point from the volume that should be mounted on it.
fn why_unmounted(folder: &Dir, marker: Option<&str>) -> Option<String> {
    if folder.is_empty() {
        return Some("is empty".to_owned());
    }
    let marker = marker?;
    let has_marker = matches!(folder.stat(OsStr::new(marker)), Ok(Some(_)));
    (!has_marker).then(|| format!("lacks its marker {marker}"))
}

/// The symbolic links to folders that lie in a folder, by name, and where they lead.
fn linked_folders(folder: &Path) -> Vec<(std::ffi::OsString, PathBuf)> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten(),
        Err(error) => {
            // A root that is missing is reported with its rows.
            if error.kind() != io::ErrorKind::NotFound {
                let shown = shown(folder);
                log::warn!(
                    "{shown} cannot be listed: files that rows name by links in it are not known: {error}"
                );
            }
            return Vec::new();
        }
    };
    let is_link = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let links = entries.filter(is_link).filter_map(|entry| {
        let target = entry.path().canonicalize().ok()?;
        target.is_dir().then(|| (entry.file_name(), target))
    });
    links.collect()
}

fn outside(path: &Path) -> Finding {
    Finding::Outside(format!("it leads to {}, which is beneath no storage root", shown(path)))
}
