//! One file, one path: the canonical form of the paths in rows. Two rows that write a path in different ways still name one file.

use std::borrow::Cow;

/// A path in its canonical form, as [`PathAliases`] makes it: equal for all rows that name one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPath(Vec<u8>);

impl CanonicalPath {
    /// Bytes that are canonical already, because a database's expression has made them so.
    pub fn from_canonical(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `None`: it is not valid UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

/// A path that a row names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPath {
    /// As the row has it.
    pub stored: Vec<u8>,
    pub canonical: CanonicalPath,
}

/// Folders that have several names: an absolute path beneath one of them is taken for the path that the rows would use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PathAliases {
    /// An absolute folder, without a slash at its end, and what a row writes in its place; the longest folder comes first.
    folders: Vec<(String, String)>,
    /// A folder that is a symbolic link and the one that it leads to, both canonical but for links; the longest first.
    links: Vec<(String, String)>,
    /// The absolute folder where relative paths start, without a link on its way and without a slash at its end.
    base: String,
}

impl PathAliases {
    /// `folders`: absolute folders, and what relative paths of rows write for them (`""` for the folder where they start).
    pub fn new(mut folders: Vec<(String, String)>) -> Self {
        folders.sort_by_key(|(folder, _)| std::cmp::Reverse(folder.len()));
        folders.dedup();
        Self { folders, links: Vec::new(), base: String::new() }
    }

    /// Knows where a relative path leads that begins with `..`.
    pub fn with_base(mut self, base: &str) -> Self {
        self.base = base.trim_end_matches('/').to_owned();
        self
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// Takes what lies beneath a folder that is a symbolic link for what lies beneath the one that it leads to. `links`: absolute folders, the
    /// second of each without a link on its way.
    pub fn with_links(mut self, links: impl IntoIterator<Item = (String, String)>) -> Self {
        // As the start of what lies beneath it.
        let canonical = |folder: String| {
            let file = format!("{folder}/file");
            let canonical = String::from_utf8_lossy(&self.lexical(file.as_bytes())).into_owned();
            let start = canonical.strip_suffix("file").unwrap_or_default();
            start.trim_end_matches('/').to_owned()
        };
        let mut links: Vec<(String, String)> = links
            .into_iter()
            .map(|(link, folder)| (canonical(link), canonical(folder)))
            .filter(|(link, folder)| link != folder && !link.is_empty())
            .collect();
        links.sort_by(|one, next| (next.0.len(), next).cmp(&(one.0.len(), one)));
        links.dedup();
        self.links = links;
        self
    }

    pub fn folders(&self) -> &[(String, String)] {
        &self.folders
    }

    pub fn links(&self) -> &[(String, String)] {
        &self.links
    }

    pub fn row_path(&self, stored: Vec<u8>) -> RowPath {
        RowPath { canonical: self.canonical(&stored), stored }
    }

    /// The canonical form of a path: no `.`, no `..` that a folder before it takes back, no double slash, relative where it can be.
    ///
    /// It works on the text alone, so two ways through a symbolic link stay two paths, but for the links that it knows.
    pub fn canonical(&self, path: &[u8]) -> CanonicalPath {
        let lexical = self.lexical(path);
        CanonicalPath(self.follow_link(&lexical).unwrap_or_else(|| lexical.into_owned()))
    }

    /// Where a link leads on the path's way.
    fn follow_link(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.links.iter().find_map(|(link, folder)| replace_start(path, link, folder))
    }

    fn lexical<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        // Most are canonical already.
        let is_plain = |pair: &[u8]| !matches!(pair, b"//" | b"/.");
        let edges = (path.first(), path.last());
        if !matches!(edges, (Some(b'/' | b'.'), _) | (_, Some(b'/')))
            && path.windows(2).all(is_plain)
        {
            return Cow::Borrowed(path);
        }
        Cow::Owned(self.rewrite(path))
    }

    fn rewrite(&self, path: &[u8]) -> Vec<u8> {
        let is_relative = path.first() != Some(&b'/');
        let start = if is_relative { self.base.as_bytes() } else { b"" };
        let mut parts: Vec<&[u8]> = Vec::new();
        let start_parts = start.split(|byte| *byte == b'/');
        for part in start_parts.chain(path.split(|byte| *byte == b'/')) {
            match part {
                b"" | b"." => {}
                b".." if parts.last().is_some_and(|last| *last != b"..") => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let joined = parts.join(&b'/');
        if is_relative && self.base.is_empty() {
            return joined;
        }
        let absolute = [b"/".as_slice(), &joined].concat();
        let named =
            self.folders.iter().find_map(|(folder, name)| replace_start(&absolute, folder, name));
        named.unwrap_or(absolute)
    }
}

/// A path beneath `folder` as one beneath `name`; `""`: relative to it. `None`: it lies elsewhere.
fn replace_start(path: &[u8], folder: &str, name: &str) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(folder.as_bytes())?.strip_prefix(b"/")?;
    Some(match name {
        "" => rest.to_vec(),
        name => [name.as_bytes(), b"/", rest].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_path_has_one_canonical_form() {
        let aliases = PathAliases::new(vec![
            ("/srv/app".into(), String::new()),
            ("/mnt/volume".into(), "uploads".into()),
        ]);
        for path in [
            "uploads/a.png",
            "./uploads/a.png",
            "uploads//a.png",
            "uploads/./a.png",
            "uploads/x/../a.png",
            "/srv/app/uploads/a.png",
            "/srv/app/./uploads//a.png",
            "/mnt/volume/a.png",
        ] {
            let canonical = aliases.canonical(path.as_bytes());
            assert_eq!(canonical.to_str(), Some("uploads/a.png"), "{path}");
        }
    }

    #[test]
    fn a_link_that_is_known_leads_on() {
        let folders = vec![("/srv/app".into(), String::new())];
        let aliases = PathAliases::new(folders).with_links(
            [
                ("/srv/app/static/uploads", "/srv/app/uploads"),
                ("/srv/app/static/uploads/old", "/mnt/old"),
                ("/srv/app/current", "/srv/app"),
                ("/srv/app/uploads", "/srv/app/uploads"),
            ]
            .map(|(link, folder)| (link.to_owned(), folder.to_owned())),
        );
        for (path, canonical) in [
            ("static/uploads/a", "uploads/a"),
            ("/srv/app/static//uploads/a", "uploads/a"),
            ("static/uploads/old/a", "/mnt/old/a"),
            ("current/a", "a"),
            ("static/uploads2/a", "static/uploads2/a"),
            ("x/static/uploads/a", "x/static/uploads/a"),
            ("static/uploads", "static/uploads"),
        ] {
            assert_eq!(aliases.canonical(path.as_bytes()).to_str(), Some(canonical), "{path}");
        }
    }

    #[test]
    fn what_only_looks_alike_stays_apart() {
        let aliases = PathAliases::new(vec![("/srv/app".into(), String::new())]);
        for (path, canonical) in [
            ("/srv/application/a", "/srv/application/a"),
            ("../a", "../a"),
            ("../../a", "../../a"),
            ("uploads/.hidden", "uploads/.hidden"),
            ("uploads/a..b", "uploads/a..b"),
        ] {
            assert_eq!(aliases.canonical(path.as_bytes()).to_str(), Some(canonical), "{path}");
        }
    }
}
