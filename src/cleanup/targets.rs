//! The folders to sweep, and those that are never swept, whatever a configuration says.

use super::dir::{Dir, id_at};
use super::paths::{lexical, shown};
use crate::folder::Folder;
use crate::outcome::{Failure, Kind};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Folders of the system: a mistake in a configuration must not reach them.
const SYSTEM: [&str; 19] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt",
    "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var", "/var/tmp",
];

/// A folder to sweep.
#[derive(Debug)]
pub struct Target {
    /// As configured, absolute.
    pub path: PathBuf,
    /// With every symbolic link resolved.
    pub real: PathBuf,
    /// Open from when it was judged until the run ends, so that it is the folder that is swept; or why it cannot be.
    pub folder: Result<Dir, String>,
}

impl Target {
    /// Device and inode.
    pub fn id(&self) -> Option<(u64, u64)> {
        self.folder.as_ref().ok().map(Dir::id)
    }

    /// # Errors
    /// Why it cannot be swept.
    pub fn open(&self) -> Result<Dir, String> {
        let folder = self.folder.as_ref().map_err(String::clone)?;
        folder.open_beneath(Path::new("")).map_err(|error| error.to_string())
    }
}

/// What taskmon itself needs, and where: no folder that holds it is swept.
pub struct Needed {
    pub what: &'static str,
    pub path: PathBuf,
}

/// The folders that exist, opened.
///
/// # Errors
/// [`Kind::FolderRefused`], before anything is deleted.
pub fn resolve_targets(
    key: &str,
    folders: &[PathBuf],
    needed: &[Needed],
    homes: &[PathBuf],
) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for path in folders {
        let path = lexical(path);
        let opened = Folder::open(&path);
        let real = opened.as_ref().map_or(path.as_path(), Folder::real).to_owned();
        let folder = opened.and_then(|folder| Dir::of(&folder));
        let found = Found { paths: [&path, &real], id: folder.as_ref().ok().map(Dir::id) };
        if let Some(why) = why_never(&found, needed, homes) {
            let message = format!("{key}: {} is never swept: {why}", shown(&path));
            return Err(Failure::new(Kind::FolderRefused, message)
                .hint("name a folder that holds nothing but what may go"));
        }
        match folder {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            folder => {
                let folder = folder.map_err(|error| error.to_string());
                targets.push(Target { path, real, folder });
            }
        }
    }
    Ok(targets)
}

/// A folder by all that identifies it.
struct Found<'a> {
    paths: [&'a Path; 2],
    /// Device and inode: a bind mount is another path to the same folder.
    id: Option<(u64, u64)>,
}

impl Found<'_> {
    fn is(&self, path: &Path) -> bool {
        self.paths.contains(&path) || (self.id.is_some() && id_at(path) == self.id)
    }

    /// Whether a path leads to it or into it.
    fn holds(&self, path: &Path) -> bool {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        [path, &real].into_iter().any(|path| path.ancestors().any(|above| self.is(above)))
    }

    /// The same of a home folder, which may be on a server that does not answer: only what is above it is looked at.
    fn holds_home(&self, home: &Path) -> bool {
        self.paths.iter().any(|path| home.starts_with(path))
            || home.parent().is_some_and(|above| self.holds(above))
    }
}

fn why_never(found: &Found, needed: &[Needed], homes: &[PathBuf]) -> Option<String> {
    if SYSTEM.iter().any(|system| found.is(Path::new(system))) {
        return Some("it is a folder of the system".to_owned());
    }
    if let Some(home) = homes.iter().find(|home| found.holds_home(home)) {
        return Some(if found.paths.contains(&home.as_path()) {
            "it is a home folder".to_owned()
        } else {
            format!("it holds the home folder {}", shown(home))
        });
    }
    let held = needed.iter().find(|needed| found.holds(&needed.path))?;
    Some(format!("it holds {}, {}", held.what, shown(&held.path)))
}

/// The home folders of this machine: `home` of this user, root's, those beneath /home and of users that log in.
pub fn home_folders(home: Option<&Path>) -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = vec![PathBuf::from("/root")];
    homes.extend(home.map(Path::to_owned));
    if let Ok(entries) = std::fs::read_dir("/home") {
        homes.extend(entries.flatten().map(|entry| entry.path()));
    }
    // Users may be kept elsewhere (LDAP); /home and $HOME are known all the same.
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    for line in users.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [_, _, _, _, _, home, shell] = fields.as_slice()
            && !shell.ends_with("nologin")
            && !shell.ends_with("false")
            && home.len() > 1
        {
            homes.push(PathBuf::from(home));
        }
    }
    homes.retain(|home| home != Path::new("/"));
    // `/home` may be a link to where they really are.
    let real = |home: &PathBuf| Some(home.parent()?.canonicalize().ok()?.join(home.file_name()?));
    let really: Vec<PathBuf> = homes.iter().filter_map(real).collect();
    homes.extend(really);
    homes.sort();
    homes.dedup();
    homes
}
