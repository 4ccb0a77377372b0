//! The temp and log folders: which files of each may go.

use super::candidate::{Counter, Rule};
use super::database::{Database, is_interrupted};
use super::hashed::HashedSet;
use super::in_use::InUse;
use super::paths::shown;
use super::roots::Roots;
use super::settings::{Part, Settings, TempAgeBy};
use super::sweep::sweep;
use super::tally::Tally;
use super::targets::Target;
use super::watch::Watch;
use crate::mapping::canonical_path::{PathAliases, is_start_of};
use crate::outcome::{Failure, Issue};
use crate::store::prune::{Keys, Pruner};
use anyhow::{Context, Result};
use std::path::Path;

/// Sweeps the folders of temporary files, and those of logs. Rows may name files in them: without the database's answer, one beneath a storage root
/// is left alone.
///
/// # Errors
/// [`crate::outcome::Kind::Interrupted`]
pub fn sweep_folders(
    part: Part,
    settings: &Settings,
    roots: &Roots,
    database: &mut Database,
    in_use: &InUse,
    watch: &Watch,
    tally: &mut Tally,
) -> Result<()> {
    // Once the database fails to answer, the other folders do not wait for the same failure again.
    let mut unanswered = match database {
        Database::Unreachable(failure) => Some(failure.clone()),
        Database::None | Database::Open(_) => None,
    };
    let (targets, what) = match part {
        Part::Logs => (&settings.logs, "logs"),
        _ => (&settings.temp, "temp files"),
    };
    for target in targets {
        if watch.stops(tally) {
            return Ok(());
        }
        let may_hold = may_hold(target, roots, &settings.aliases);
        // What is no log of a row's is nobody's to ask for: a search through all rows.
        let is_asked = may_hold || part != Part::Logs;
        let mut named = None;
        if let (true, Database::Open(pruner), None) = (is_asked, &mut *database, &unanswered) {
            match find_named(target, &settings.aliases, pruner.as_mut()) {
                Ok(found) => named = Some(found),
                Err(error) if is_interrupted(&error) => return Err(error),
                Err(error) => unanswered = Some(Failure::of(&error)),
            }
        }
        if let Some(failure) = unanswered.as_ref().filter(|_| may_hold) {
            tally.issue(left_alone(target, &failure.message));
            continue;
        }
        let phase = tally.phase();
        sweep(target, &rule(part, settings, named.as_ref(), in_use), settings, watch, tally);
        phase.end(&format!("{what} in {}", shown(&target.path)), tally);
    }
    Ok(())
}

fn rule<'a>(
    part: Part,
    settings: &'a Settings,
    named: Option<&'a HashedSet>,
    in_use: &'a InUse,
) -> Rule<'a> {
    match part {
        Part::Logs => Rule {
            before: settings.logs_before(),
            age_by: TempAgeBy::Mtime,
            patterns: Some(&settings.config.log_patterns),
            named,
            in_use,
            counter: Counter::Logs,
            // A program such as nginx does not start without the folder of its logs.
            removes_folders: false,
        },
        _ => Rule {
            before: settings.temp_before(),
            age_by: settings.config.temp_age_by,
            patterns: None,
            named,
            in_use,
            counter: Counter::Files,
            removes_folders: settings.config.remove_empty_temp_folders,
        },
    }
}

/// Whether rows may name files in a folder that is swept.
pub fn needs_names(settings: &Settings, roots: &Roots) -> bool {
    let mut logs = settings.logs.iter();
    settings.has(Part::Temp) || logs.any(|target| may_hold(target, roots, &settings.aliases))
}

fn left_alone(target: &Target, why: &str) -> Issue {
    let path = shown(&target.path);
    let message = format!(
        "{path} is left alone: the database cannot say which of its files rows still name: {why}"
    );
    Issue::new("database_unavailable", message).path(path)
}

/// Whether a folder may hold files of rows: it lies beneath a storage root, or a root beneath it, be it by way of a mount.
fn may_hold(target: &Target, roots: &Roots, aliases: &PathAliases) -> bool {
    let starts = |path: &Path| path.to_str().map_or_else(Vec::new, |path| aliases.starts(path));
    let (path, real) = (starts(&target.path), starts(&target.real));
    let of_target: Vec<String> = path.into_iter().chain(real).collect();
    roots.aliases().iter().any(|(path, real)| {
        let of_root = starts(path).into_iter().chain(starts(real));
        of_root.into_iter().any(|root| {
            of_target.iter().any(|folder| is_start_of(&root, folder) || is_start_of(folder, &root))
        })
    })
}

/// The files beneath a folder that rows name, by their canonical paths.
fn find_named(
    target: &Target,
    aliases: &PathAliases,
    pruner: &mut dyn Pruner,
) -> Result<HashedSet> {
    let mut starts = Vec::new();
    for folder in [&target.path, &target.real] {
        let path = folder.to_str();
        let path = path.with_context(|| format!("{} is not valid UTF-8", shown(folder)))?;
        starts.extend(aliases.starts(path));
    }
    starts.sort();
    starts.dedup();
    let mut named = HashedSet::default();
    pruner.named_paths(Keys::Unneeded, &mut |found| {
        let path = aliases.canonical(found.path);
        if starts.iter().any(|start| path.starts_with(start)) {
            named.insert(&path);
        }
    })?;
    Ok(named)
}
