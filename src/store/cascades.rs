//! Files that a deletion would leave behind: of rows that a foreign key takes along, or cuts off, and that the mapping does not know.

use crate::mapping::Mapping;

/// A table that rows are deleted from.
pub struct Root<'m> {
    pub table: &'m str,
    /// `tasks` or `receipts`
    pub section: &'static str,
}

/// What becomes of the rows that refer to a deleted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// They are deleted, too.
    Cascade,
    /// They stay, and what they refer to is no longer known.
    SetNull,
}

/// A column that looks like the path of a file, in a table that refers to one that rows are deleted from, be it through others.
#[derive(Debug, Clone, PartialEq)]
pub struct Stranded {
    pub section: &'static str,
    pub table: String,
    pub column: String,
    pub on_delete: OnDelete,
}

/// The tables from which rows go.
pub fn roots(mapping: &Mapping) -> Vec<Root<'_>> {
    let mut roots = Vec::new();
    if let Some(table) = &mapping.tasks.delete_from {
        roots.push(Root { table, section: "tasks" });
        let dependents = mapping.tasks.dependents.iter();
        roots.extend(dependents.map(|table| Root { table: &table.from, section: "tasks" }));
    }
    if let Some(receipts) = &mapping.receipts {
        roots.push(Root { table: &receipts.from, section: "receipts" });
        let dependents = receipts.dependents.iter();
        roots.extend(dependents.map(|table| Root { table: &table.from, section: "receipts" }));
    }
    roots
}

/// Those of the columns that the mapping does not have as files of rows which go with the section's.
pub fn unknown(mapping: &Mapping, found: Vec<Stranded>) -> Vec<Stranded> {
    let is_known = |stranded: &Stranded| {
        let dependents = match (stranded.section, &mapping.receipts) {
            ("receipts", Some(receipts)) => &receipts.dependents,
            _ => &mapping.tasks.dependents,
        };
        let mut dependents =
            dependents.iter().filter(|table| bare(&table.from) == bare(&stranded.table));
        let column = bare(&stranded.column);
        dependents.any(|table| table.files.iter().any(|file| file.to_lowercase().contains(&column)))
    };
    let mut unknown: Vec<Stranded> = Vec::new();
    for stranded in found {
        if looks_like_a_path(&stranded.column)
            && !is_known(&stranded)
            && !unknown.contains(&stranded)
        {
            unknown.push(stranded);
        }
    }
    unknown
}

/// A name without its schema and quotes, in lower case.
fn bare(name: &str) -> String {
    let name = name.rsplit('.').next().unwrap_or(name);
    name.trim().trim_matches(['"', '`', '[', ']']).to_lowercase()
}

/// `path`, `image_path`, `filePath`, `file`, `scan_file`, `scanFile`, `filename`, `file_name`; not `profile`, nor URLs.
fn looks_like_a_path(column: &str) -> bool {
    let lower = column.to_lowercase();
    let ends_in_file = lower == "file" || lower.ends_with("_file") || column.ends_with("File");
    ends_in_file || ["path", "filename", "file_name"].iter().any(|end| lower.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_by_their_names() {
        for path in [
            "path",
            "image_path",
            "filePath",
            "FILE",
            "scan_file",
            "scanFile",
            "fileName",
            "file_name",
        ] {
            assert!(looks_like_a_path(path), "{path}");
        }
        for other in ["profile", "image_url", "files_count", "pathology", "name", "file_size"] {
            assert!(!looks_like_a_path(other), "{other}");
        }
    }
}
