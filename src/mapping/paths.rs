//! What the path in a row means: one file has many spellings, and rows that spell it differently still share it.

use std::borrow::Cow;

/// Folders that have several names: an absolute path beneath one of them is taken for the path that the rows would use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spellings {
    /// An absolute folder, without a slash at its end, and what a row writes in its place; the longest folder comes first.
    folders: Vec<(String, String)>,
    /// A folder that is a symbolic link and the one that it leads to, both in their spelling without regard to links; the longest first.
    links: Vec<(String, String)>,
    /// The absolute folder where relative paths start, without a link on its way and without a slash at its end.
    base: String,
}

impl Spellings {
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
        let spelled = |folder: String| {
            let file = format!("{folder}/file");
            let spelled = String::from_utf8_lossy(&self.normal(file.as_bytes())).into_owned();
            let start = spelled.strip_suffix("file").unwrap_or_default();
            start.trim_end_matches('/').to_owned()
        };
        let mut links: Vec<(String, String)> = links
            .into_iter()
            .map(|(link, folder)| (spelled(link), spelled(folder)))
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

    /// The one spelling of a path: no `.`, no `..` that a folder before it takes back, no double slash, relative where it can be.
    ///
    /// It works on the text alone, so two ways through a symbolic link stay two paths, but for the links that it was told.
    pub fn normal<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let spelled = self.spelled(path);
        match self.led(&spelled) {
            Some(led) => Cow::Owned(led),
            None => spelled,
        }
    }

    /// Where a link leads on the path's way.
    fn led(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.links.iter().find_map(|(link, folder)| {
            let rest = path.strip_prefix(link.as_bytes())?.strip_prefix(b"/")?;
            Some(match folder.as_str() {
                "" => rest.to_vec(),
                folder => [folder.as_bytes(), b"/", rest].concat(),
            })
        })
    }

    fn spelled<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        // Most are spelled so already.
        let is_plain = |pair: &[u8]| !matches!(pair, b"//" | b"/.");
        let edges = (path.first(), path.last());
        if !matches!(edges, (Some(b'/' | b'.'), _) | (_, Some(b'/')))
            && path.windows(2).all(is_plain)
        {
            return Cow::Borrowed(path);
        }
        Cow::Owned(self.respelled(path))
    }

    fn respelled(&self, path: &[u8]) -> Vec<u8> {
        let starts_below = path.first() != Some(&b'/');
        let is_absolute = !starts_below || !self.base.is_empty();
        let start = if starts_below { self.base.as_bytes() } else { b"" };
        let mut parts: Vec<&[u8]> = Vec::new();
        let whole = start.split(|byte| *byte == b'/');
        for part in whole.chain(path.split(|byte| *byte == b'/')) {
            match part {
                b"" | b"." => {}
                b".." if parts.last().is_some_and(|last| *last != b"..") => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let joined = parts.join(&b'/');
        if !is_absolute {
            return joined;
        }
        let absolute = [b"/".as_slice(), &joined].concat();
        for (folder, name) in &self.folders {
            let rest = absolute.strip_prefix(folder.as_bytes());
            if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(b"/")) {
                return match name.as_str() {
                    "" => rest.to_vec(),
                    name => [name.as_bytes(), b"/", rest].concat(),
                };
            }
        }
        absolute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_file_becomes_one() {
        let spellings = Spellings::new(vec![
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
            let normal = spellings.normal(path.as_bytes());
            assert_eq!(String::from_utf8(normal.into_owned()).unwrap(), "uploads/a.png", "{path}");
        }
    }

    #[test]
    fn a_link_that_is_known_leads_on() {
        let folders = vec![("/srv/app".into(), String::new())];
        let spellings = Spellings::new(folders).with_links(
            [
                ("/srv/app/static/uploads", "/srv/app/uploads"),
                ("/srv/app/static/uploads/old", "/mnt/old"),
                ("/srv/app/current", "/srv/app"),
                ("/srv/app/uploads", "/srv/app/uploads"),
            ]
            .map(|(link, folder)| (link.to_owned(), folder.to_owned())),
        );
        for (path, normal) in [
            ("static/uploads/a", "uploads/a"),
            ("/srv/app/static//uploads/a", "uploads/a"),
            ("static/uploads/old/a", "/mnt/old/a"),
            ("current/a", "a"),
            ("static/uploads2/a", "static/uploads2/a"),
            ("x/static/uploads/a", "x/static/uploads/a"),
            ("static/uploads", "static/uploads"),
        ] {
            assert_eq!(spellings.normal(path.as_bytes()), normal.as_bytes(), "{path}");
        }
    }

    #[test]
    fn what_only_looks_alike_stays_apart() {
        let spellings = Spellings::new(vec![("/srv/app".into(), String::new())]);
        for (path, normal) in [
            ("/srv/application/a", "/srv/application/a"),
            ("../a", "../a"),
            ("../../a", "../../a"),
            ("uploads/.hidden", "uploads/.hidden"),
            ("uploads/a..b", "uploads/a..b"),
        ] {
            assert_eq!(spellings.normal(path.as_bytes()), normal.as_bytes(), "{path}");
        }
    }
}
