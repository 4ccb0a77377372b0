//! The folders to sweep, and those that are never swept, whatever a configuration says.

use super::paths::lexical;
use crate::outcome::{Failure, Kind};
use std::path::{Path, PathBuf};

/// Folders of the system: a mistake in a configuration must not reach them.
const SYSTEM: [&str; 19] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt",
    "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var", "/var/tmp",
];

/// A folder to sweep.
#[derive(Debug, Clone)]
pub struct Target {
    /// As configured, absolute.
    pub path: PathBuf,
    /// With every symbolic link resolved.
    pub real: PathBuf,
}

/// What taskmon itself needs, and where: no folder that holds it is swept.
pub struct Needed {
    pub what: &'static str,
    pub path: PathBuf,
}

/// The folders that exist, with their links resolved.
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
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        for folder in [&path, &real] {
            if let Some(why) = why_never(folder, needed, homes) {
                let message = format!("{key}: {} is never swept: {why}", path.display());
                return Err(Failure::new(Kind::FolderRefused, message)
                    .hint("name a folder that holds nothing but what may go"));
            }
        }
        if path.symlink_metadata().is_ok() {
            targets.push(Target { path, real });
        }
    }
    Ok(targets)
}

fn why_never(folder: &Path, needed: &[Needed], homes: &[PathBuf]) -> Option<String> {
    if SYSTEM.iter().any(|system| Path::new(system) == folder) {
        return Some("it is a folder of the system".to_owned());
    }
    if let Some(home) = homes.iter().find(|home| home.starts_with(folder)) {
        return Some(if home == folder {
            "it is a home folder".to_owned()
        } else {
            format!("it holds the home folder {}", home.display())
        });
    }
    let held = needed.iter().find(|needed| {
        let real = needed.path.canonicalize().unwrap_or_else(|_| needed.path.clone());
        needed.path.starts_with(folder) || real.starts_with(folder)
    })?;
    Some(format!("it holds {}, {}", held.what, held.path.display()))
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
    homes
}
