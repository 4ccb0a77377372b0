//! Presets: tables as a TOML file describes them.
//!
//! A preset has a section `[tasks]` and, where the application has receipts, a section `[receipts]`; a configuration's
//! `[database.tasks]` and `[database.receipts]` have the same keys and are laid over them. Where the application knows one database alone, the line
//! [`POSTGRES_ONLY`] comes before them.

use super::PRESETS;
use serde::Serialize;

/// The TOML of a preset; `None`: this version has none of that name.
pub fn find(name: &str) -> Option<&'static str> {
    let found = PRESETS.iter().find(|(preset, _)| *preset == name);
    found.map(|(_, toml)| *toml)
}

/// The presets' names.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// A preset in a line: the first comment of its file, in English.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Preset {
    pub name: &'static str,
    pub description: &'static str,
}

/// All presets, by name.
pub fn all() -> impl Iterator<Item = Preset> {
    PRESETS.iter().map(|(name, toml)| {
        let first = toml.lines().next().unwrap_or_default();
        Preset { name, description: first.trim_start_matches("# ") }
    })
}

/// What a preset says whose application keeps its tables in PostgreSQL alone.
pub const POSTGRES_ONLY: &str = "only = \"postgresql\"";

/// Whether a preset's expressions are PostgreSQL's, and have no form for SQLite.
pub fn is_postgres_only(name: &str) -> bool {
    find(name).is_some_and(|toml| toml.lines().any(|line| line == POSTGRES_ONLY))
}
