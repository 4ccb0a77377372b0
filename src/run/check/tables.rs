//! The database for `check`: whether it can be reached, how the mapping fits its tables, and what this user may do there.

use super::TIMEOUT;
use crate::check::mapping::{self, Columns};
use crate::check::{Finding, Status, clock, database, indexes, permissions, times};
use crate::cleanup;
use crate::config::Config;
use crate::outcome::{Failure, Kind};
use crate::run::cleanup::readings;
use crate::run::database::no_database;
use crate::schedule::runs;
use crate::store::inspect::Inspection;
use crate::store::prune::plausible::Plausible;
use crate::store::prune::{Mode, PruneSettings, Reads};
use crate::store::target::Target;
use crate::store::{StoreSettings, open};
use anyhow::Result;
use chrono::{DateTime, Utc};

/// What was found of the database and its tables, by check.
pub(super) struct Tables {
    pub(super) database: Vec<Finding>,
    pub(super) mapping: Vec<Finding>,
    pub(super) indexes: Vec<Finding>,
    pub(super) clock: Vec<Finding>,
    pub(super) permissions: Vec<Finding>,
}

pub(super) fn tables(config: &Config) -> Tables {
    let language = config.language;
    let unknown = |database: Finding| {
        let skipped = || {
            vec![Finding::skipped(
                language.pick("先要能连上数据库", "the database has to be reached first"),
            )]
        };
        let now = Utc::now();
        let clock = clock::clock(now, None, config.timezone, cleanup::MOST_SKEW, language);
        let clock = [clock].into_iter().chain(gap(config, &mut |_| Ok(None))).collect();
        let (mapping, indexes, permissions) = (skipped(), skipped(), skipped());
        Tables { database: vec![database], mapping, indexes, clock, permissions }
    };
    let Some(target) = &config.database.target else {
        return unknown(Finding::of(&no_database("so cleanup, stats and alert cannot work")));
    };
    let settings = short_settings(config);
    let found = match open::inspect(target, &settings, Utc::now) {
        Ok(found) => found,
        Err(error) => return unknown(Finding::of(&Failure::of(&error))),
    };
    let clock =
        clock::clock(found.host_clock, Some(&found), config.timezone, cleanup::MOST_SKEW, language);
    let mut database = vec![database::database(&found, language)];
    database.extend(read_target(config, &settings));
    let Fit { mapping, indexes, gap, refused } = fit(config, target, settings, &found);
    let mut permissions = permissions::rights(&found, language);
    let mut indexes = indexes;
    if mapping.iter().any(|finding| finding.status == Status::Failed) {
        // Other tables and columns may be meant: what is found of these is not what cleanup will need.
        let why = language.pick("先要改正映射", "the mapping has to be put right first");
        indexes = vec![Finding::skipped(why)];
        permissions.retain(|finding| finding.status == Status::Failed);
        if permissions.is_empty() {
            permissions.push(Finding::skipped(why));
        }
    }
    // A FROM clause is no table whose rights could be asked for: that it may not be read is only known from trying.
    if !permissions.iter().any(|finding| finding.status == Status::Failed) {
        permissions.extend(refused.map(|refused| Finding::of(&refused)));
    }
    let clock = [clock].into_iter().chain(gap).collect();
    Tables { database, mapping, indexes, clock, permissions }
}

/// Where cleanup would not go by the clock, because it is far ahead of all that is known.
fn gap(
    config: &Config,
    newest_task: &mut dyn FnMut(DateTime<Utc>) -> Result<Option<DateTime<Utc>>>,
) -> Option<Finding> {
    let days = config.cleanup.clock_gap_days;
    // That they cannot be read is for the check `runs` to say.
    let runs = runs::read(&config.alerts.notify.logs_dir).unwrap_or_default();
    let readings = readings(config, runs);
    let error = cleanup::require_no_gap(&readings, Utc::now(), days, newest_task).err()?;
    let Failure { message, hint, .. } = Failure::of(&error);
    let finding = Finding::warning(message);
    Some(match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    })
}

/// The server that reports read from, where it is another one.
fn read_target(config: &Config, settings: &StoreSettings) -> Option<Finding> {
    let target = config.database.read_target.as_ref()?;
    Some(match open::inspect(target, settings, Utc::now) {
        Ok(found) => database::database(&found, config.language),
        Err(error) => Finding::of(&Failure::of(&error)),
    })
}

/// How the database is used, with time limits for somebody who waits for the answer.
fn short_settings(config: &Config) -> StoreSettings {
    let settings = config.database.store.clone();
    let limit = settings.statement_timeout;
    StoreSettings {
        connect_timeout: settings.connect_timeout.min(TIMEOUT),
        statement_timeout: if limit.is_zero() { TIMEOUT } else { limit.min(TIMEOUT) },
        ..settings
    }
}

/// How the mapping fits what reports read and what cleanup deletes from.
struct Fit {
    mapping: Vec<Finding>,
    indexes: Vec<Finding>,
    gap: Option<Finding>,
    /// Why nothing may be read.
    refused: Option<Failure>,
}

fn fit(config: &Config, target: &Target, settings: StoreSettings, found: &Inspection) -> Fit {
    let language = config.language;
    let database = &config.database;
    let read_target = database.read_target.as_ref().unwrap_or(target);
    let opened = open::store(read_target, settings.clone());
    let failure = opened.as_ref().err().map(Failure::of);
    let mut findings = vec![match (&opened, &failure) {
        (Ok(store), _) => {
            let (missing, types) = (store.missing(), &store.types());
            let others = &found.types;
            let columns = Columns { missing, types, others };
            mapping::columns(Ok(columns), language)
        }
        (_, Some(failure)) => mapping::columns(Err(failure), language),
        (Err(error), None) => Finding::of(&Failure::of(error)),
    }];
    findings.extend(opened.as_ref().ok().and_then(|store| {
        let zones = (found.zone.as_deref(), database.store.naive_zone);
        mapping::naive_times(&store.types(), zones, Utc::now(), language)
    }));
    let hidden = opened.as_ref().ok().and_then(|store| store.hidden_rows());
    findings.extend(hidden.map(Finding::of));
    // If the store could not be opened, the reason above names the missing table already.
    if opened.is_ok() {
        findings.extend(mapping::missing_tables(found, language));
    }
    findings.extend(mapping::trials(found, language));
    findings.extend(mapping::stranded(found, language));
    findings.push(mapping::labels(&found.labels, &database.store.mapping.tasks.states, language));
    // Closed before the pruner opens: where a reader closes a SQLite database in WAL mode last, two files stay behind.
    drop(opened);
    let (deleting, indexes, gap) = deleting(config, target, settings);
    findings.extend(deleting);
    let refused = failure.filter(|failure| failure.kind == Kind::PermissionDenied);
    Fit { mapping: findings, indexes, gap, refused }
}

/// Whether cleanup could begin, what it would go by; its indexes; whether it would go by the clock.
fn deleting(
    config: &Config,
    target: &Target,
    settings: StoreSettings,
) -> (Vec<Finding>, Vec<Finding>, Option<Finding>) {
    let language = config.language;
    let without = |finding: Finding| {
        let why = language.pick("cleanup 不删除任何行", "cleanup deletes no rows");
        (vec![finding], vec![Finding::skipped(why)], None)
    };
    if let Some(why) = &config.database.undeletable {
        return without(
            Finding::failed(why)
                .hint("name the table there, or write delete_from = \"\" to keep every row"),
        );
    }
    if matches!(target, Target::SqliteReadOnly(_)) {
        return without(Finding::skipped("mode=ro"));
    }
    let plausible = Plausible::new(settings.earliest_year, Utc::now());
    let settings = PruneSettings {
        // It would change nothing if it were asked to delete.
        mode: Mode::DryRun,
        reads: Reads::ReadOnly,
        plausible,
        store: settings,
        asked_to_end: Default::default(),
    };
    let mut pruner = match open::pruner(target, settings) {
        Ok(pruner) => pruner,
        Err(error) => {
            let failure = Failure::of(&error);
            return without(match failure.kind {
                // `permissions` says it for each table.
                Kind::PermissionDenied => Finding::skipped(&failure.message),
                _ => Finding::of(&failure),
            });
        }
    };
    let ready = language
        .pick("cleanup 所需的表和列都在", "cleanup has the tables and columns that it needs");
    let mut findings = vec![Finding::ok(ready)];
    match pruner.sample_times() {
        Ok(samples) => {
            findings.extend(times::times(&samples, plausible, config.timezone, language));
        }
        Err(error) => findings.push(Finding::skipped(Failure::of(&error).message)),
    }
    let indexes = match pruner.missing_indexes() {
        Ok(missing) => indexes::indexes(&missing, language),
        Err(error) => vec![Finding::skipped(Failure::of(&error).message)],
    };
    let gap = gap(config, &mut |enough| pruner.newest_time(enough));
    (findings, indexes, gap)
}
