//! Folders that are never swept, whatever a configuration says.

use super::sweep::Target;
use crate::outcome::{Failure, Kind};
use std::path::{Path, PathBuf};

/// Folders of the system: a mistake in a configuration must not reach them.
const SYSTEM: [&str; 19] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt",
    "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var", "/var/tmp",
];

/// What taskmon itself needs, and where: nothing above it is swept.
pub struct Needed {
    pub what: &'static str,
    pub path: PathBuf,
}

/// The folders as they really are; one that is missing is left out.
///
/// # Errors
/// [`Kind::FolderRefused`], before anything is deleted.
pub fn targets(
    key: &str,
    folders: &[PathBuf],
    needed: &[Needed],
    homes: &[PathBuf],
) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for path in folders {
        let path = super::files::lexical(path);
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        for folder in [&path, &real] {
            if let Some(why) = objection(folder, needed, homes) {
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

fn objection(folder: &Path, needed: &[Needed], homes: &[PathBuf]) -> Option<String> {
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

/// The home folders of this machine's people: root's, and those beneath /home or of users that log in.
pub fn homes(own: Option<&Path>) -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = vec![PathBuf::from("/root")];
    homes.extend(own.map(Path::to_owned));
    if let Ok(entries) = std::fs::read_dir("/home") {
        homes.extend(entries.flatten().map(|entry| entry.path()));
    }
    // A machine that has no such file has its users elsewhere; /home and $HOME are known all the same.
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
