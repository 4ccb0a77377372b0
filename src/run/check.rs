//! `taskmon check`: looks at everything that the jobs need, and changes nothing.

use super::cleanup::{needed, path_aliases};
use super::database::no_database;
use super::output::Done;
use super::{Session, channels, thresholds};
use crate::check::{self, Check, CheckReport, Columns, Finding};
use crate::cleanup::{self, Roots};
use crate::cli::Format;
use crate::config::{self, Config};
use crate::language::Language;
use crate::outcome::{Failure, Kind, Outcome};
use crate::report::{json, text};
use crate::store::inspect::Inspection;
use crate::store::prune::{Mode, PruneSettings};
use crate::store::target::Target;
use crate::store::{StoreSettings, open};
use crate::system::{broker, disk};
use anyhow::Result;
use chrono::{DateTime, Utc};
use rustix::fs::{Access, access};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most that one look at a database or a far host may take: somebody waits for the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the database and its tables are like.
struct Tables {
    database: Vec<Finding>,
    mapping: Vec<Finding>,
    indexes: Vec<Finding>,
    clock: Vec<Finding>,
    rights: Vec<Finding>,
}

impl Session {
    pub(super) fn check(&self) -> Result<Done> {
        let (language, checks) = match &self.config {
            Ok(config) => (config.language, self.all_checks(config)),
            Err(failure) => (Language::En, without_config(failure)),
        };
        let report = CheckReport::new(checks);
        let printed = match self.common.output {
            Format::Json | Format::Nagios => json::render(&report, self.layout())?,
            Format::Text => text::check(&report, language),
        };
        let outcome = if report.has_failed() { Outcome::DoneWithErrors } else { Outcome::Done };
        Ok(Done::new(printed, outcome))
    }

    fn all_checks(&self, config: &Config) -> Vec<Check> {
        let language = config.language;
        let tables = tables(config);
        let mut clock = tables.clock;
        let system = config::of_the_host().unwrap_or_else(|| config::system_zone(&self.env));
        clock.extend(check::zones(system, config.timezone, Utc::now(), language));
        let mut permissions = tables.rights;
        permissions.extend(folders(config));
        let (cron, runs) = match self.scheduled(config) {
            Ok(scheduled) => (check::cron(&scheduled, language), check::runs(&scheduled, language)),
            Err(error) => {
                let why = Finding::of(&Failure::of(&error));
                (vec![why.clone()], vec![why])
            }
        };
        let findings = [
            ("config", check::config(config.file.as_deref(), &config.warnings, language)),
            ("database", tables.database),
            ("mapping", tables.mapping),
            ("indexes", tables.indexes),
            ("clock", clock),
            ("permissions", permissions),
            ("storage", storage(config)),
            ("broker", broker(config, self.now)),
            ("channels", self.channels(config)),
            ("cron", cron),
            ("runs", runs),
        ];
        findings.into_iter().map(|(name, findings)| Check::of(name, findings)).collect()
    }

    /// Each channel and heartbeat, all at once.
    fn channels(&self, config: &Config) -> Vec<Finding> {
        let own = channels::reach(config, &self.env, self.now, self.started, PATIENCE);
        if own.is_empty() {
            return vec![Finding::skipped(config.language.pick(
                "没有配置告警渠道：告警只写入日志",
                "no channel is configured: alerts go to the logs alone",
            ))];
        }
        let findings = own.into_iter().map(|(name, reached)| match reached {
            Ok(what) => Finding::ok(format!("{name}: {what}")),
            Err(own) => Finding::failed(format!("{name}: {}", own.why)).hint(own.hint),
        });
        findings.collect()
    }
}

/// Nothing can be looked at without a configuration but itself.
fn without_config(failure: &Failure) -> Vec<Check> {
    let others = [
        "database",
        "mapping",
        "indexes",
        "clock",
        "permissions",
        "storage",
        "broker",
        "channels",
        "cron",
        "runs",
    ];
    let skipped = |name| {
        let why = Finding::skipped("the configuration has to be valid first");
        Check::of(name, vec![why])
    };
    let own = Check::of("config", vec![Finding::of(failure)]);
    std::iter::once(own).chain(others.map(skipped)).collect()
}

// ---- the database

fn tables(config: &Config) -> Tables {
    let language = config.language;
    let unknown = |database: Finding| {
        let skipped = || {
            vec![Finding::skipped(
                language.pick("先要能连上数据库", "the database has to be reached first"),
            )]
        };
        Tables {
            database: vec![database],
            mapping: skipped(),
            indexes: skipped(),
            clock: vec![check::clock(
                Utc::now(),
                None,
                config.timezone,
                cleanup::MOST_SKEW,
                language,
            )],
            rights: skipped(),
        }
    };
    let Some(target) = &config.database.target else {
        return unknown(Finding::of(&no_database("so cleanup, stats and alert cannot work")));
    };
    let settings = store_settings(config);
    let found = match open::inspect(target, &settings, Utc::now) {
        Ok(found) => found,
        Err(error) => return unknown(Finding::of(&Failure::of(&error))),
    };
    let clock =
        check::clock(found.host_clock, Some(&found), config.timezone, cleanup::MOST_SKEW, language);
    let mut database = vec![check::database(&found, language)];
    database.extend(read_target(config, &settings));
    let (mapping, indexes, refused) = mapping(config, target, settings, &found);
    let mut rights = check::rights(&found, language);
    // What stands in a FROM clause has no rights that could be asked for: whoever may not read it has been told so.
    let is_told = rights.iter().any(|finding| finding.status == check::Status::Failed);
    rights.extend(refused.filter(|_| !is_told).map(|refused| Finding::of(&refused)));
    Tables { database, mapping, indexes, clock: vec![clock], rights }
}

/// The server that reports read from, where it is another one.
fn read_target(config: &Config, settings: &StoreSettings) -> Option<Finding> {
    let target = config.database.read_target.as_ref()?;
    Some(match open::inspect(target, settings, Utc::now) {
        Ok(found) => check::database(&found, config.language),
        Err(error) => Finding::of(&Failure::of(&error)),
    })
}

/// With time limits for somebody who waits.
fn store_settings(config: &Config) -> StoreSettings {
    let settings = super::database::store_settings(config);
    let limit = settings.statement_timeout;
    StoreSettings {
        connect_timeout: settings.connect_timeout.min(PATIENCE),
        statement_timeout: if limit.is_zero() { PATIENCE } else { limit.min(PATIENCE) },
        ..settings
    }
}

/// How the mapping fits what reports read, and what cleanup deletes from; the indexes that it lacks; and why nothing may be read, if that is so.
fn mapping(
    config: &Config,
    target: &Target,
    settings: StoreSettings,
    found: &Inspection,
) -> (Vec<Finding>, Vec<Finding>, Option<Failure>) {
    let (language, database) = (config.language, &config.database);
    let read_target = database.read_target.as_ref().unwrap_or(target);
    let opened = open::store(read_target, settings.clone());
    let failure = opened.as_ref().err().map(Failure::of);
    let mut findings = vec![match (&opened, &failure) {
        (Ok(store), _) => {
            let (missing, types) = (store.missing(), &store.types());
            let others = &found.types;
            let columns = Columns { missing, types, others };
            check::mapping(Ok(columns), language)
        }
        (_, Some(failure)) => check::mapping(Err(failure), language),
        (Err(error), None) => Finding::of(&Failure::of(error)),
    }];
    findings.extend(opened.as_ref().ok().and_then(|store| {
        let (sessions, own) = (found.zone.as_deref(), database.naive_zone);
        check::naive_times(&store.types(), sessions, own, Utc::now(), language)
    }));
    // Of the table that is read, too, its reader has said so.
    if opened.is_ok() {
        findings.extend(check::missing_tables(found, language));
    }
    findings.extend(check::trials(found, language));
    findings.push(check::labels(&found.labels, &database.mapping.tasks.states, language));
    // SQLite leaves two files behind where a reader closes a database in WAL mode last; who may write clears them away.
    drop(opened);
    let (deleting, indexes) = deleting(config, target, settings);
    findings.push(deleting);
    let refused = failure.filter(|failure| failure.kind == Kind::PermissionDenied);
    (findings, indexes, refused)
}

/// Whether cleanup could begin, and its indexes.
fn deleting(config: &Config, target: &Target, settings: StoreSettings) -> (Finding, Vec<Finding>) {
    let language = config.language;
    let without = |finding: Finding| {
        let why = language.pick("cleanup 不删除任何行", "cleanup deletes no rows");
        (finding, vec![Finding::skipped(why)])
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
    let settings = PruneSettings {
        store: settings,
        aliases: path_aliases(config, &roots(config)),
        // It would change nothing if it were asked to delete.
        mode: Mode::DryRun,
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
    let indexes = match pruner.missing_indexes() {
        Ok(lacking) => check::indexes(&lacking, language),
        Err(error) => vec![Finding::skipped(Failure::of(&error).message)],
    };
    (Finding::ok(ready), indexes)
}

// ---- folders and file systems

fn roots(config: &Config) -> Roots {
    let own = &config.cleanup;
    let marker = Some(own.root_marker.as_str()).filter(|marker| !marker.is_empty());
    Roots::open(&own.storage_roots, marker, &config.base_dir, false)
}

/// The folders that taskmon writes to. What is missing it makes, where it may.
fn folders(config: &Config) -> Vec<Finding> {
    let own = [
        ("stats.reports_dir", &config.stats.reports_dir),
        ("alerts.records_dir", &config.alerts.records_dir),
        ("alerts.logs_dir", &config.alerts.logs_dir),
    ];
    own.map(|(key, folder)| writable(key, folder, config.language)).into()
}

fn writable(key: &str, folder: &Path, language: Language) -> Finding {
    let there = existing(folder);
    let shown = folder.display();
    match access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if !there.is_dir() => {
            Finding::failed(format!("{key}: {} is no folder", there.display()))
                .hint(format!("move it away, or name another folder in {key}"))
        }
        Ok(()) if there == folder => Finding::ok(format!("{key}: {shown}")),
        Ok(()) => Finding::ok(language.pick(
            format!("{key}：{shown} 还没有，用到时会创建"),
            format!("{key}: {shown} is not there yet and will be made"),
        )),
        Err(error) => {
            let there = there.display();
            Finding::failed(language.pick(
                format!("{key}：无法写入 {there}：{error}"),
                format!("{key}: {there} cannot be written to: {error}"),
            ))
            .hint(language.pick(
                "cron 所用的用户必须能写这个文件夹",
                "the user that cron runs the jobs as has to be able to write there",
            ))
        }
    }
}

/// The folder, or what there is of the way to it.
fn existing(folder: &Path) -> PathBuf {
    let mut ancestors = folder.ancestors();
    let found = ancestors.find(|ancestor| ancestor.symlink_metadata().is_ok());
    found.unwrap_or(Path::new("/")).to_owned()
}

fn storage(config: &Config) -> Vec<Finding> {
    let (own, language) = (&config.cleanup, config.language);
    // First of all, since each has a thread of its own: a mount that hangs is told of here, and holds up what looks into it.
    let wanted = own
        .storage_roots
        .iter()
        .chain(&own.temp_dirs)
        .chain(&own.log_dirs)
        .chain([&config.stats.reports_dir, &config.alerts.records_dir]);
    let wanted: BTreeSet<PathBuf> = wanted.map(|folder| existing(folder)).collect();
    let wanted: Vec<PathBuf> = wanted.into_iter().collect();
    let mut findings =
        check::space(&disk::measure(&wanted, thresholds(config), disk::DEADLINE), language);
    if own.storage_roots.is_empty() {
        findings.push(
            Finding::warning(language.pick(
                "cleanup.storage_roots 为空：不会删除任何任务的文件",
                "cleanup.storage_roots is empty: no file of a task is ever removed",
            ))
            .hint(language.pick(
                "在 cleanup.storage_roots 中写明任务文件所在的文件夹",
                "name the folders of the tasks' files in cleanup.storage_roots",
            )),
        );
    }
    findings.extend(roots(config).unusable().into_iter().map(|(_, why)| {
        Finding::warning(why).hint(language.pick(
            "若有任务的文件在其下，cleanup 会保留这些任务；挂载它，或从 cleanup.storage_roots 中去掉",
            "cleanup keeps the rows that name files beneath it: mount it, or take it out of cleanup.storage_roots",
        ))
    }));
    findings.extend(swept(config));
    findings
}

/// Folders that are never swept stop cleanup before it begins.
fn swept(config: &Config) -> Vec<Finding> {
    let needed = needed(config);
    let homes = cleanup::home_folders(std::env::home_dir().as_deref());
    let folders = [
        ("cleanup.temp_dirs", &config.cleanup.temp_dirs),
        ("cleanup.log_dirs", &config.cleanup.log_dirs),
    ];
    let refused = folders
        .iter()
        .filter_map(|(key, folders)| cleanup::resolve_targets(key, folders, &needed, &homes).err());
    refused.map(|failure| Finding::of(&failure)).collect()
}

// ---- the broker

fn broker(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let language = config.language;
    match broker::ask(&config.broker, now) {
        None => vec![Finding::skipped(language.pick(
            "没有配置消息队列：队列统计来自数据库",
            "no broker is configured: queue statistics come from the database",
        ))],
        Some(Ok(figures)) => check::broker(&figures, language),
        Some(Err(error)) => {
            let hint = broker_hint(&error, broker::kind(&config.broker));
            vec![Finding::failed(error).hint(language.pick(hint.0, hint.1))]
        }
    }
}

/// In Chinese and English.
fn broker_hint(error: &str, kind: Option<broker::Kind>) -> (&'static str, &'static str) {
    if error.contains("certificate") {
        return (
            "若证书由自己的机构签发：Redis 在 broker.url 中写 ssl_ca_certs=文件，RabbitMQ 把文件写在 SSL_CERT_FILE 中",
            "if your own authority has signed it, name its file: for Redis as ssl_ca_certs in broker.url, for RabbitMQ in SSL_CERT_FILE",
        );
    }
    match kind {
        Some(broker::Kind::Redis) => (
            "Redis 是否在运行？broker.url 中的主机、端口和密码是否正确？",
            "does Redis run, and are the host, port and password of broker.url right?",
        ),
        _ => (
            "消息队列是否在运行？broker.url 是否正确？RabbitMQ 需要启用 rabbitmq_management 插件",
            "does the broker run, and is broker.url right? RabbitMQ needs its plugin rabbitmq_management",
        ),
    }
}
