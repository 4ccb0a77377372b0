//! The paths by which rows may know the folders: as configured, as they really are, by links and by mounts.

use super::Roots;
use super::bound::{self, Alias, name_of};
use super::dir::id_at;
use super::paths::lexical;
use crate::mapping::canonical_path::PathAliases;
use crate::system::disk::mounts;
use std::path::{Path, PathBuf};

/// A link to a folder above itself is on the way of ever longer paths: no more are looked for, beginning with the shortest.
const MOST_ALIASES: usize = 50;

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
    let (links, bound) = chained(&roots.links(swept, &bound), &bound);
    let files = through(&links, &bound_files).chain(bound_files.iter().cloned());
    let links = (links.iter().map(|(link, folder)| (link.clone(), name_of(folder, &bound))))
        .chain(bound.iter().cloned());
    let mut aliases = PathAliases::new(folders);
    if let Some(base) = real_base.to_str() {
        aliases = aliases.with_base(base);
    }
    aliases.with_links(links.filter_map(as_text)).with_files(files.filter_map(as_text))
}

/// Where the list of mounts cannot be read, nobody knows of any.
fn bound_paths(folders: &[PathBuf]) -> Vec<Alias> {
    match mounts::read() {
        Ok(mounts) => bound::aliases(folders, &mounts, &is_same),
        Err(error) => {
            log::warn!("files that rows name by way of bind mounts are not known: {error}");
            Vec::new()
        }
    }
}

/// The links and the mounts, with the paths that lead through several of them: by a link to a folder with another one in it or a mount, or by a
/// mount to a link.
fn chained(links: &[Alias], bound: &[Alias]) -> (Vec<Alias>, Vec<Alias>) {
    let (mut all_links, mut all_bound) = (links.to_vec(), bound.to_vec());
    loop {
        let known = [all_links.as_slice(), &all_bound].concat();
        add_new(&mut all_links, through(&known, links), &known);
        let more = through(&all_links, bound).collect::<Vec<_>>().into_iter();
        add_new(&mut all_bound, more, &known);
        let count = all_links.len() + all_bound.len();
        if count == known.len() || count >= MOST_ALIASES {
            return (all_links, all_bound);
        }
    }
}

/// Adds what does not follow from what is known, and is so.
fn add_new(all: &mut Vec<Alias>, more: impl Iterator<Item = Alias>, known: &[Alias]) {
    let mut new: Vec<Alias> =
        more.filter(|(path, folder)| name_of(path, known) != *folder).collect();
    new.sort_by_key(|(path, _)| path.as_os_str().len());
    new.retain(|(path, folder)| is_same(path, folder));
    new.truncate(MOST_ALIASES.saturating_sub(known.len()));
    all.extend(new);
    all.sort();
    all.dedup_by(|next, one| next.0 == one.0);
}

fn is_same(one: &Path, other: &Path) -> bool {
    id_at(one).is_some_and(|id| id_at(other) == Some(id))
}

/// The paths by which each of some folders and files is reached through what leads to a folder above it.
fn through<'a>(ways: &'a [Alias], others: &'a [Alias]) -> impl Iterator<Item = Alias> + use<'a> {
    ways.iter().flat_map(move |(way, folder)| {
        others.iter().filter_map(move |(path, name)| {
            let rest = path.strip_prefix(folder).ok()?;
            (!rest.as_os_str().is_empty()).then(|| (way.join(rest), name.clone()))
        })
    })
}

fn text(path: &Path) -> Option<String> {
    path.to_str().map(str::to_owned)
}

fn as_text((path, name): Alias) -> Option<(String, String)> {
    text(&path).zip(text(&name))
}
