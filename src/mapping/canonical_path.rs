//! One file, one path: the canonical form of the paths in rows. Two rows that write a path in different ways still name one file.

use std::borrow::Cow;

/// The longest path that the kernel takes, its end included: one that has as many bytes names no file.
pub const LONGEST_PATH: usize = 4096;

/// A path in its canonical form, as [`PathAliases`] makes it: equal for all rows that name one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPath(Vec<u8>);

impl CanonicalPath {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it begins with the start of others; the empty start is that of all relative ones.
    pub fn starts_with(&self, start: &str) -> bool {
        if start.is_empty() {
            !self.0.starts_with(b"/")
        } else {
            self.0.starts_with(start.as_bytes())
        }
    }

    /// `None`: it is not valid UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

/// Folders that have several names: an absolute path beneath one of them is taken for the path that the rows would use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PathAliases {
    /// An absolute folder, without a slash at its end, and what a row writes in its place; the longest folder comes first.
    folders: Vec<(String, String)>,
    /// A folder that is a symbolic link or a mount and the one that it leads to, both canonical but for links; the longest first.
    links: Vec<(String, String)>,
    /// The same of single files.
    files: Vec<(String, String)>,
    /// The absolute folder where relative paths start, without a link on its way and without a slash at its end.
    base: String,
}

impl PathAliases {
    /// `folders`: absolute folders, and what relative paths of rows write for them (`""` for the folder where they start).
    pub fn new(mut folders: Vec<(String, String)>) -> Self {
        folders.sort_by_key(|(folder, _)| std::cmp::Reverse(folder.len()));
        folders.dedup();
        Self { folders, ..Self::default() }
    }

    /// Knows where a relative path leads that begins with `..`.
    pub fn with_base(mut self, base: &str) -> Self {
        self.base = base.trim_end_matches('/').to_owned();
        self
    }

    /// Takes what lies beneath a folder that is a symbolic link or a mount for what lies beneath the one that it leads to. `links`: absolute
    /// folders, the second of each without a link on its way; one that leads to itself is kept from what a link above it says.
    pub fn with_links(mut self, links: impl IntoIterator<Item = (String, String)>) -> Self {
        // As the start of what lies beneath it.
        let start = |folder: String| {
            let file = self.lexical(format!("{folder}/file").as_bytes()).into_owned();
            let file = String::from_utf8_lossy(&file).into_owned();
            file.strip_suffix("file").unwrap_or_default().trim_end_matches('/').to_owned()
        };
        let all: Vec<(String, String)> = links
            .into_iter()
            .map(|(link, folder)| (start(link), start(folder)))
            .filter(|(link, _)| !link.is_empty())
            .collect();
        let leads = |(link, folder): &&(String, String)| link != folder;
        let is_beneath_another = |link: &str| {
            let mut others = all.iter().filter(leads);
            others.any(|(above, _)| replace_start(link.as_bytes(), above, "").is_some())
        };
        let mut links: Vec<(String, String)> = (all.iter())
            .filter(|(link, folder)| link != folder || is_beneath_another(link))
            .cloned()
            .collect();
        links.sort_by(|one, next| (next.0.len(), next).cmp(&(one.0.len(), one)));
        links.dedup();
        self.links = links;
        self
    }

    /// Takes a file for another one. `files`: absolute paths, the second of each without a link on its way.
    pub fn with_files(mut self, files: impl IntoIterator<Item = (String, String)>) -> Self {
        let text = |path: CanonicalPath| String::from_utf8_lossy(path.as_bytes()).into_owned();
        let lexical =
            |path: &str| String::from_utf8_lossy(&self.lexical(path.as_bytes())).into_owned();
        let mut files: Vec<(String, String)> = files
            .into_iter()
            .map(|(path, file)| (lexical(&path), text(self.canonical(file.as_bytes()))))
            .filter(|(path, file)| path != file)
            .collect();
        files.sort();
        files.dedup();
        self.files = files;
        self
    }

    /// What the canonical paths of everything beneath a folder start with; several where something is mounted in it.
    pub fn starts(&self, folder: &str) -> Vec<String> {
        let file = format!("{folder}/file");
        let start = |file: &[u8]| {
            let file = std::str::from_utf8(file).unwrap_or_default();
            file.strip_suffix("file").unwrap_or_default().to_owned()
        };
        let first = start(self.canonical(file.as_bytes()).as_bytes());
        let lexical = start(&self.lexical(file.as_bytes()));
        let is_inside = |(path, _): &&(String, String)| {
            is_start_of(&lexical, path) || is_start_of(&first, path)
        };
        let links = self.links.iter().filter(is_inside).map(|(_, folder)| match folder.as_str() {
            "" => String::new(),
            folder => format!("{folder}/"),
        });
        let files = self.files.iter().filter(is_inside).map(|(_, file)| file.clone());
        let mut starts: Vec<String> =
            links.chain(files).chain(std::iter::once(first.clone())).collect();
        starts.sort();
        starts.dedup();
        starts
    }

    /// The canonical form of a path: no `.`, no `..` that a folder before it takes back, no double slash, relative where it can be.
    ///
    /// It works on the text alone, so two ways through a symbolic link stay two paths, but for the links that it knows.
    pub fn canonical(&self, path: &[u8]) -> CanonicalPath {
        CanonicalPath(self.canonical_bytes(path).into_owned())
    }

    /// The same without a copy of a path that is canonical already.
    pub fn canonical_bytes<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let lexical = self.lexical(path);
        let other = self.find_file(&lexical).or_else(|| self.follow_link(&lexical));
        other.map_or(lexical, Cow::Owned)
    }

    fn find_file(&self, path: &[u8]) -> Option<Vec<u8>> {
        let file = self.files.iter().find(|(other, _)| other.as_bytes() == path)?;
        Some(file.1.clone().into_bytes())
    }

    /// Where a link leads on the path's way.
    fn follow_link(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.links.iter().find_map(|(link, folder)| replace_start(path, link, folder))
    }

    fn lexical<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        // Most are canonical already.
        let is_name = |part: &[u8]| part.first().is_some_and(|first| *first != b'.');
        if path.is_empty() || path.split(|byte| *byte == b'/').all(is_name) {
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

/// Whether a canonical path begins with the start of others; the empty start is that of all relative ones.
pub fn is_start_of(start: &str, path: &str) -> bool {
    if start.is_empty() { !path.starts_with('/') } else { path.starts_with(start) }
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
    fn a_mount_of_a_folder_or_file_leads_on_and_what_is_mounted_beneath_it_does_not() {
        let text = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(path, name)| ((*path).to_owned(), (*name).to_owned())).collect()
        };
        let aliases = PathAliases::new(vec![("/srv/app".into(), String::new())])
            .with_links(text(&[
                ("/srv/app/b", "/srv/app/a"),
                ("/srv/app/b/t", "/srv/app/b/t"),
                ("/mnt/app", "/srv/app"),
            ]))
            .with_files(text(&[("/srv/app/c/F", "/srv/app/b/F")]));
        for (path, canonical) in [
            ("b/F", "a/F"),
            ("b/t/F", "b/t/F"),
            ("/mnt/app/x", "x"),
            ("c/F", "a/F"),
            ("/srv/app/c/./F", "a/F"),
            ("c/F/x", "c/F/x"),
            ("c/F2", "c/F2"),
        ] {
            assert_eq!(aliases.canonical(path.as_bytes()).to_str(), Some(canonical), "{path}");
        }
        assert_eq!(aliases.starts("/srv/app/b"), ["a/", "b/t/"]);
        assert_eq!(aliases.starts("/srv/app/c"), ["a/F", "c/"]);
        assert_eq!(aliases.starts("/srv/app"), ["", "a/", "a/F", "b/t/"]);
        assert_eq!(aliases.starts("/var/tmp"), ["/var/tmp/"]);
    }

    #[test]
    fn a_way_through_the_folder_above_leads_back() {
        let aliases = PathAliases::new(vec![
            ("/srv/app".into(), String::new()),
            ("/mnt/volume".into(), "uploads".into()),
        ])
        .with_base("/srv/app");
        for (path, canonical) in [
            ("../app/uploads/a", "uploads/a"),
            ("../../mnt/volume/a", "uploads/a"),
            ("x/../../app/a", "a"),
            ("../a", "/srv/a"),
            ("a/b/../c/../../i", "i"),
            ("/etc/passwd", "/etc/passwd"),
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
