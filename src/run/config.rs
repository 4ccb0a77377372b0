//! `taskmon config`: the configuration in force, the default file, a preset to start from.

use super::Session;
use super::output::Done;
use crate::cli::{ConfigArgs, Format};
use crate::config;
use crate::mapping::preset::{self, Preset};
use crate::outcome::{Failure, Kind, Outcome};
use anyhow::{Context, Result};

pub(super) fn run(session: &Session, arguments: &ConfigArgs) -> Result<Done> {
    let printed = match &arguments.preset {
        _ if arguments.default => config::file::DEFAULT.to_owned(),
        _ if arguments.presets => list(session)?,
        Some(name) => starting_point(name)?,
        None => in_force(session)?,
    };
    Ok(Done::new(printed, Outcome::Done))
}

fn in_force(session: &Session) -> Result<String> {
    let effective = session.configuration()?.effective()?;
    match session.common.output {
        Format::Text => toml::to_string_pretty(&without_nulls(&effective))
            .context("the configuration cannot be written as TOML"),
        _ => session.show(&effective, String::new),
    }
}

/// The presets, a line each.
fn list(session: &Session) -> Result<String> {
    let presets: Vec<Preset> = preset::all().collect();
    session.show(&presets, || {
        let widest = presets.iter().map(|preset| preset.name.len()).max().unwrap_or_default();
        let line =
            |Preset { name, description }: &Preset| format!("{name:widest$}  {description}\n");
        presets.iter().map(line).collect()
    })
}

/// A preset as a configuration that means the same.
fn starting_point(name: &str) -> Result<String> {
    let unknown = || {
        let names: Vec<&str> = preset::names().collect();
        Failure::new(Kind::Usage, format!("--preset is {name:?}, which is none"))
            .hint(format!("the presets are {}", names.join(", ")))
    };
    let sections = preset::find(name).ok_or_else(unknown)?;
    let lines = sections.lines().filter(|line| *line != preset::POSTGRES_ONLY).map(|line| {
        if ["[broker]", "[[stats.error_categories]]"].contains(&line) {
            // They are no part of the tables.
            return line.to_owned();
        }
        if line.starts_with("[[") {
            line.replacen("[[", "[[database.", 1)
        } else if line.starts_with('[') {
            line.replacen('[', "[database.", 1)
        } else {
            line.to_owned()
        }
    });
    let head = [
        "# The preset as it is. `preset` alone says all of this; keep below it what is different with you.".to_owned(),
        String::new(),
        "[database]".to_owned(),
        format!("preset = {name:?}"),
        String::new(),
    ];
    let page: Vec<String> = head.into_iter().chain(lines).collect();
    Ok(page.join("\n") + "\n")
}

/// TOML has no null: what is not set is left out.
fn without_nulls(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(entries) => entries
            .iter()
            .filter(|(_, entry)| !entry.is_null())
            .map(|(key, entry)| (key.clone(), without_nulls(entry)))
            .collect(),
        Value::Array(entries) => entries.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
