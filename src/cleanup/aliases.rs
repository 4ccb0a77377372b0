//! The names under which rows may know the folders: as configured, and as they really are.

use super::paths::lexical;
use super::{Config, Roots};
use crate::mapping::canonical_path::PathAliases;
use std::path::{Path, PathBuf};

pub fn path_aliases(roots: &Roots, config: &Config) -> PathAliases {
    let base = lexical(roots.base());
    let real_base = base.canonicalize().unwrap_or_else(|_| base.clone());
    let text = |path: &Path| path.to_str().map(str::to_owned);
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
    let swept: Vec<PathBuf> = (config.temp_dirs.iter())
        .map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()))
        .collect();
    let links = roots.links(&swept);
    let links = links.iter().filter_map(|(link, folder)| text(link).zip(text(folder)));
    let mut aliases = PathAliases::new(folders);
    if let Some(base) = real_base.to_str() {
        aliases = aliases.with_base(base);
    }
    aliases.with_links(links)
}
