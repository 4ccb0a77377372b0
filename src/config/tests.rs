use super::*;
use crate::channels::SecretSource;
use crate::mapping::preset::names;
use crate::outcome::Severity;
use crate::timezone::zone;
use proptest::prelude::*;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

/// A working directory, a home and the variables of one resolution.
struct Desk {
    folder: TempDir,
    variables: Vec<(String, String)>,
    config_flag: Option<PathBuf>,
    database_url_flag: Option<String>,
    language_flag: Option<Language>,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            config_flag: None,
            database_url_flag: None,
            language_flag: None,
        };
        let home = desk.path("home").display().to_string();
        fs::create_dir_all(desk.path("work")).unwrap();
        desk.set("TZ", "Europe/Berlin").set("HOME", &home)
    }

    /// A desk whose `./taskmon.toml` has this text.
    fn with_file(text: &str) -> Self {
        let desk = Self::new();
        desk.write("work/taskmon.toml", text);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.unset(name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    fn request(&self) -> Request {
        Request {
            config_flag: self.config_flag.clone(),
            database_url_flag: self.database_url_flag.clone(),
            language_flag: self.language_flag,
            env: Env::from_iter(self.variables.clone()),
            working_dir: self.path("work"),
        }
    }

    fn config(&self) -> Config {
        resolve(self.request()).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn failure(&self) -> Failure {
        resolve(self.request()).expect_err("it is accepted")
    }
}

fn failure_of(text: &str) -> Failure {
    Desk::with_file(text).failure()
}

fn everything(failure: &Failure) -> String {
    format!("{} {}", failure.message, failure.hint.as_deref().unwrap_or_default())
}

/// The default file with every line that is commented out made effective.
fn default_with_everything() -> String {
    let line = |line: &str| match provenance::setting(line) {
        Some(setting) => format!("{setting}\n"),
        None => format!("{line}\n"),
    };
    file::DEFAULT.lines().map(line).collect()
}

#[test]
fn every_source_beats_the_next() {
    let mut desk = Desk::new();
    let mut expected = Vec::new();
    for (name, file) in [
        ("flag", "work/flag.toml"),
        ("variable", "work/variable.toml"),
        ("here", "work/taskmon.toml"),
        ("xdg", "xdg/taskmon/taskmon.toml"),
        ("home", "home/.config/taskmon/taskmon.toml"),
    ] {
        desk.write(file, format!("[database]\nurl = 'sqlite:{name}.db'"));
        expected.push(desk.path(file));
    }
    let xdg = desk.path("xdg").display().to_string();
    desk.config_flag = Some("flag.toml".into());
    desk = desk.set("TASKMON_CONFIG", "./variable.toml").set("XDG_CONFIG_HOME", &xdg);
    desk.database_url_flag = Some("sqlite:url-flag.db".to_owned());
    desk =
        desk.set("TASKMON_DATABASE_URL", "sqlite:own.db").set("DATABASE_URL", "sqlite:common.db");

    let sqlite = |path: PathBuf| Some(Target::Sqlite(path));
    let work = desk.path("work");
    assert_eq!(desk.config().database.target, sqlite(work.join("url-flag.db")));
    desk.database_url_flag = None;
    assert_eq!(desk.config().database.target, sqlite(work.join("own.db")));
    desk = desk.set("TASKMON_DATABASE_URL", "");
    assert_eq!(desk.config().database.target, sqlite(work.join("common.db")));
    desk.unset("DATABASE_URL");

    assert_eq!(desk.config().file.as_ref(), Some(&expected[0]));
    assert_eq!(desk.config().database.target, sqlite(work.join("flag.db")));
    desk.config_flag = None;
    assert_eq!(desk.config().file.as_ref(), Some(&expected[1]));
    desk = desk.set("TASKMON_CONFIG", "");
    assert_eq!(desk.config().file.as_ref(), Some(&expected[2]));
    fs::remove_file(&expected[2]).unwrap();
    assert_eq!(desk.config().file.as_ref(), Some(&expected[3]));
    assert_eq!(desk.config().database.target, sqlite(desk.path("xdg/taskmon/xdg.db")));
    desk.unset("XDG_CONFIG_HOME");
    assert_eq!(desk.config().file.as_ref(), Some(&expected[4]));
    fs::remove_file(&expected[4]).unwrap();

    let last = desk.config();
    if !Path::new("/etc/taskmon/taskmon.toml").exists() {
        assert_eq!(last.file, None);
        assert_eq!(last.database.target, None);
        assert_eq!(last.base_dir, work);
        assert_eq!(last.stats.reports_dir, work.join("reports/daily"));
    }
}

#[test]
fn the_place_of_the_system_wide_file_is_the_last() {
    let desk = Desk::new();
    let places = usual_files(&desk.request());
    assert_eq!(places.last().unwrap(), Path::new("/etc/taskmon/taskmon.toml"));
    assert_eq!(places.len(), 3);
}

#[test]
fn a_file_that_is_named_must_be_readable() {
    let mut desk = Desk::with_file("");
    desk.config_flag = Some("missing.toml".into());
    let failure = desk.failure();
    assert_eq!(failure.kind, Kind::ConfigUnreadable);
    assert!(failure.message.contains("work/missing.toml that --config names"), "{failure}");
    desk.config_flag = Some(desk.path("work"));
    assert_eq!(desk.failure().kind, Kind::ConfigUnreadable);
    desk.config_flag = None;
    let desk = desk.set("TASKMON_CONFIG", "missing.toml");
    let failure = desk.failure();
    assert_eq!(failure.kind, Kind::ConfigUnreadable);
    assert!(failure.message.contains("$TASKMON_CONFIG"), "{failure}");
}

#[test]
fn a_folder_in_the_place_of_a_usual_file_is_not_skipped() {
    let desk = Desk::new();
    fs::create_dir(desk.path("work/taskmon.toml")).unwrap();
    assert_eq!(desk.failure().kind, Kind::ConfigUnreadable);
}

#[test]
fn empty_flags_are_refused() {
    let mut desk = Desk::with_file("").set("DATABASE_URL", "sqlite:other.db");
    desk.database_url_flag = Some(String::new());
    assert_eq!(desk.failure().kind, Kind::Usage);
    desk.database_url_flag = None;
    desk.config_flag = Some(PathBuf::new());
    assert_eq!(desk.failure().kind, Kind::Usage);
}

#[test]
fn a_bad_url_is_named_by_its_source() {
    let mut desk = Desk::with_file("[database]\nurl = 'mysql://u:hunter2@h/file'");
    let failure = desk.failure();
    assert_eq!(failure.kind, Kind::ConfigInvalid);
    assert!(failure.message.contains("taskmon.toml, line 2: `database.url`: "), "{failure}");
    desk = desk.set("DATABASE_URL", "mysql://u:hunter2@h/variable");
    let failure = desk.failure();
    assert_eq!(failure.kind, Kind::ConfigInvalid);
    assert!(failure.message.starts_with("$DATABASE_URL: "), "{failure}");
    desk.database_url_flag = Some("mysql://u:hunter2@h/flag".to_owned());
    let failure = desk.failure();
    assert_eq!(failure.kind, Kind::Usage);
    assert!(failure.message.starts_with("--database-url: "), "{failure}");
}

#[test]
fn the_standby_is_read_from_unless_the_flag_names_a_database() {
    let mut desk = Desk::with_file("[database]\nurl = 'sqlite:a.db'\nread_url = 'sqlite:b.db'");
    let work = desk.path("work");
    assert_eq!(desk.config().database.read_target, Some(Target::Sqlite(work.join("b.db"))));
    assert_eq!(desk.config().warnings, Vec::<String>::new());
    desk = desk.set("DATABASE_URL", "sqlite:other.db");
    assert!(desk.config().warnings[0].contains("$DATABASE_URL"), "{:?}", desk.config().warnings);
    desk = desk.set("TASKMON_READ_DATABASE_URL", "sqlite:c.db");
    assert_eq!(desk.config().database.read_target, Some(Target::Sqlite(work.join("c.db"))));
    assert_eq!(desk.config().warnings, Vec::<String>::new());
    desk.database_url_flag = Some("sqlite:d.db".to_owned());
    assert_eq!(desk.config().database.read_target, None);
}

#[test]
fn relative_paths_start_at_base_dir_and_base_dir_at_the_file() {
    let mut desk = Desk::new();
    desk.write(
        "etc/x.toml",
        "base_dir = './data/.'\n[stats]\nreports_dir = './r'\n[disk]\npaths = ['/srv', 'disk/.']\n\
         [alerts]\nlogs_dir = '../logs'\n[database]\nurl = 'sqlite:jobs.db'\n\
         [[alerts.channels]]\ntype = 'slack'\nurl_file = 'slack.url'",
    );
    desk.config_flag = Some("../etc/x.toml".into());
    let config = desk.config();
    let base = desk.path("work/../etc/data");
    assert_eq!(config.base_dir, base);
    assert_eq!(config.stats.reports_dir, base.join("r"));
    let disks: Vec<&str> =
        config.disk.paths.iter().map(|volume| volume.path.to_str().unwrap()).collect();
    assert_eq!(disks, ["/srv", base.join("disk").to_str().unwrap()]);
    assert_eq!(config.alerts.notify.logs_dir, base.join("../logs"));
    assert_eq!(config.alerts.notify.records_dir, base.join("reports/alerts"));
    assert_eq!(config.cleanup.temp_dirs[0], base.join("uploads/temp"));
    assert_eq!(
        config.alerts.notify.channels[0].service.secrets(),
        [("url", &SecretSource::File(base.join("slack.url")))]
    );
    assert_eq!(config.database.target, Some(Target::Sqlite(base.join("jobs.db"))));
    let shown = config.effective().unwrap();
    assert!(!shown["stats"]["reports_dir"].as_str().unwrap().contains("/./"), "{shown}");
    desk = desk.set("DATABASE_URL", "sqlite:jobs.db");
    assert_eq!(desk.config().database.target, Some(Target::Sqlite(desk.path("work/jobs.db"))));
}

#[test]
fn the_file_beats_the_system_in_zone_and_language() {
    let mut desk = Desk::with_file("timezone = 'Asia/Shanghai'\nlanguage = 'en'");
    desk = desk.set("LANG", "zh_CN.UTF-8").set("LC_MESSAGES", "de_DE").set("LC_ALL", "zh_TW");
    let config = desk.config();
    assert_eq!((config.timezone, config.language), (zone("Asia/Shanghai"), Language::En));
    desk.write("work/taskmon.toml", "");
    assert_eq!(
        (desk.config().timezone, desk.config().language),
        (zone("Europe/Berlin"), Language::Zh)
    );
    desk = desk.set("LC_ALL", "");
    assert_eq!(desk.config().language, Language::En);
    desk.unset("LC_MESSAGES");
    assert_eq!(desk.config().language, Language::Zh);
    desk = desk.set("LANG", "C.UTF-8");
    assert_eq!(desk.config().language, Language::En);
    desk.unset("LANG");
    assert_eq!(desk.config().language, Language::En);
    desk.write("work/taskmon.toml", "language = 'en'");
    desk.language_flag = Some(Language::Zh);
    let effective = desk.config().effective().unwrap();
    assert_eq!([&effective["language"], &effective["sources"]["language"]], ["zh", "--lang"]);
}

#[test]
fn naive_timestamps_are_local_utc_or_of_a_zone_and_the_tasks_have_the_last_word() {
    for (text, expected) in [
        ("", zone("Europe/Berlin")),
        ("[database]\nnaive_timestamps = 'utc'", Tz::UTC),
        ("[database]\nnaive_timestamps = 'Asia/Kolkata'", zone("Asia/Kolkata")),
        (
            "[database]\nnaive_timestamps = 'utc'\n[database.tasks]\nnaive_timestamps = 'local'",
            zone("Europe/Berlin"),
        ),
        ("[database]\nnaive_timestamps = 'utc'\n[database.tasks]\nnaive_timestamps = ''", Tz::UTC),
    ] {
        assert_eq!(Desk::with_file(text).config().database.store.naive_zone, expected, "{text}");
    }
    let failure = failure_of("[database.tasks]\nnaive_timestamps = 'asia/shanghai'");
    let said = everything(&failure);
    for part in
        ["line 2", "`database.tasks.naive_timestamps`", "\"asia/shanghai\"", "\"Asia/Shanghai\""]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = Desk::new().config();
    let mut shown = config.effective().unwrap();
    let expected = json!({
        "completed_tasks_days": 30, "failed_tasks_days": 7, "cancelled_tasks_days": null, "receipts_days": 30,
        "temp_files_hours": 24, "log_files_days": 30, "root_marker": "", "temp_age_by": "youngest",
        "remove_empty_temp_folders": true, "remove_empty_folders": false,
        "log_patterns": ["*.log", "*.log.*"], "protect": ["**/.gitkeep", "**/.gitignore"],
        "outside_paths": "error", "batch_size": 1000, "max_runtime_seconds": 0, "brake_percent": 90.0,
        "clock_gap_days": 30,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&shown["cleanup"][key], value, "cleanup.{key}");
    }
    let base = config.base_dir.display().to_string();
    let at_base = |name: &str| json!(format!("{base}/{name}"));
    assert_eq!(shown["cleanup"]["storage_roots"], json!([at_base("uploads"), at_base("static")]));
    assert_eq!(
        shown["cleanup"]["temp_dirs"],
        json!([at_base("uploads/temp"), at_base("static/temp")])
    );
    assert_eq!(shown["cleanup"]["log_dirs"], json!([at_base("logs")]));
    assert_eq!(
        shown["disk"],
        json!({"paths": ["/"], "warning_percent": 80.0, "critical_percent": 90.0})
    );
    let categories = json!([
        {"name": "二维码识别错误", "contains": ["二维码"]}, {"name": "物流查询错误", "contains": ["物流"]},
        {"name": "文档生成错误", "contains": ["文档"]}, {"name": "任务超时", "contains": ["超时"]},
        {"name": "数据库错误", "contains": ["数据库"]},
    ]);
    assert_eq!(
        shown["stats"],
        json!({"reports_dir": at_base("reports/daily"), "slowest_tasks": 5, "failed_task_details": 20,
               "baseline_days": 7, "error_categories": categories})
    );
    assert_eq!(
        shown["alerts"],
        json!({"logs_dir": at_base("logs"), "records_dir": at_base("reports/alerts"),
               "failure_rate_warning": 20.0, "failure_rate_critical": 50.0, "error_concentration_percent": 50.0,
               "records_days": 90, "clear_margin": 2.0, "clear_after_minutes": 10, "for_minutes": {}, "runbooks": {}, "no_tasks": true, "repeat_after_hours": 24, "rules": [], "maintenance": [], "channels": [],
               "live": {"stuck_after_minutes": 60, "backlog_after_minutes": 30, "backlog_max": 1000, "min_tasks": 20}})
    );
    assert_eq!(
        shown["broker"],
        json!({"url": null, "management_url": null,
               "queues": ["high_priority", "receipt", "file", "tracking", "screenshot", "low_priority"],
               "priority_steps": [0, 3, 6, 9], "separator": "\u{6}\u{16}", "global_keyprefix": "",
               "visibility_timeout_seconds": 3600, "timeout_seconds": 5})
    );
    let first_job = json!({"name": "generate-daily-statistics", "cron": "0 2 * * *", "command": "stats",
                           "queue": "receipt", "priority": 3});
    assert_eq!(shown["schedule"]["jobs"][0], first_job);
    let database = shown["database"].as_object_mut().unwrap();
    database.remove("tasks");
    database.remove("receipts");
    assert_eq!(
        shown["database"],
        json!({"url": null, "read_url": null, "preset": "taskmon", "naive_timestamps": "local",
               "connect_timeout_seconds": 10, "statement_timeout_seconds": 600, "row_security": "refuse",
               "earliest_year": 1990})
    );
    assert_eq!(config.database.store.naive_zone, zone("Europe/Berlin"));
    assert_eq!(config.database.store.connect_timeout, Duration::from_secs(10));
    assert_eq!(config.database.store.statement_timeout, Duration::from_secs(600));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn the_default_file_has_the_defaults() {
    let (without, _) = file::defaults().unwrap();
    let (with, _) = file::read(file::DEFAULT, "default.toml").unwrap();
    assert_eq!(with, without);
}

#[test]
fn the_default_file_is_valid_with_every_line_that_it_proposes() {
    let (proposed, _) = file::read(&default_with_everything(), "all.toml").unwrap();
    let (default, _) = file::defaults().unwrap();
    let mapping = |file: &File| file.database.mapping(None).unwrap();
    assert_eq!(mapping(&proposed), mapping(&default), "the tables shown are the preset's");
    let types: Vec<_> =
        proposed.alerts.notify.channels.iter().map(|channel| channel.service.name()).collect();
    assert_eq!(
        types,
        [
            "webhook",
            "dingtalk",
            "email",
            "ntfy",
            "telegram",
            "discord",
            "teams",
            "pagerduty",
            "command"
        ]
    );
    assert_eq!(proposed.alerts.notify.channels[0].common.min_severity, Severity::Warning);
    assert_eq!(
        proposed.alerts.notify.channels[1].common, proposed.alerts.notify.channels[0].common,
        "the values shown are the defaults"
    );
}

#[test]
fn the_default_file_has_every_key() {
    let proposed: toml::Table = default_with_everything().parse().unwrap();
    let keys = provenance::known_keys();
    for (section, names) in [
        ("", "base_dir timezone language"),
        (
            "database.",
            "url read_url preset naive_timestamps connect_timeout_seconds statement_timeout_seconds row_security earliest_year",
        ),
        (
            "database.tasks.",
            "from delete_from key label status created_at due_at started_at completed_at updated_at processing_time \
             error_message retry_count queue name files naive_timestamps link guard",
        ),
        ("database.tasks.states.", "pending processing completed failed cancelled"),
        ("database.receipts.", "enabled from key created_at link files"),
        ("database.receipts.dependents.", "from foreign_key files"),
        (
            "cleanup.",
            "completed_tasks_days failed_tasks_days cancelled_tasks_days receipts_days temp_files_hours \
             log_files_days storage_roots root_marker temp_dirs temp_age_by remove_empty_temp_folders log_dirs log_patterns protect outside_paths \
             remove_empty_folders batch_size max_runtime_seconds brake_percent clock_gap_days",
        ),
        ("stats.", "reports_dir slowest_tasks failed_task_details baseline_days"),
        ("stats.error_categories.", "name contains"),
        ("disk.", "paths warning_percent critical_percent"),
        (
            "alerts.",
            "logs_dir records_dir failure_rate_warning failure_rate_critical error_concentration_percent no_tasks \
             repeat_after_hours",
        ),
        ("alerts.rules.", "name on metric op value severity message"),
        (
            "alerts.channels.",
            "type url min_severity timeout_seconds retries secret_env secret_file password_file url_env from to tls helo body content_type command token_env tags chat_id message_thread_id api_url username thread_id routing_key_env",
        ),
        ("alerts.live.", "stuck_after_minutes backlog_after_minutes backlog_max min_tasks"),
        (
            "broker.",
            "url management_url queues priority_steps separator global_keyprefix visibility_timeout_seconds timeout_seconds",
        ),
        ("heartbeat.", "style cleanup stats"),
        ("schedule.jobs.", "name cron command queue priority max_runtime"),
    ] {
        for name in names.split_whitespace() {
            let key = format!("{section}{name}");
            assert!(keys.contains(&key), "{key}");
        }
    }
    assert!(proposed.contains_key("heartbeat"));
}

#[test]
fn a_file_with_every_section_is_accepted() {
    let config = Desk::with_file(
        r#"
base_dir = "/srv/app"
timezone = "Asia/Shanghai"
language = "zh"
[database]
url = "postgresql://app@db.internal/app"
preset = "taskmon"
naive_timestamps = "local"
connect_timeout_seconds = 3
statement_timeout_seconds = 0
[cleanup]
completed_tasks_days = 60
cancelled_tasks_days = 90
storage_roots = []
outside_paths = "ignore"
brake_percent = 33.3
[stats]
slowest_tasks = 0
[[stats.error_categories]]
name = "network"
contains = ["refused", "reset"]
[disk]
paths = ["/", "/data"]
warning_percent = 70.5
critical_percent = 95
[alerts]
failure_rate_warning = 5
no_tasks = false
[[alerts.rules]]
name = "late"
on = "live"
metric = "backlog.pending"
op = ">="
value = 12.5
severity = "critical"
message = "{value}"
[[alerts.channels]]
type = "webhook"
url = "https://hooks.internal/abc"
secret_file = "hook.key"
min_severity = "critical"
timeout_seconds = 5
retries = 0
[[alerts.channels]]
type = "wecom"
url_env = "WECOM"
[[alerts.channels]]
type = "feishu"
url_file = "feishu.url"
secret = "sign"
[[alerts.channels]]
type = "email"
url = "smtps://ops@mail.internal"
password_env = "MAIL"
from = "a@b.example"
to = ["c@d.example"]
tls = "tls"
[[alerts.channels]]
type = "command"
command = ["/bin/true", ""]
[alerts.live]
backlog_max = 5
[broker]
url = "amqp://guest@mq.internal/"
queues = ["a"]
[heartbeat]
cleanup = "https://ping.internal/1"
[[schedule.jobs]]
name = "nightly"
cron = "*/10 1-5 * * MON"
command = "cleanup --only temp,logs"
"#,
    )
    .config();
    assert_eq!(config.cleanup.cancelled_tasks_days, Some(90));
    assert_eq!(config.cleanup.failed_tasks_days, 7);
    assert_eq!(
        config.stats.error_categories.len(),
        1,
        "one's own categories replace the default ones"
    );
    assert_eq!(config.disk.warning_percent, 70.5);
    assert_eq!(config.database.store.statement_timeout, Duration::ZERO);
    assert_eq!(config.alerts.rules.custom[0].severity, Severity::Critical);
    assert_eq!(config.schedule.jobs.len(), 1);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_typo_is_answered_with_the_full_key_its_line_and_the_nearest_key() {
    for (text, line, key, near) in [
        ("timezon = 'x'", 1, "timezon", Some("timezone")),
        ("[stat]\n", 1, "stat", Some("stats")),
        ("[stats]\nreportsdir = 'x'", 2, "stats.reportsdir", Some("stats.reports_dir")),
        ("[stats]\r\n\r\nreports-dir = 'x'\r\n", 3, "stats.reports-dir", Some("stats.reports_dir")),
        ("disk.warning = 3", 1, "disk.warning", Some("disk.warning_percent")),
        ("[database]\ntimezone = 'x'", 2, "database.timezone", Some("timezone")),
        ("[database.task]", 1, "database.task", Some("database.tasks")),
        (
            "[database.tasks]\ncreate_at = ''",
            2,
            "database.tasks.create_at",
            Some("database.tasks.created_at"),
        ),
        (
            "[database.tasks.states]\ncanceled = []",
            2,
            "database.tasks.states.canceled",
            Some("database.tasks.states.cancelled"),
        ),
        (
            "[cleanup]\ncompleted_task_days = 1",
            2,
            "cleanup.completed_task_days",
            Some("cleanup.completed_tasks_days"),
        ),
        (
            "[alerts.live]\nstuck_minutes = 1",
            2,
            "alerts.live.stuck_minutes",
            Some("alerts.live.stuck_after_minutes"),
        ),
        (
            "[[alerts.channels]]\ntype = 'slack'\nurl = 'https://h/x'\n[[alerts.channels]]\ntype = 'slack'\nulr = 'x'",
            6,
            "alerts.channels[2].ulr",
            Some("alerts.channels[2].url"),
        ),
        (
            "[[database.receipts.dependents]]\nforeignkey = 'x'",
            2,
            "database.receipts.dependents[1].foreignkey",
            Some("database.receipts.dependents[1].foreign_key"),
        ),
        ("[heartbeat]\nstat = 'x'", 2, "heartbeat.stat", Some("heartbeat.stats")),
        ("[[schedule.jobs]]\nnam = 'x'", 2, "schedule.jobs[1].nam", Some("schedule.jobs[1].name")),
        ("colour = 'x'", 1, "colour", None),
    ] {
        let failure = failure_of(text);
        assert_eq!(failure.kind, Kind::ConfigInvalid, "{text}");
        let near =
            near.map_or(String::new(), |near| format!("; the nearest known key is `{near}`"));
        let expected = format!("taskmon.toml, line {line}: unknown key `{key}`{near}");
        assert!(failure.message.ends_with(&expected), "{expected}\n{failure}");
    }
}

#[test]
fn a_wrong_value_is_answered_with_key_value_and_what_is_expected() {
    for (text, parts) in [
        (
            "[stats]\nslowest_tasks = 'five'",
            ["line 2: `stats.slowest_tasks` is \"five\"", "a whole number from 0"],
        ),
        ("[stats]\nslowest_tasks = 5.5", ["`stats.slowest_tasks` is 5.5", "whole number"]),
        ("[stats]\nbaseline_days = 367", ["`stats.baseline_days` is 367", "from 0 to 366"]),
        ("[stats]\nreports_dir = ''", ["`stats.reports_dir` is \"\"", "not empty"]),
        ("[stats]\nreports_dir = '~/r'", ["`stats.reports_dir` is \"~/r\"", "without ~"]),
        ("stats = 3", ["line 1: `stats` is 3", "a section"]),
        ("database = 3", ["line 1: `database` is 3", "a section"]),
        ("[[disk]]", ["`disk` is a list", "a section"]),
        (
            "[[stats.error_categories]]\nname = ''\ncontains = ['a']",
            ["line 2: `stats.error_categories[1].name`", "not empty"],
        ),
        (
            "[[stats.error_categories]]\nname = 'a'\ncontains = []",
            ["`stats.error_categories[1].contains` is a list", "at least one"],
        ),
        (
            "[[stats.error_categories]]\nname = 'a'\ncontains = ['']",
            ["`stats.error_categories[1].contains[1]` is \"\"", "not empty"],
        ),
        (
            "[[stats.error_categories]]\nname = 'a'\ncontains = 'a'",
            ["`stats.error_categories[1].contains` is \"a\"", "a list"],
        ),
        (
            "[[stats.error_categories]]\nname = 'a'",
            ["line 1: `stats.error_categories[1].contains`", "is missing"],
        ),
        (
            "[stats.error_categories]\nname = 'a'",
            ["`stats.error_categories` is a section", "[[stats.error_categories]]"],
        ),
        ("[disk]\npaths = []", ["`disk.paths` is a list", "at least one path"]),
        ("[disk]\npaths = ['/', 3]", ["`disk.paths[2]` is 3", "a text in quotes"]),
        ("[disk]\npaths = ['~/x']", ["`disk.paths[1]` is", "without ~"]),
        ("[[disk.paths]]\nlabel = 'x'", ["`disk.paths[1].path`", "is missing"]),
        (
            "[[disk.paths]]\npath = '/'\ninode = false",
            ["line 3: unknown key `disk.paths[1].inode`", "inodes"],
        ),
        (
            "[[disk.paths]]\npath = '/'\nmin_free_gb = -1",
            ["`disk.paths[1].min_free_gb` is -1", "a number of GiB from 0"],
        ),
        (
            "[[disk.paths]]\npath = '/'\nwarning_percent = 95",
            ["`disk.paths[1].warning_percent` is 95", "which is 90"],
        ),
        ("[disk]\nwarning_percent = 101", ["`disk.warning_percent` is 101", "from 0 to 100"]),
        ("[disk]\nwarning_percent = nan", ["`disk.warning_percent` is nan", "from 0 to 100"]),
        (
            "[disk]\nwarning_percent = 91",
            ["line 2: `disk.warning_percent` is 91", "above `critical_percent`, which is 90"],
        ),
        (
            "[alerts]\nfailure_rate_critical = 19",
            ["`alerts.failure_rate_warning` is 20", "which is 19"],
        ),
        ("[alerts]\nno_tasks = 1", ["`alerts.no_tasks` is 1", "true or false"]),
        ("[cleanup]\nbatch_size = 0", ["`cleanup.batch_size` is 0", "from 1 to"]),
        (
            "[cleanup]\nbatch_size = 99999999999999999999",
            ["`cleanup.batch_size` is 99999999999999999999", "too large"],
        ),
        (
            "[cleanup]\noutside_paths = 'ignored'",
            ["`cleanup.outside_paths` is \"ignored\"", "Did you mean \"ignore\"?"],
        ),
        (
            "[cleanup]\nlog_files_days = 2026-01-01",
            ["`cleanup.log_files_days` is 2026-01-01", "number of days"],
        ),
        ("language = 'ch'", ["`language` is \"ch\"", "one of \"zh\", \"en\""]),
        (
            "timezone = 'Asia/Shangai'",
            ["line 1: `timezone` is \"Asia/Shangai\"", "the nearest is \"Asia/Shanghai\""],
        ),
        ("timezone = ''", ["`timezone` is \"\"", "IANA"]),
        (
            "[database]\npreset = 'taskmonn'",
            ["line 2: `database.preset` is \"taskmonn\"", "the nearest is \"taskmon\""],
        ),
        ("[database]\npreset = 5", ["`database.preset` is 5", "a text in quotes"]),
        (
            "[database]\nconnect_timeout_seconds = 0",
            ["`database.connect_timeout_seconds` is 0", "from 1 to"],
        ),
        ("[database.tasks]\nkey = 'id'", ["`database.tasks.key` is \"id\"", "a list"]),
        ("[database.tasks]\nkey = []", ["line 2: `database.tasks.key`", "at least one column"]),
        ("[database.tasks]\nkey = ['']", ["`database.tasks.key`", "empty"]),
        ("[database.tasks]\nstatus = ''", ["`database.tasks.status`", "must not be empty"]),
        ("[database.tasks]\nfrom = ' '", ["`database.tasks.from`", "must not be empty"]),
        ("[database.tasks]\nlabel = ''", ["`database.tasks.label`", "must not be empty"]),
        (
            "[database.tasks.states]\npending = [0]",
            ["`database.tasks.states.pending[1]` is 0", "a text in quotes"],
        ),
        (
            "[database.tasks.states]\nfailed = ['returned']",
            ["`database.tasks.states.cancelled`", "`states.failed`"],
        ),
        (
            "[database.receipts]\nlink = ''",
            ["line 2: `database.receipts.link`", "must not be empty"],
        ),
        (
            "[[schedule.jobs]]\nname = 'a'\ncron = '0 2 * *'\ncommand = 'stats'",
            ["line 3: `schedule.jobs[1].cron`", "five fields"],
        ),
        (
            "[[schedule.jobs]]\nname = 'a'\ncron = '@daily'\ncommand = 'stats'\npriority = 10",
            ["`schedule.jobs[1].priority` is 10", "from 1 to 9"],
        ),
        ("[broker]\nurl = 'kafka://h'", ["`broker.url`", "redis://"]),
        ("[heartbeat]\nstats = 'ftp://h'", ["`heartbeat.stats`", "https://"]),
        (
            "[[alerts.rules]]\nname = 'a'\non = 'stats'\nmetric = 'm'\nop = '=>'\nvalue = 1",
            ["`alerts.rules[1].op` is \"=>\"", "\">=\""],
        ),
        (
            "[[alerts.rules]]\nname = 'a'\non = 'stats'\nmetric = 'm'\nop = '>'",
            ["`alerts.rules[1].value`", "is missing"],
        ),
    ] {
        let failure = failure_of(text);
        assert_eq!(failure.kind, Kind::ConfigInvalid, "{text}");
        let said = everything(&failure);
        for part in parts {
            assert!(said.contains(part), "{text}\n{part}\n{said}");
        }
    }
}

#[test]
fn channels_have_the_keys_of_their_type() {
    for (channel, parts) in [
        ("url = 'https://h/x'", ["`alerts.channels[1].type`", "is missing"]),
        (
            "type = 'web-hook'",
            ["`alerts.channels[1].type` is \"web-hook\"", "Did you mean \"webhook\"?"],
        ),
        ("type = 'slack'", ["`alerts.channels[1].url`", "is missing"]),
        (
            "type = 'slack'\nurl = ''",
            ["`alerts.channels[1].url`", "expected a URL that starts with https://"],
        ),
        (
            "type = 'slack'\nurl = 'https://h/x'\nsecret = 's'",
            ["`alerts.channels[1].secret`", "means nothing to a channel of the type \"slack\""],
        ),
        (
            "type = 'webhook'\nurl = 'https://h/x'\nurl_env = 'X'",
            ["`alerts.channels[1].url_env`", "beside `url`"],
        ),
        (
            "type = 'webhook'\nurl = 'https://h/x'\nmin_severity = 'notice'",
            ["`alerts.channels[1].min_severity` is \"notice\"", "\"critical\""],
        ),
        (
            "type = 'email'\nurl = 'https://h'\nfrom = 'a'\nto = ['b']",
            ["`alerts.channels[1].url`", "smtp://"],
        ),
        ("type = 'email'\nurl = 'smtp://h'\nfrom = 'a'", ["`alerts.channels[1].to`", "is missing"]),
        (
            "type = 'email'\nurl = 'smtp://h'\nfrom = 'a'\nto = []",
            ["`alerts.channels[1].to` is a list", "at least one"],
        ),
        (
            "type = 'email'\nurl = 'smtp://h'\nfrom = 'a'\nto = ['b']\ntls = 'ssl'",
            ["`alerts.channels[1].tls` is \"ssl\"", "\"starttls\""],
        ),
        (
            "type = 'email'\nurl = 'smtp://h'\nfrom = 'a'\nto = ['b']\nhelo = \"a\\r\\nMAIL\"",
            ["`alerts.channels[1].helo` is \"a\\r\\nMAIL\"", "[192.0.2.1]"],
        ),
        (
            "type = 'webhook'\nurl = 'https://h/x'\nbody = '{\"text\": \"{mesage}\"}'",
            ["`alerts.channels[1].body` has the field {mesage}", "{message}"],
        ),
        (
            "type = 'webhook'\nurl = 'https://h/x'\nbody = '{\"text\": {message}}'",
            ["`alerts.channels[1].body` is no JSON once its fields are filled in", "column"],
        ),
        (
            "type = 'webhook'\nurl = 'https://h/x'\ncontent_type = 'json'",
            ["`alerts.channels[1].content_type` is \"json\"", "text/plain"],
        ),
        (
            "type = 'command'\ncommand = 'send'",
            ["`alerts.channels[1].command` is \"send\"", "a list"],
        ),
        ("type = 'command'\ncommand = []", ["`alerts.channels[1].command`", "a program"]),
        ("type = 'slack'\nurl_env = 3", ["`alerts.channels[1].url_env` is 3", "a text in quotes"]),
        ("type = 'slack'\nurl_file = '~/x'", ["`alerts.channels[1].url_file` is", "without ~"]),
        (
            "type = 'slack'\nurl = {env = 'X'}",
            ["`alerts.channels[1].url` is a section", "a text in quotes"],
        ),
        (
            "type = 'telegram'\ntoken = 7\nchat_id = '1'",
            ["`alerts.channels[1].token` is a value that is not shown here", "a text in quotes"],
        ),
        (
            "type = 'telegram'\ntoken_env = 'X'\nchat_id = 1\nroutingkey = 'x'",
            [
                "`alerts.channels[1].routingkey`",
                "means nothing to a channel of the type \"telegram\"",
            ],
        ),
        (
            "type = 'pagerduty'\nrouting_key_en = 'X'",
            [
                "unknown key `alerts.channels[1].routing_key_en`",
                "the nearest known key is `alerts.channels[1].routing_key_env`",
            ],
        ),
        (
            "type = 'command'\ncommand = ['a']\nretries = -1",
            ["`alerts.channels[1].retries` is -1", "from 0"],
        ),
    ] {
        let said = everything(&failure_of(&format!("[[alerts.channels]]\n{channel}")));
        for part in parts {
            assert!(said.contains(part), "{channel}\n{part}\n{said}");
        }
    }
}

#[test]
fn retention_has_no_number_for_never() {
    for key in [
        "completed_tasks_days",
        "failed_tasks_days",
        "cancelled_tasks_days",
        "receipts_days",
        "temp_files_hours",
        "log_files_days",
    ] {
        let failure = failure_of(&format!("[cleanup]\n{key} = -1"));
        assert_eq!(failure.kind, Kind::ConfigInvalid);
        assert!(failure.message.contains(&format!("`cleanup.{key}` is -1")), "{failure}");
        assert!(everything(&failure).contains("does not mean \"never\""), "{failure:?}");
    }
}

#[test]
fn overrides_change_the_fields_that_they_name_and_no_other() {
    let plain = Desk::new().config().database.store.mapping;
    let text = "[database.tasks]\nretry_count = ''\nstarted_at = ' '\nkey = ['a', 'b']\n[database.tasks.states]\nfailed = ['DEAD', 'GONE']\n\
                [[database.receipts.dependents]]\nfrom = 'x'\nforeign_key = 'y'";
    let mapping = Desk::with_file(text).config().database.store.mapping;
    assert_eq!(plain.tasks.retry_count.as_deref(), Some("retry_count"));
    assert_eq!(plain.tasks.queue, None);
    let mut expected = plain.clone();
    expected.tasks.retry_count = None;
    expected.tasks.started_at = None;
    expected.tasks.key = vec!["a".to_owned(), "b".to_owned()];
    expected.tasks.states.failed = vec!["DEAD".to_owned(), "GONE".to_owned()];
    let receipts = expected.receipts.as_mut().unwrap();
    receipts.dependents[0].from = "x".to_owned();
    receipts.dependents[0].foreign_key = "y".to_owned();
    receipts.dependents[0].files = Vec::new();
    assert_eq!(mapping, expected);
}

#[test]
fn receipts_can_be_switched_off() {
    let config = Desk::with_file("[database.receipts]\nenabled = false\nlink = ''").config();
    assert_eq!(config.database.store.mapping.receipts, None);
}

#[test]
fn every_preset_is_readable() {
    for name in names() {
        let config = Desk::with_file(&format!("[database]\npreset = '{name}'")).config();
        assert!(!config.database.store.mapping.tasks.key.is_empty(), "{name}");
    }
}

#[test]
fn files_of_windows_editors_are_read() {
    let config =
        Desk::with_file("\u{feff}language = 'zh'\r\n[stats]\r\nslowest_tasks = 9\r\n").config();
    assert_eq!((config.language, config.stats.slowest_tasks), (Language::Zh, 9));
}

#[test]
fn a_file_in_another_encoding_is_refused_with_the_line() {
    let desk = Desk::new();
    desk.write("work/taskmon.toml", b"[stats]\n# \xd6\xd0\xce\xc4\n");
    let failure = desk.failure();
    assert_eq!(failure.kind, Kind::ConfigInvalid);
    assert!(failure.message.contains("line 2: not UTF-8"), "{failure}");
}

#[test]
fn broken_toml_is_answered_with_the_line() {
    for (text, parts) in [
        (
            "[stats]\nslowest_tasks = 5\nslowest_tasks = 6",
            ["line 3", "`slowest_tasks` is there twice"],
        ),
        ("[stats]\n[disk]\n[stats]", ["line 3", "`stats` is there twice"]),
        ("a = 1\nb = \n", ["line 2", "not valid TOML"]),
        ("a = 'x", ["line 1", "not valid TOML"]),
    ] {
        let failure = failure_of(text);
        assert_eq!(failure.kind, Kind::ConfigInvalid);
        for part in parts {
            assert!(failure.message.contains(part), "{text}\n{part}\n{failure}");
        }
    }
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        "[database]\nurl = 'mysql://u:hunter2@h/db'",
        "[database]\nurl = ['hunter2']",
        "[database]\nurl = 'hunter2'",
        "[database]\nread_url = 'postgresql://u:hunter2'",
        "[database]\nurl = 'postgresql://u:hunter2@h/db",
        "[database]\nurl = postgresql://u:hunter2@h/db",
        "[database]\nurl = \"postgresql://u:hunter2@h\\q/db\"",
        "database = 'postgresql://u:hunter2@h/db'",
        "database = 'host=h password=hunter2'",
        "heartbeat = 'https://h/hunter2'",
        "[heartbeat]\nstats = 'ping.example/hunter2'",
        "[heartbeat]\nstat = 'https://h/hunter2'",
        "[broker]\nurl = 'redis:hunter2@h'",
        "[broker]\nqueues = 'redis://:hunter2@h'",
        "[alerts]\nchannels = 'https://h/hunter2'",
        "[alerts]\nchannels = ['https://h/hunter2']",
        "[[alerts.channels]]\ntype = 'https://h/hunter2'",
        "[[alerts.channels]]\ntype = 'slack'\nurl = 'hunter2'",
        "[[alerts.channels]]\ntype = 'slack'\nurl = 'https://h/hunter2'\nsecret = 'hunter2'",
        "[[alerts.channels]]\ntype = 'email'\nurl = 'smtp://h'\npasword = 'hunter2'",
        "[[alerts.channels]]\ntype = 'email'\nurl = 'smtp://u:hunter2@h'\nfrom = 'a'\nto = 'x:hunter2@h'",
    ] {
        let failure = failure_of(text);
        assert!(!format!("{failure:?}").contains("hunter2"), "{text}\n{failure:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_the_name_of_the_file(text in "([a-z_]{1,8}|stats|disk|alerts|[\\[\\]=.\"'#\n0-9-]| |\\PC){0,40}") {
        if let Err(failure) = file::read(&text, "some.toml") {
            prop_assert_eq!(failure.kind, Kind::ConfigInvalid);
            prop_assert!(failure.message.starts_with("some.toml"), "{}", failure);
        }
    }
}

#[test]
fn what_is_shown_of_a_configuration_has_no_secret() {
    let mut desk = Desk::with_file(
        "[database]\nurl = 'postgresql://u:hunter2@h/db'\nread_url = 'postgresql://u:hunter2@r/db?password=hunter2'\n\
         [broker]\nurl = 'redis://:hunter2@q/0'\n[heartbeat]\nstats = 'https://ping/hunter2'\n\
         [[alerts.channels]]\ntype = 'webhook'\nurl = 'https://hooks/hunter2'\nsecret = 'hunter2'\n\
         [[alerts.channels]]\ntype = 'email'\nurl = 'smtp://u:hunter2@m'\npassword_env = 'MAIL'\nfrom = 'a'\nto = ['b']\n\
         [[alerts.channels]]\ntype = 'email'\nurl = 'smtp://m'\npassword = 'hunter2'\nfrom = 'a'\nto = ['b']",
    );
    let config = desk.config();
    let shown = config.effective().unwrap();
    assert!(!shown.to_string().contains("hunter2"), "{shown:#}");
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    assert_eq!(shown["database"]["url"], "postgresql://u:***@h/db");
    assert_eq!(shown["database"]["read_url"], "postgresql://u:***@r/db?password=***");
    assert_eq!(shown["alerts"]["channels"][0]["url"], "https://hooks/***");
    assert_eq!(shown["alerts"]["channels"][0]["secret"], "***");
    assert_eq!(shown["alerts"]["channels"][1]["password_env"], "MAIL");
    assert_eq!(shown["heartbeat"]["stats"], "https://ping/***");
    assert_eq!(shown["broker"]["url"], "redis://:***@q/0");
    assert!(
        shown["sources"]["database.url"].as_str().unwrap().ends_with("line 2: `database.url`"),
        "{shown:#}"
    );
    assert_eq!(shown["sources"]["timezone"], "$TZ");

    desk = desk.set("DATABASE_URL", "postgresql://v:hunter2@w/db");
    let shown = desk.config().effective().unwrap();
    assert_eq!(shown["database"]["url"], "postgresql://v:***@w/db");
    assert_eq!(shown["sources"]["database.url"], "$DATABASE_URL");
}

#[test]
fn the_parser_of_urls_sees_the_environment() {
    let desk =
        Desk::with_file("").set("DATABASE_URL", "postgresql://u@h/db").set("PGPASSWORD", "hunter2");
    match desk.config().database.target {
        Some(Target::Postgres(target)) => {
            assert_eq!(target.hosts[0].password.as_ref().map(Secret::expose), Some("hunter2"))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_whose_name_is_not_text_can_be_shown() {
    use std::os::unix::ffi::OsStrExt;
    let mut request = Desk::new().request();
    request.working_dir = Path::new("/nowhere").join(std::ffi::OsStr::from_bytes(b"\xff"));
    let shown = resolve(request).unwrap().effective().unwrap();
    assert_eq!(shown["base_dir"], "/nowhere/\u{fffd}");
}

#[test]
fn thresholds_from_the_command_line_are_checked_with_the_configured_ones() {
    let disk = Desk::new().config().values.disk;
    let changed = disk.clone().with_thresholds(Some(50.0), None).unwrap();
    assert_eq!((changed.warning_percent, changed.critical_percent), (50.0, 90.0));
    assert_eq!(disk.clone().with_thresholds(None, None).unwrap(), disk);
    for (warning, critical, parts) in [
        (Some(95.0), None, ["--warning is 95", "disk.critical_percent, which is 90"]),
        (None, Some(79.0), ["disk.warning_percent is 80", "--critical, which is 79"]),
    ] {
        let failure = disk.clone().with_thresholds(warning, critical).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        for part in parts {
            assert!(failure.message.contains(part), "{part}\n{failure}");
        }
    }
}
