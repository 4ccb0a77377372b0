//! Folders and files that have several paths because they are mounted in several places: `mount --bind` has no link that anybody could see.
//!
//! A file system and a path within it are one place, and each place gets one name; the other paths to it lead there, as links do. The kernel's
//! list of mounts says which paths these are, and device and inode are compared, because another mount may hide what is beneath it.

use crate::system::disk::mounts::{Mount, Place, find_mount};
use std::path::{Path, PathBuf};

/// A path, and the one by which the same folder or file is known.
pub type Alias = (PathBuf, PathBuf);

/// The further paths to some folders and what lies beneath them; `folders` have no link on their way, and of two that are one place the first
/// gives the name. `is_same` compares what two paths lead to.
pub fn aliases(
    folders: &[PathBuf],
    mounts: &[Mount],
    is_same: &dyn Fn(&Path, &Path) -> bool,
) -> Vec<Alias> {
    let is_inside = |mount: &&Mount| folders.iter().any(|folder| mount.point.starts_with(folder));
    let inside = mounts.iter().filter(is_inside).map(|mount| mount.point.clone());
    let paths = folders.iter().cloned().chain(inside);
    // What a later mount hides is no place of its own.
    let places: Vec<(Place, PathBuf)> = paths
        .filter_map(|path| Some((find_mount(&path, mounts)?.place_of(&path)?, path)))
        .collect();
    let mut names = Names { claimed: Vec::new(), aliases: Vec::new(), is_same };
    for (place, path) in &places {
        names.add(place, path);
    }
    for mount in mounts.iter().filter(|mount| places.iter().any(|(place, _)| place.is_on(mount))) {
        let root = mount.place_of(&mount.point);
        for root in root.iter().filter(|root| places.iter().any(|(of, _)| root.is_within(of))) {
            names.add(root, &mount.point);
        }
        for (place, _) in &places {
            if let Some(path) = mount.path_to(place) {
                names.add(place, &path);
            }
        }
    }
    // What is mounted beneath such a path lies in no other folder.
    let shielded = names.claimed.iter().map(|(_, path)| (path.clone(), path.clone()));
    let mut all: Vec<Alias> = names.aliases.into_iter().chain(shielded).collect();
    all.sort();
    all.dedup_by(|next, one| next.0 == one.0);
    // What follows from another one need not be said.
    let says_more = |(path, name): &&Alias| {
        let others = all.iter().filter(|(other, _)| other != path);
        name_of(path, others) != *name
    };
    all.iter().filter(says_more).cloned().collect()
}

/// A path by the name of the deepest folder above it, or of itself, that has another.
pub fn name_of<'a>(path: &Path, aliases: impl IntoIterator<Item = &'a Alias>) -> PathBuf {
    let above =
        aliases.into_iter().filter_map(|(of, name)| Some((name, path.strip_prefix(of).ok()?)));
    match above.min_by_key(|(_, rest)| rest.as_os_str().len()) {
        Some((name, rest)) => join(name, rest),
        None => path.to_owned(),
    }
}

struct Names<'a> {
    claimed: Vec<(Place, PathBuf)>,
    aliases: Vec<Alias>,
    is_same: &'a dyn Fn(&Path, &Path) -> bool,
}

impl Names<'_> {
    fn add(&mut self, place: &Place, path: &Path) {
        let known = self.claimed.iter().filter_map(|(of, name)| {
            let name = join(name, place.beneath(of)?);
            (name == path || (self.is_same)(&name, path)).then_some((of.depth(), name))
        });
        let alias = match known.max_by_key(|(depth, _)| *depth) {
            Some((_, name)) if name == path => None,
            Some((_, name)) => Some((path.to_owned(), name)),
            None => {
                self.claimed.push((place.clone(), path.to_owned()));
                None
            }
        };
        let within = self.claimed.iter().filter_map(|(of, name)| {
            let path = join(path, of.beneath(place)?);
            (path != *name && (self.is_same)(&path, name)).then(|| (path, name.clone()))
        });
        let found: Vec<Alias> = within.chain(alias).collect();
        self.aliases.extend(found);
    }
}

/// Without the slash at its end that an empty rest would add.
fn join(path: &Path, rest: &Path) -> PathBuf {
    path.join(rest).components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::disk::mounts::parse_mounts;

    /// As `path -> name`, those that lead to themselves left out.
    fn found(folders: &[&str], list: &str) -> Vec<String> {
        let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
        let mounts = parse_mounts(list.as_bytes());
        // What a path leads to is what the last mount on its way shows there.
        let place = |path: &Path| find_mount(path, &mounts).and_then(|mount| mount.place_of(path));
        let is_same = |one: &Path, other: &Path| place(one) == place(other);
        let found = aliases(&folders, &mounts, &is_same).into_iter();
        let found = found.filter(|(path, name)| path != name);
        found.map(|(path, name)| format!("{} -> {}", path.display(), name.display())).collect()
    }

    const ROOT: &str = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:5 / /proc rw - proc proc rw\n";

    #[test]
    fn a_mount_of_a_folder_is_that_folder() {
        for (mounts, expected) in [
            // Of one storage root within another.
            (
                "30 20 8:1 /app/uploads/a /app/uploads/b rw - ext4 /dev/sda1 rw\n",
                vec!["/app/uploads/b -> /app/uploads/a"],
            ),
            // Of a file.
            (
                "30 20 8:1 /app/uploads/a/F /app/uploads/b/F rw - ext4 /dev/sda1 rw\n",
                vec!["/app/uploads/b/F -> /app/uploads/a/F"],
            ),
            // To a place elsewhere, by which rows may know it; of the folder, of one above it, and of one within it.
            (
                "30 20 8:1 /app/uploads /mnt/x rw - ext4 /dev/sda1 rw\n",
                vec!["/mnt/x -> /app/uploads"],
            ),
            ("30 20 8:1 / /mnt/x rw - ext4 /dev/sda1 rw\n", vec!["/mnt/x/app -> /app"]),
            (
                "30 20 8:1 /app/uploads/a /mnt/x rw - ext4 /dev/sda1 rw\n",
                vec!["/mnt/x -> /app/uploads/a"],
            ),
            // From elsewhere.
            (
                "30 20 8:1 /srv/a /app/uploads/b rw - ext4 /dev/sda1 rw\n",
                vec!["/srv/a -> /app/uploads/b"],
            ),
            // A volume that only such mounts show, as in a container.
            (
                "30 20 8:9 /vol /app/uploads/a rw - ext4 /dev/sdb rw\n31 20 8:9 /vol /app/uploads/b rw - ext4 /dev/sdb rw\n",
                vec!["/app/uploads/b -> /app/uploads/a"],
            ),
            (
                "30 20 8:9 /vol/in /app/uploads/a rw - ext4 /dev/sdb rw\n31 20 8:9 /vol /app/uploads/b rw - ext4 /dev/sdb rw\n",
                vec!["/app/uploads/b/in -> /app/uploads/a"],
            ),
            // Folders of one server.
            (
                "30 20 0:50 / /app/uploads/a rw - nfs4 nas:/export rw\n31 20 0:50 / /app/uploads/b rw - nfs4 nas:/export/in rw\n",
                vec!["/app/uploads/b -> /app/uploads/a/in"],
            ),
            (
                "30 20 0:50 / /app/uploads/a rw - nfs4 nas:/one rw\n31 20 0:50 / /app/uploads/b rw - nfs4 nas:/two rw\n",
                vec![],
            ),
            // Another file system, and one in whose place another is seen.
            ("30 20 8:9 / /app/uploads/b rw - ext4 /dev/sdb rw\n", vec![]),
            (
                "30 20 8:1 /app/uploads/a /app/uploads/b rw - ext4 /dev/sda1 rw\n31 20 8:9 / /app/uploads/a rw - ext4 /dev/sdb rw\n",
                vec![],
            ),
        ] {
            let list = format!("{ROOT}{mounts}");
            assert_eq!(found(&["/app", "/app/uploads"], &list), expected, "{mounts}");
        }
    }

    #[test]
    fn of_several_paths_one_is_the_name() {
        let list = format!(
            "{ROOT}30 20 8:1 /data/app /app rw - ext4 /dev/sda1 rw\n31 30 8:1 /data/app/uploads/a /app/static/b rw - ext4 /dev/sda1 rw\n"
        );
        let expected = [
            "/app/static/b -> /app/uploads/a",
            "/data/app -> /app",
            "/data/app/uploads/a -> /app/uploads/a",
        ];
        let found = found(&["/app", "/data", "/app/uploads", "/app/static"], &list);
        for alias in &expected[..2] {
            assert!(found.iter().any(|found| found == alias), "{alias} in {found:?}");
        }
        let names: Vec<&str> = found.iter().filter_map(|one| one.split(" -> ").nth(1)).collect();
        // No name leads on to another one.
        for path in found.iter().filter_map(|one| one.split(" -> ").next()) {
            assert!(!names.contains(&path), "{path} in {found:?}");
        }
    }
}
