//! The paths by which rows may know the folders: as configured, as they really are, by links and by mounts.

use super::Roots;
use super::bound::{self, Alias, name_of};
use super::dir::id_at;
use super::paths::lexical;
use crate::mapping::canonical_path::PathAliases;
use crate::system::disk::mounts;
use std::path::{Path, PathBuf};

/// `swept`: where the folders that are swept really are; rows may name files in them.
pub fn path_aliases(roots: &Roots, swept: &[PathBuf]) -> PathAliases {
    let base = lexical(roots.base());
    let real_base = base.canonicalize().unwrap_or_else(|_| base.clone());
    let mut folders = Vec::new();
    for folder in [&base, &real_base] {
        folders.extend(text(folder).map(|folder| (folder, String::new())));
    }
    for (path, real) in roots.aliases() {
        let name = path.strip_prefix(&base).unwrap_or(&path);
        if !real.starts_with(&base) && !real.starts_with(&real_base) {
            folders.extend(text(&real).zip(text(name)));
        }
    }
    let real_roots = roots.aliases().into_iter().map(|(_, real)| real);
    let real: Vec<PathBuf> =
        [real_base.clone()].into_iter().chain(real_roots).chain(swept.iter().cloned()).collect();
    let (bound_files, bound): (Vec<Alias>, Vec<Alias>) =
        bound_paths(&real).into_iter().partition(|(path, _)| path.is_file());
    let links = roots.links(swept);
    let files = through_links(&links, &bound_files).chain(bound_files.iter().cloned());
    let links = (links.iter().map(|(link, folder)| (link.clone(), name_of(folder, &bound))))
        .chain(through_links(&links, &bound))
        .chain(bound.iter().cloned());
    let mut aliases = PathAliases::new(folders);
    if let Some(base) = real_base.to_str() {
        aliases = aliases.with_base(base);
    }
    aliases.with_links(links.filter_map(as_text)).with_files(files.filter_map(as_text))
}

/// Where the list of mounts cannot be read, nobody knows of any.
fn bound_paths(folders: &[PathBuf]) -> Vec<Alias> {
    let is_same = |one: &Path, other: &Path| id_at(one).is_some_and(|id| id_at(other) == Some(id));
    match mounts::read() {
        Ok(mounts) => bound::aliases(folders, &mounts, &is_same),
        Err(error) => {
            log::warn!("files that rows name by way of bind mounts are not known: {error}");
            Vec::new()
        }
    }
}

/// The paths through each link that are known by another name.
fn through_links<'a>(
    links: &'a [Alias],
    bound: &'a [Alias],
) -> impl Iterator<Item = Alias> + use<'a> {
    links.iter().flat_map(move |(link, folder)| {
        bound.iter().filter_map(move |(path, name)| {
            let rest = path.strip_prefix(folder).ok()?;
            (!rest.as_os_str().is_empty()).then(|| (link.join(rest), name.clone()))
        })
    })
}

fn text(path: &Path) -> Option<String> {
    path.to_str().map(str::to_owned)
}

fn as_text((path, name): Alias) -> Option<(String, String)> {
    text(&path).zip(text(&name))
}
