//! The files that rows name: which of them may be removed, and their removal.
//!
//! A row's word is never enough: a file goes only if, after every symbolic link on its way is resolved, it lies beneath a storage root
//! and is itself a regular file.

use super::beneath::{self, Folder, Look, kind_name};
use super::threads::{LOOKING, WRITING};
use crate::mapping::canonical_path::{CanonicalPath, PathAliases};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// The longest path that the kernel takes, its end included.
const LONGEST_PATH: usize = 4096;

/// The most folders that are held open at once.
const MOST_HELD: usize = 4096;

/// How many files of one folder a thread takes at once.
const PIECE: usize = 64;

/// The storage roots, held open for the run.
pub struct Roots {
    roots: Vec<Root>,
    /// Where relative paths of rows start.
    base: PathBuf,
    /// A root that cannot be used holds nothing back.
    force: bool,
    /// Some root really lies within another one.
    overlap: bool,
    held: Held,
}

/// The folders of a batch, open from the look at their files until these are gone: looked at, unlinked and synced on one handle. Not
/// longer, because a folder that somebody moves away and makes anew is another folder.
struct Held {
    ways: Mutex<HashMap<(usize, PathBuf), Arc<Way>>>,
    /// More are opened each time.
    most: usize,
}

/// The way from a root to a folder, in which there is no symbolic link; one of each in a batch.
#[derive(Debug)]
struct Way {
    root: usize,
    relative: PathBuf,
    /// Tells it from the batch's others.
    number: usize,
    folder: OnceLock<Arc<Folder>>,
}

struct Root {
    /// As configured, absolute.
    path: PathBuf,
    /// With every symbolic link resolved; as configured where it is missing.
    real: PathBuf,
    folder: Option<Folder>,
    /// Why the rows whose files lie beneath it must wait.
    unusable: Option<String>,
}

/// A file by its folder and its name in it.
#[derive(Debug, Clone)]
pub struct Place {
    way: Arc<Way>,
    name: Arc<OsStr>,
}

/// A path as its row writes it, and its last part.
type Named<'p> = (&'p [u8], &'p str);

/// What is to be said of a path that a row names.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    Removable {
        place: Place,
        look: Look,
        /// Of the file's real path, where the row's own leads there through a symbolic link: a row that stays may name the file without that
        /// link.
        real: Option<CanonicalPath>,
    },
    /// Nothing is there any more; with its place where its folder still is.
    Gone(Option<Place>),
    /// It leads out of the storage roots.
    Outside(String),
    /// It cannot be removed, or must not be: the kind of the error entry, and why.
    Refused(&'static str, String),
}

impl Roots {
    /// `marker`: the name of a file that each root must hold, or none.
    pub fn open(paths: &[PathBuf], marker: Option<&str>, base: &Path, force: bool) -> Self {
        let roots: Vec<Root> = paths.iter().map(|path| Root::open(path, marker)).collect();
        let is_within = |(place, root): (usize, &Root)| {
            let others = roots.iter().enumerate();
            let mut others = others.filter(|(other, _)| *other != place);
            others.any(|(_, other)| root.real.starts_with(&other.real))
        };
        Self {
            overlap: roots.iter().enumerate().any(is_within),
            roots,
            base: base.to_owned(),
            force,
            held: Held {
                ways: Mutex::default(),
                most: (beneath::raise_open_files() / 2).min(MOST_HELD),
            },
        }
    }

    /// The roots that hold rows back, and why.
    pub fn unusable(&self) -> Vec<(PathBuf, String)> {
        let roots = self.roots.iter();
        roots.filter_map(|root| Some((root.path.clone(), root.unusable.clone()?))).collect()
    }

    /// Closes the folders of a batch.
    pub fn release(&self) {
        self.held.lock().clear();
    }

    /// Names of the same folders: each root as configured and as it really is.
    pub fn aliases(&self) -> Vec<(PathBuf, PathBuf)> {
        let roots = self.roots.iter();
        roots.map(|root| (root.path.clone(), root.real.clone())).collect()
    }

    /// The folders by symbolic links, each with the folder that it leads to, on the way to a root or to a folder of `swept` or beneath one: roots
    /// themselves, and what lies directly in one of them or where relative paths start. Deeper ones are not looked for: that would be a walk
    /// over every file.
    pub fn links(&self, swept: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
        let mut links = self.aliases();
        let around = [(self.base.clone(), self.base.clone())];
        for (path, real) in self.aliases().into_iter().chain(around) {
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries.flatten(),
                Err(error) => {
                    // Of a root that is missing its rows are told.
                    if error.kind() != io::ErrorKind::NotFound {
                        let shown = path.display();
                        log::warn!(
                            "{shown} cannot be listed: files that rows name by links in it are not known: {error}"
                        );
                    }
                    continue;
                }
            };
            let is_link =
                |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
            for entry in entries.filter(is_link) {
                let Ok(target) = entry.path().canonicalize() else {
                    continue;
                };
                if target.is_dir() {
                    links.push((path.join(entry.file_name()), target.clone()));
                    links.push((real.join(entry.file_name()), target));
                }
            }
        }
        let real = self.roots.iter().map(|root| &root.real);
        let matters: Vec<&PathBuf> = real.chain(swept).collect();
        links.retain(|(_, folder)| {
            let mut matters = matters.iter();
            matters.any(|own| folder.starts_with(own) || own.starts_with(folder))
        });
        links
    }

    /// Where a file really is, no symbolic link on the way.
    pub fn real_path(&self, place: &Place) -> PathBuf {
        self.real_folder(&place.way).join(&*place.name)
    }

    fn real_folder(&self, way: &Way) -> PathBuf {
        self.roots[way.root].real.join(&way.relative)
    }

    /// Looks at the paths, on several threads; nothing is changed.
    pub fn examine<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p [u8]>,
        aliases: &PathAliases,
    ) -> HashMap<&'p [u8], Finding> {
        let mut findings = HashMap::new();
        let mut by_folder: BTreeMap<&str, Vec<Named>> = BTreeMap::new();
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
        let pieces: Vec<(&str, &[Named])> = by_folder
            .iter()
            .flat_map(|(folder, names)| names.chunks(PIECE).map(move |names| (*folder, names)))
            .collect();
        let looked = LOOKING.each(&pieces, |(folder, names)| {
            self.look_into(&self.base.join(folder), names, aliases)
        });
        findings.extend(looked.into_iter().flatten());
        findings
    }

    fn look_into<'p>(
        &self,
        folder: &Path,
        names: &[Named<'p>],
        aliases: &PathAliases,
    ) -> Vec<(&'p [u8], Finding)> {
        let opened = match self.open_plainly(folder) {
            Some(opened) => Ok(opened),
            None => self.open_resolved(folder),
        };
        let (way, handle) = match opened {
            Ok(opened) => opened,
            Err(finding) => {
                let all = names.iter();
                return all.map(|(path, _)| (*path, finding.clone())).collect();
            }
        };
        let real_folder = self.real_folder(&way);
        let canonical =
            |folder: &Path, name: &str| aliases.canonical(folder.join(name).as_os_str().as_bytes());
        // Of something within them: a link leads on what lies beneath it.
        let is_linked = canonical(folder, "file") != canonical(&real_folder, "file");
        let each = names.iter().map(|(path, name)| {
            let place = Place { way: Arc::clone(&way), name: Arc::from(OsStr::new(name)) };
            let real = is_linked.then(|| canonical(&real_folder, name));
            (*path, finding(&handle, place, real))
        });
        each.collect()
    }

    fn open_resolved(&self, folder: &Path) -> Result<(Arc<Way>, Arc<Folder>), Finding> {
        let (root, relative) = self.resolve(folder)?;
        let way = self.held.way(root, &relative);
        let handle = self.folder(&way)?;
        Ok((way, handle))
    }

    /// Most folders lie beneath a root by their text, and no symbolic link is on the way: then the kernel has said so in opening them.
    fn open_plainly(&self, folder: &Path) -> Option<(Arc<Way>, Arc<Folder>)> {
        let climbs = folder.components().any(|part| part == std::path::Component::ParentDir);
        // A root within another one that is not mounted looks like an empty folder of the outer one.
        if climbs || self.held_back(folder).is_some() {
            return None;
        }
        let named = self.roots.iter().enumerate().filter_map(|(place, root)| {
            let relative = folder.strip_prefix(&root.path).ok()?;
            (root.unusable.is_none()).then_some((place, relative))
        });
        let (place, relative) = named.min_by_key(|(_, relative)| relative.as_os_str().len())?;
        let way = if self.overlap {
            // The way from the deepest root, so that each folder has one.
            let (place, relative) = self.beneath(&self.roots[place].real.join(relative))?;
            self.held.way(place, &relative)
        } else {
            self.held.way(place, relative)
        };
        let handle = self.folder(&way).ok()?;
        Some((way, handle))
    }

    /// The root that a folder really lies beneath, and its way from there.
    fn resolve(&self, folder: &Path) -> Result<(usize, PathBuf), Finding> {
        if let Some(waiting) = self.held_back(folder) {
            return Err(waiting);
        }
        match folder.canonicalize() {
            Ok(real) => {
                let (place, relative) = self.beneath(&real).ok_or_else(|| outside(&real))?;
                match &self.roots[place].unusable {
                    Some(why) if !self.force => {
                        Err(Finding::Refused("root_unavailable", why.clone()))
                    }
                    _ => Ok((place, relative)),
                }
            }
            Err(error) if is_absent(&error) => Err(self.absent(folder)),
            Err(error) => Err(Finding::Refused(
                "not_removable",
                format!("its folder cannot be reached: {error}"),
            )),
        }
    }

    /// A folder that is not there has no file; but what would be outside is outside all the same.
    fn absent(&self, folder: &Path) -> Finding {
        let existing = folder.ancestors().find_map(|folder| folder.canonicalize().ok());
        let is_inside = existing.is_some_and(|real| self.beneath(&real).is_some());
        let is_named = self.roots.iter().any(|root| lexical(folder).starts_with(&root.path));
        if is_inside || (is_named && self.force) { Finding::Gone(None) } else { outside(folder) }
    }

    /// By its text alone: whether it lies beneath a root that cannot be used now.
    fn held_back(&self, folder: &Path) -> Option<Finding> {
        if self.force {
            return None;
        }
        let folder = lexical(folder);
        let named = self
            .roots
            .iter()
            .filter(|root| folder.starts_with(&root.path) || folder.starts_with(&root.real))
            .max_by_key(|root| root.path.as_os_str().len())?;
        let why = named.unusable.clone()?;
        Some(Finding::Refused("root_unavailable", why))
    }

    /// The deepest root above a real path.
    fn beneath(&self, real: &Path) -> Option<(usize, PathBuf)> {
        let roots = self.roots.iter().enumerate();
        let found = roots.filter_map(|(place, root)| {
            let relative = real.strip_prefix(&root.real).ok()?;
            root.folder.as_ref().map(|_| (place, relative.to_owned()))
        });
        found.min_by_key(|(_, relative)| relative.as_os_str().len())
    }

    fn folder(&self, way: &Way) -> Result<Arc<Folder>, Finding> {
        if let Some(folder) = way.folder.get() {
            return Ok(Arc::clone(folder));
        }
        let Some(root) = &self.roots[way.root].folder else {
            return Err(Finding::Gone(None));
        };
        match root.beneath(&way.relative) {
            Ok(folder) if way.number < self.held.most => {
                // The first handle stays where two threads opened the same folder.
                Ok(Arc::clone(way.folder.get_or_init(|| Arc::new(folder))))
            }
            Ok(folder) => Ok(Arc::new(folder)),
            Err(Errno::NOENT) => Err(Finding::Gone(None)),
            Err(error) => Err(Finding::Refused(
                "not_removable",
                format!("its folder cannot be opened: {error}"),
            )),
        }
    }

    /// Unlinks files that were examined, in the order of their places, on several threads, and makes that last. For each file the bytes that
    /// it set free, or why it is still there.
    pub fn remove(&self, files: &[(Place, Look)]) -> Vec<Result<u64, String>> {
        let pieces: Vec<&[(Place, Look)]> =
            by_folder(files).flat_map(|files| files.chunks(PIECE)).collect();
        // Of a file with several names the last one sets the bytes free: these go one after the other.
        let removed = WRITING.each(&pieces, |files| -> Vec<Option<Result<u64, String>>> {
            let remove = |file: &(Place, Look)| (file.1.links <= 1).then(|| self.remove_one(file));
            files.iter().map(remove).collect()
        });
        let removed = files.iter().zip(removed.into_iter().flatten());
        let mut outcomes: Vec<_> = removed
            .map(|(file, outcome)| outcome.unwrap_or_else(|| self.remove_one(file)))
            .collect();
        self.sync(files, &mut outcomes);
        outcomes
    }

    /// Writes to the disk what was unlinked, before the rows are committed that named it. Only once all of it is done: where the file
    /// system has a journal, the first folder has it written, and the others find little left to do.
    fn sync(&self, files: &[(Place, Look)], outcomes: &mut [Result<u64, String>]) {
        let mut rest = outcomes;
        let mut folders = Vec::new();
        for files in by_folder(files) {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(files.len());
            rest = others;
            if own.iter().any(Result::is_ok) {
                folders.push((&files[0].0.way, own));
            }
        }
        let ways: Vec<&Arc<Way>> = folders.iter().map(|(way, _)| *way).collect();
        for ((_, outcomes), failed) in folders.into_iter().zip(self.write_out(&ways)) {
            if let Some(why) = failed {
                outcomes.fill(Err(why));
            }
        }
    }

    /// The same for files that were gone already, in the order of their places: a run that was killed may have unlinked them a moment ago.
    /// For each why that is not on the disk.
    pub fn sync_gone(&self, gone: &[Place]) -> Vec<Option<String>> {
        let folders = gone.chunk_by(|one, next| one.way.number == next.way.number);
        let ways: Vec<&Arc<Way>> = folders.clone().map(|files| &files[0].way).collect();
        let failed = folders.zip(self.write_out(&ways));
        failed.flat_map(|(files, why)| std::iter::repeat_n(why, files.len())).collect()
    }

    fn write_out(&self, ways: &[&Arc<Way>]) -> Vec<Option<String>> {
        WRITING.each(ways, |way| {
            // A folder that is gone has nothing to write; some file systems cannot sync one and need not.
            let folder = self.folder(way).ok()?;
            let error = folder.sync().err().filter(|error| *error == Errno::IO)?;
            Some(format!("its removal could not be written to the disk: {error}"))
        })
    }

    /// The bytes that the file set free; a folder that is gone has taken it along.
    fn remove_one(&self, (place, look): &(Place, Look)) -> Result<u64, String> {
        match self.folder(&place.way) {
            Ok(folder) => unlink(&folder, &place.name, look),
            Err(Finding::Refused(_, why) | Finding::Outside(why)) => Err(why),
            Err(_) => Ok(0),
        }
    }

    /// Removes the folders of these files that are empty now, and the ones above them, up to their roots; how many went.
    pub fn remove_empty_folders<'f>(&self, files: impl IntoIterator<Item = &'f Place>) -> u64 {
        let ways: BTreeMap<usize, &Way> =
            files.into_iter().map(|place| (place.way.number, place.way.as_ref())).collect();
        let mut folders: Vec<(usize, &Path)> = ways
            .into_values()
            .flat_map(|way| way.relative.ancestors().map(|folder| (way.root, folder)))
            .filter(|(_, folder)| !folder.as_os_str().is_empty())
            .collect();
        folders.sort_by_key(|(root, folder)| {
            (*root, std::cmp::Reverse(folder.components().count()), *folder)
        });
        folders.dedup();
        let mut gone = 0;
        for (root, folder) in folders {
            let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
                continue;
            };
            if let Ok(parent) = self.folder(&self.held.way(root, parent)) {
                gone += u64::from(parent.remove_folder(name).is_ok());
            }
        }
        gone
    }
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<(usize, PathBuf), Arc<Way>>> {
        self.ways.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    fn way(&self, root: usize, relative: &Path) -> Arc<Way> {
        let mut ways = self.lock();
        let number = ways.len();
        let way = ways.entry((root, relative.to_owned())).or_insert_with(|| {
            let (relative, folder) = (relative.to_owned(), OnceLock::new());
            Arc::new(Way { root, relative, number, folder })
        });
        Arc::clone(way)
    }
}

impl Root {
    fn open(path: &Path, marker: Option<&str>) -> Self {
        let mut root =
            Self { path: lexical(path), real: lexical(path), folder: None, unusable: None };
        let shown = path.display();
        match path.canonicalize().and_then(|real| {
            root.real = real;
            Folder::open(&root.real).map_err(io::Error::from)
        }) {
            Err(error) => {
                root.unusable = Some(format!(
                    "the storage root {shown} cannot be opened: {error}; is its volume mounted here?"
                ));
            }
            Ok(folder) => {
                let is_empty =
                    std::fs::read_dir(&root.real).is_ok_and(|mut entries| entries.next().is_none());
                if is_empty {
                    root.unusable = Some(format!(
                        "the storage root {shown} is empty; is its volume mounted here?"
                    ));
                } else if let Some(marker) = marker
                    && !matches!(folder.look(OsStr::new(marker)), Ok(Some(_)))
                {
                    root.unusable = Some(format!(
                        "the storage root {shown} lacks its marker {marker}; is its volume mounted here?"
                    ));
                }
                root.folder = Some(folder);
            }
        }
        root
    }
}

impl Place {
    /// The path for messages, from its root on.
    pub fn shown(&self) -> String {
        self.way.relative.join(&*self.name).display().to_string()
    }
}

impl Ord for Place {
    /// By folder, then by name; only within a batch.
    fn cmp(&self, other: &Self) -> Ordering {
        let own = (self.way.number, &self.name);
        own.cmp(&(other.way.number, &other.name))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Place {}

/// Neighbours in one folder.
fn by_folder(files: &[(Place, Look)]) -> impl Iterator<Item = &[(Place, Look)]> {
    files.chunk_by(|(one, _), (next, _)| one.way.number == next.way.number)
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
    if text.chars().any(char::is_control) {
        return Err(refused("it holds control characters"));
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

fn finding(folder: &Folder, place: Place, real: Option<CanonicalPath>) -> Finding {
    match folder.look(&place.name) {
        Ok(None) | Err(Errno::NOTDIR) => Finding::Gone(Some(place)),
        Err(error) => Finding::Refused("not_removable", format!("it cannot be looked at: {error}")),
        Ok(Some(look)) if look.kind != FileType::RegularFile => Finding::Refused(
            "not_a_file",
            format!("it is {}, not a regular file", kind_name(look.kind)),
        ),
        Ok(Some(look)) => match folder.hindrance(&look) {
            Some(why) => Finding::Refused("not_removable", why),
            None => Finding::Removable { place, look, real },
        },
    }
}

/// Removes what was examined, and nothing that has taken its place since.
fn unlink(folder: &Folder, name: &OsStr, examined: &Look) -> Result<u64, String> {
    let look = match folder.look(name) {
        Ok(None) => return Ok(0),
        Ok(Some(look)) => look,
        Err(error) => return Err(format!("it cannot be looked at: {error}")),
    };
    if (look.kind, look.id, look.modified) != (examined.kind, examined.id, examined.modified) {
        return Err("it has changed since it was examined".to_owned());
    }
    match folder.unlink(name) {
        Ok(()) if look.links > 1 => Ok(0),
        Ok(()) => Ok(look.len),
        Err(Errno::NOENT) => Ok(0),
        Err(error) => Err(format!("it cannot be removed: {error}")),
    }
}

fn outside(path: &Path) -> Finding {
    Finding::Outside(format!("it leads to {}, which is beneath no storage root", path.display()))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Without `.`, and without `..` and the folder before it; on the text alone.
pub fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

/// A path of a row for messages.
pub fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(Path::new(OsStr::from_bytes(path)).as_os_str().as_bytes())
        .replace(char::is_control, "\u{fffd}");
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
