//! Presets: tables as a TOML file describes them.
//!
//! A preset has a section `[tasks]` and, where the application has receipts, a section `[receipts]`; a configuration's
//! `[database.tasks]` and `[database.receipts]` have the same keys and are laid over them.

use super::PRESETS;

/// The TOML of a preset; `None`: this version has none of that name.
pub fn find(name: &str) -> Option<&'static str> {
    let found = PRESETS.iter().find(|(preset, _)| *preset == name);
    found.map(|(_, toml)| *toml)
}

/// The presets' names.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}
