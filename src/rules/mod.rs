//! What stands: the rules, held against a result.
//!
//! Every rule reads the JSON that `stats` and `disk` print, or the document that the live state is ([`super::live::LiveState`]), so that it makes
//! no difference whether a result comes from this run or from a file. A rule that cannot be evaluated is itself an alert and never
//! says that something has ceased.
//!
//! To add a rule, add an entry to the table `BUILT_IN`.

use crate::alert::Alert;
use crate::language::Language;
use crate::live::Limits;
use crate::outcome::{Failure, Kind, Severity};
use crate::units;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// A rule that could not be evaluated.
pub const CHECK_ERROR: &str = "alert_check_error";
/// A job that failed.
pub const JOB_FAILED: &str = "job_failed";
pub const JOB_MISSED: &str = "job_missed";
pub const JOB_SKIPPED: &str = "job_skipped";
const DISK_CRITICAL: &str = "disk_space_critical";
const DISK_WARNING: &str = "disk_space_warning";

/// The result that a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Stats,
    Disk,
    Live,
}

/// Who says that an alert stands, and so alone can say that it no longer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Stats,
    Disk,
    Live,
    /// A job that failed, or succeeded.
    Job,
    /// `--send`: nothing ever resolves it.
    Send,
    /// `--test`: nothing remembers it.
    Test,
}

impl From<On> for Origin {
    fn from(on: On) -> Self {
        match on {
            On::Stats => Origin::Stats,
            On::Disk => Origin::Disk,
            On::Live => Origin::Live,
        }
    }
}

/// `[alerts]`, `[disk]` and `[[alerts.rules]]`, and the language to speak. Percentages are exceeded above, not at.
#[derive(Debug, Clone)]
pub struct Settings {
    pub language: Language,
    pub failure_rate_warning: f64,
    pub failure_rate_critical: f64,
    pub error_concentration_percent: f64,
    pub no_tasks: bool,
    /// Those by which the disks were measured, if it was in this run.
    pub disk_warning_percent: f64,
    pub disk_critical_percent: f64,
    pub live: Limits,
    pub custom: Vec<CustomRule>,
}

/// One's own threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomRule {
    /// The type of its alert.
    pub name: String,
    pub on: On,
    /// Keys of the result with dots between them; an element of a list by its number, from 0.
    pub metric: String,
    pub op: Op,
    pub value: f64,
    pub severity: Severity,
    /// `{value}`, `{metric}` and `{threshold}` stand for the three; empty: one is made of them.
    pub message: String,
}

/// How a rule compares a metric with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    NotEqual,
}

impl Op {
    fn holds(self, metric: f64, value: f64) -> bool {
        match self {
            Op::Above => metric > value,
            Op::AtLeast => metric >= value,
            Op::Below => metric < value,
            Op::AtMost => metric <= value,
            Op::Equal => metric == value,
            Op::NotEqual => metric != value,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Op::Above => ">",
            Op::AtLeast => ">=",
            Op::Below => "<",
            Op::AtMost => "<=",
            Op::Equal => "==",
            Op::NotEqual => "!=",
        }
    }
}

/// What a run found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub origin: Origin,
    pub alerts: Vec<Alert>,
    judged: Judged,
}

/// Of which alerts it can be said that they no longer stand if they are not among those found.
#[derive(Debug, Clone, PartialEq)]
enum Judged {
    /// None.
    Nothing,
    /// That this job failed.
    Job(String),
    /// All of the origin but these; of disks only those of the paths that were measured.
    AllBut { unknown: Vec<Unknown>, disks: Vec<String> },
}

/// Alerts of a type that were not judged.
#[derive(Debug, Clone, PartialEq)]
struct Unknown {
    kind: String,
    of: Which,
}

#[derive(Debug, Clone, PartialEq)]
enum Which {
    Every,
    Subject(Option<String>),
}

impl Evaluation {
    /// Whether an alert of its origin that is not among those found has ceased to stand.
    pub fn judges(&self, kind: &str, subject: Option<&str>) -> bool {
        match &self.judged {
            Judged::Nothing => false,
            Judged::Job(job) => kind == JOB_FAILED && subject == Some(job),
            Judged::AllBut { unknown, disks } => {
                let is_disk = [DISK_WARNING, DISK_CRITICAL].contains(&kind);
                let is_measured = |path| disks.iter().any(|disk| disk == path);
                let is_unknown = unknown.iter().any(|unknown| {
                    unknown.kind == kind
                        && match &unknown.of {
                            Which::Every => true,
                            Which::Subject(own) => own.as_deref() == subject,
                        }
                });
                !is_unknown && (!is_disk || subject.is_some_and(is_measured))
            }
        }
    }

    /// A rule whose state could not be found out: that is an alert of its own.
    pub fn cannot_tell(&mut self, rule: &str, why: &str, language: Language) {
        self.alerts.push(check_error(rule, why, language));
    }

    /// A job that failed. Its alert stands until the job succeeds; one without a name is told and never resolved.
    pub fn job_failed(job: Option<&str>, message: &str, language: Language) -> Self {
        let name = job.unwrap_or("taskmon");
        let alert = Alert {
            kind: JOB_FAILED.to_owned(),
            severity: Severity::Error,
            message: language.pick(
                format!("作业 {name} 运行失败: {message}"),
                format!("The job {name} failed: {message}"),
            ),
            subject: job.map(str::to_owned),
            value: None,
            threshold: None,
        };
        Self { origin: Origin::Job, alerts: vec![alert], judged: Judged::Nothing }
    }

    /// A job that did its work: that it had failed no longer stands.
    pub fn job_succeeded(job: &str) -> Self {
        Self { origin: Origin::Job, alerts: Vec::new(), judged: Judged::Job(job.to_owned()) }
    }

    /// `--send`
    pub fn given(alerts: Vec<Alert>) -> Self {
        Self { origin: Origin::Send, alerts, judged: Judged::Nothing }
    }

    /// `--test`: one alert that every channel gets, whatever its `min_severity`.
    pub fn test(language: Language) -> Self {
        let alert = Alert {
            kind: "test".to_owned(),
            severity: Severity::Warning,
            message: language
                .pick(
                    "这是 taskmon 的测试告警，无需处理",
                    "This is a test alert of taskmon; nothing is wrong",
                )
                .to_owned(),
            subject: None,
            value: None,
            threshold: None,
        };
        Self { origin: Origin::Test, alerts: vec![alert], judged: Judged::Nothing }
    }
}

// ---- documents

/// A result that alerts can be raised from.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    Stats(Value),
    Disk(Value),
    /// An error document: the job that it names, if it does, and what happened.
    Failed {
        job: Option<String>,
        message: String,
    },
}

/// What a result is: of `stats` or `disk`, of several `stats` the newest, or an error document.
///
/// # Errors
/// [`Kind::Usage`] for anything else.
pub fn read(document: Value) -> Result<Document, Failure> {
    match document {
        Value::Array(reports) => newest(reports).map(Document::Stats),
        Value::Object(result) => read_object(result),
        _ => Err(no_result("it is not a JSON object")),
    }
}

fn read_object(result: Map<String, Value>) -> Result<Document, Failure> {
    let has = |keys: &[&str]| keys.iter().any(|key| result.contains_key(*key));
    if result.get("success") == Some(&Value::Bool(false)) {
        let message = result.get("error").and_then(|error| error.get("message"));
        let message = message.and_then(Value::as_str).ok_or_else(|| {
            no_result("it says that a job failed, and not why: error.message is missing")
        })?;
        let job = result.get("job").and_then(Value::as_str);
        return Ok(Document::Failed { job: job.map(str::to_owned), message: message.to_owned() });
    }
    match () {
        () if has(&STATS_KEYS) => Ok(Document::Stats(Value::Object(result))),
        () if has(&["disks", "disk_info"]) => Ok(Document::Disk(Value::Object(result))),
        () => Err(no_result("it has the keys of neither")),
    }
}

/// Each of them tells a result of `stats`.
const STATS_KEYS: [&str; 3] = ["task_statistics", "error_statistics", "performance_statistics"];

fn newest(reports: Vec<Value>) -> Result<Value, Failure> {
    let date = |report: &Value| {
        let is_stats = STATS_KEYS.iter().any(|key| report.get(key).is_some());
        let date = report.get("date").and_then(Value::as_str);
        date.filter(|_| is_stats).map(str::to_owned)
    };
    let mut dated = Vec::new();
    for (place, report) in reports.into_iter().enumerate() {
        let date = date(&report).ok_or_else(|| {
            no_result(&format!("element {place} of the list is no result of stats with a date"))
        })?;
        dated.push((date, report));
    }
    // ISO dates sort as text.
    let newest = dated.into_iter().max_by(|one, other| one.0.cmp(&other.0));
    newest.map(|(_, report)| report).ok_or_else(|| no_result("the list is empty"))
}

fn no_result(why: &str) -> Failure {
    Failure::new(Kind::Usage, format!("--report is no result of stats or disk: {why}"))
        .hint("give it what `taskmon stats` or `taskmon disk` printed")
}

/// The alerts of `--send`: a list of `{"type", "message", "severity"}`, each perhaps with a `key`, which tells alerts of one type apart.
///
/// # Errors
/// [`Kind::Usage`], with the element and the key at fault.
pub fn given(document: Value) -> Result<Vec<Alert>, Failure> {
    let usage = |message: String| {
        Failure::new(Kind::Usage, format!("--send: {message}")).hint(
            "expected a list such as [{\"type\": \"deploy\", \"message\": \"…\", \"severity\": \"warning\"}]",
        )
    };
    let Value::Array(elements) = document else {
        return Err(usage("not a JSON list".to_owned()));
    };
    let alert = |(place, element): (usize, Value)| {
        if !element.is_object() {
            return Err(usage(format!("element {place} is not an object")));
        }
        let text = |key: &str| {
            let text = element.get(key).and_then(Value::as_str);
            let text = text.filter(|text| !text.trim().is_empty());
            text.ok_or_else(|| usage(format!("element {place} has no text \"{key}\"")))
        };
        let (kind, message) = (text("type")?.to_owned(), text("message")?.to_owned());
        let severity = element.get("severity").cloned().unwrap_or_default();
        let severity = serde_json::from_value(severity).map_err(|_| {
            usage(format!("element {place} has no \"severity\" that is warning, error or critical"))
        })?;
        let given = |key: &str| element.get(key).filter(|value| !value.is_null());
        let wrong = |key: &str, what| usage(format!("\"{key}\" of element {place} is not {what}"));
        let number = |key: &str| match given(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.clone())),
            Some(_) => Err(wrong(key, "a number")),
        };
        let subject = match given("key").or(given("subject")) {
            None => None,
            Some(Value::String(subject)) => Some(subject.clone()),
            Some(_) => return Err(wrong("key", "a text")),
        };
        Ok(Alert {
            kind,
            severity,
            message,
            subject,
            value: number("value")?,
            threshold: number("threshold")?,
        })
    };
    elements.into_iter().enumerate().map(alert).collect()
}

// ---- evaluation

/// Holds the rules against a document.
pub fn evaluate(document: &Document, settings: &Settings) -> Evaluation {
    match document {
        Document::Stats(report) => hold(On::Stats, report, settings),
        Document::Disk(report) => hold(On::Disk, report, settings),
        Document::Failed { job, message } => {
            Evaluation::job_failed(job.as_deref(), message, settings.language)
        }
    }
}

/// Holds the rules against a result of this kind.
pub(super) fn hold(on: On, document: &Value, settings: &Settings) -> Evaluation {
    let mut findings = Findings::default();
    let look = Look { document, settings };
    for rule in BUILT_IN.iter().filter(|rule| rule.on == on) {
        rule.hold(&look, &mut findings);
    }
    for rule in settings.custom.iter().filter(|rule| rule.on == on) {
        rule.hold(&look, &mut findings);
    }
    Evaluation {
        origin: on.into(),
        alerts: findings.alerts,
        judged: Judged::AllBut { unknown: findings.unknown, disks: findings.disks },
    }
}

/// A rule that taskmon has of its own.
struct BuiltIn {
    /// The subject of the alert that says that it cannot be evaluated.
    name: &'static str,
    on: On,
    /// The types of its alerts; the higher silences the lower, so the highest comes first.
    kinds: &'static [&'static str],
    judge: fn(&Look, &mut Found) -> Result<(), Misfit>,
}

/// Every rule but those of the configuration.
const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "failure_rate",
        on: On::Stats,
        kinds: &["critical_failure_rate", "high_failure_rate"],
        judge: |look, found| failure_rate(look, "task_statistics.failure_rate", None, found),
    },
    BuiltIn { name: "total_tasks", on: On::Stats, kinds: &["no_tasks"], judge: no_tasks },
    BuiltIn {
        name: "error_categories",
        on: On::Stats,
        kinds: &["concentrated_errors"],
        judge: concentrated_errors,
    },
    BuiltIn {
        name: "disk",
        on: On::Disk,
        kinds: &[DISK_CRITICAL, DISK_WARNING],
        judge: |look, found| disks(look, "disks", found),
    },
    BuiltIn { name: "stuck", on: On::Live, kinds: &["stuck_tasks"], judge: stuck },
    BuiltIn { name: "backlog", on: On::Live, kinds: &["backlog"], judge: backlog },
    BuiltIn {
        name: "today",
        on: On::Live,
        kinds: &["critical_failure_rate", "high_failure_rate"],
        judge: today,
    },
    BuiltIn {
        name: "disk",
        on: On::Live,
        kinds: &[DISK_CRITICAL, DISK_WARNING],
        judge: |look, found| disks(look, "disk.disks", found),
    },
    BuiltIn { name: "jobs", on: On::Live, kinds: &[JOB_MISSED], judge: jobs },
    BuiltIn { name: "skipped", on: On::Live, kinds: &[JOB_SKIPPED], judge: skipped_jobs },
];

/// What all rules found.
#[derive(Default)]
struct Findings {
    alerts: Vec<Alert>,
    unknown: Vec<Unknown>,
    disks: Vec<String>,
}

/// What one rule found.
#[derive(Default)]
struct Found {
    alerts: Vec<Alert>,
    /// Something that it looked at is null: the table has no column for it.
    is_unknown: bool,
    misfits: Vec<Misfit>,
    disks: Vec<String>,
}

impl BuiltIn {
    fn hold(&self, look: &Look, findings: &mut Findings) {
        let mut found = Found::default();
        if let Err(misfit) = (self.judge)(look, &mut found) {
            found.misfits.push(misfit);
            found.is_unknown = true;
        }
        for alert in &found.alerts {
            let lower = self.kinds.iter().skip_while(|kind| alert.kind != **kind);
            findings.unknown.extend(lower.skip(1).map(|kind| Unknown {
                kind: (*kind).to_owned(),
                of: Which::Subject(alert.subject.clone()),
            }));
        }
        if found.is_unknown {
            findings.unknown.extend(
                self.kinds
                    .iter()
                    .map(|kind| Unknown { kind: (*kind).to_owned(), of: Which::Every }),
            );
        }
        findings.alerts.append(&mut found.alerts);
        findings.disks.append(&mut found.disks);
        findings.alerts.extend(look.check_error(self.name, &found.misfits));
    }
}

impl CustomRule {
    fn hold(&self, look: &Look, findings: &mut Findings) {
        let unknown = Unknown { kind: self.name.clone(), of: Which::Every };
        match look.number(&self.metric) {
            Ok(Some(number)) => {
                let is_broken = self.op.holds(float(number), self.value);
                findings
                    .alerts
                    .extend(is_broken.then(|| self.alert(number, look.settings.language)));
            }
            Ok(None) => findings.unknown.push(unknown),
            Err(misfit) => {
                findings.unknown.push(unknown);
                findings.alerts.extend(look.check_error(&self.name, &[misfit]));
            }
        }
    }

    fn alert(&self, value: &Number, language: Language) -> Alert {
        let template = match self.message.as_str() {
            "" => language.pick(
                format!("{{metric}} 为 {{value}}（{} {{threshold}}）", self.op.sign()),
                format!("{{metric}} is {{value}} ({} {{threshold}})", self.op.sign()),
            ),
            message => message.to_owned(),
        };
        let threshold = exact(self.value);
        let shown = [
            ("{value}", plain(value)),
            ("{metric}", self.metric.clone()),
            ("{threshold}", threshold.as_ref().map(plain).unwrap_or_default()),
        ];
        Alert {
            kind: self.name.clone(),
            severity: self.severity,
            message: filled(&template, &shown),
            subject: None,
            value: Some(value.clone()),
            threshold,
        }
    }
}

/// The template with every placeholder replaced once; what is put in is not looked through again.
fn filled(template: &str, shown: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = shown.iter().find(|(name, _)| rest.starts_with(name));
        let (put_in, length) = known.map_or(("{", 1), |(name, value)| (value, name.len()));
        text.push_str(put_in);
        rest = &rest[length..];
    }
    text + rest
}

// ---- reading a document

/// A document, and what it is held against.
struct Look<'a> {
    document: &'a Value,
    settings: &'a Settings,
}

/// A place in a document that is not as a rule needs it.
#[derive(Debug)]
struct Misfit {
    path: String,
    wrong: Wrong,
}

#[derive(Debug, Clone, Copy)]
enum Wrong {
    Missing,
    NoNumber,
    NoObject,
    NoList,
    NoText,
}

impl Misfit {
    fn new(path: &str, wrong: Wrong) -> Self {
        Self { path: path.to_owned(), wrong }
    }

    fn told(&self, language: Language) -> String {
        let words = match self.wrong {
            Wrong::Missing => language.pick("不存在", "does not exist"),
            Wrong::NoNumber => language.pick("不是数字", "is not a number"),
            Wrong::NoObject => language.pick("不是对象", "is not an object"),
            Wrong::NoList => language.pick("不是列表", "is not a list"),
            Wrong::NoText => language.pick("不是文本", "is not a text"),
        };
        format!("{} {words}", self.path)
    }
}

/// Maps that leave out what was counted 0 times: there, a key that is not found stands for 0.
const COUNTS: [&str; 4] = [
    "task_statistics.status_breakdown",
    "task_statistics.raw_status_breakdown",
    "error_statistics.error_categories",
    "error_statistics.retry_statistics",
];

static NOTHING: std::sync::LazyLock<Number> = std::sync::LazyLock::new(|| Number::from(0));

impl<'a> Look<'a> {
    /// The value at a path; `None`: null stands there, or above it.
    fn value(&self, path: &str) -> Result<Option<&'a Value>, Misfit> {
        let found = step(self.document, path).ok_or_else(|| Misfit::new(path, Wrong::Missing))?;
        Ok(Some(found).filter(|value| !value.is_null()))
    }

    fn number(&self, path: &str) -> Result<Option<&'a Number>, Misfit> {
        let number = |value: &'a Value| match value {
            Value::Number(number) => Ok(number),
            _ => Err(Misfit::new(path, Wrong::NoNumber)),
        };
        match self.value(path) {
            Ok(value) => value.map(number).transpose(),
            Err(missing) => {
                if self.is_a_count(path) {
                    Ok(Some(&NOTHING))
                } else {
                    Err(missing)
                }
            }
        }
    }

    /// Whether a path that is not found lies in one of the maps of [`COUNTS`] that is there.
    fn is_a_count(&self, path: &str) -> bool {
        COUNTS.iter().any(|map| {
            let key = path.strip_prefix(map).and_then(|rest| rest.strip_prefix('.'));
            key.is_some_and(|key| !key.is_empty())
                && step(self.document, map).is_some_and(Value::is_object)
        })
    }

    fn object(&self, path: &str) -> Result<Option<&'a Map<String, Value>>, Misfit> {
        let object = |value: &'a Value| value.as_object();
        self.value(path)?
            .map(|value| object(value).ok_or_else(|| Misfit::new(path, Wrong::NoObject)))
            .transpose()
    }

    fn list(&self, path: &str) -> Result<Option<&'a Vec<Value>>, Misfit> {
        self.value(path)?
            .map(|value| value.as_array().ok_or_else(|| Misfit::new(path, Wrong::NoList)))
            .transpose()
    }

    fn text(&self, path: &str) -> Result<Option<&'a str>, Misfit> {
        self.value(path)?
            .map(|value| value.as_str().ok_or_else(|| Misfit::new(path, Wrong::NoText)))
            .transpose()
    }

    /// A number that cannot be null.
    fn known(&self, path: &str) -> Result<&'a Number, Misfit> {
        self.number(path)?.ok_or_else(|| Misfit::new(path, Wrong::NoNumber))
    }

    fn pick<T>(&self, zh: T, en: T) -> T {
        self.settings.language.pick(zh, en)
    }

    fn check_error(&self, rule: &str, misfits: &[Misfit]) -> Option<Alert> {
        if misfits.is_empty() {
            return None;
        }
        let language = self.settings.language;
        let told: Vec<String> = misfits.iter().map(|misfit| misfit.told(language)).collect();
        Some(check_error(rule, &told.join("; "), language))
    }
}

fn check_error(rule: &str, why: &str, language: Language) -> Alert {
    Alert {
        kind: CHECK_ERROR.to_owned(),
        severity: Severity::Error,
        message: language.pick(
            format!("告警规则 {rule} 无法评估: {why}"),
            format!("The rule {rule} cannot be evaluated: {why}"),
        ),
        subject: Some(rule.to_owned()),
        value: None,
        threshold: None,
    }
}

/// Follows a path. A key may hold dots itself: of the keys that the path may go on with the shortest that leads on is taken.
fn step<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    match value {
        // What lies below what is not known is not known either.
        Value::Null => Some(value),
        Value::Array(elements) => {
            let (place, rest) = match path.split_once('.') {
                Some((place, rest)) => (place, Some(rest)),
                None => (path, None),
            };
            let is_number = !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
            let element = elements.get(place.parse::<usize>().ok().filter(|_| is_number)?)?;
            rest.map_or(Some(element), |rest| step(element, rest))
        }
        Value::Object(entries) => {
            let ends = path.match_indices('.').map(|(at, _)| at);
            let through = ends.filter_map(|at| step(entries.get(&path[..at])?, &path[at + 1..]));
            let mut found = entries.get(path).into_iter().chain(through);
            found.next()
        }
        _ => None,
    }
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// A number without needless zeros.
fn plain(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => format!("{float}"),
        _ => number.to_string(),
    }
}

/// A whole number stays one.
fn exact(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Some(Number::from(value as i64))
    } else {
        Number::from_f64(value)
    }
}

// ---- the rules

/// `subject` tells today's rate from that of a whole day.
fn failure_rate(
    look: &Look,
    path: &str,
    subject: Option<&str>,
    found: &mut Found,
) -> Result<(), Misfit> {
    let Some(rate) = look.number(path)? else {
        found.is_unknown = true;
        return Ok(());
    };
    let shown = plain(rate);
    let today = |text: String| match subject {
        Some(_) => look.pick(format!("今日{text}"), format!("{text}, today")),
        None => text,
    };
    let levels = [
        (
            "critical_failure_rate",
            Severity::Critical,
            look.settings.failure_rate_critical,
            look.pick("任务失败率严重过高", "Task failure rate is critical"),
        ),
        (
            "high_failure_rate",
            Severity::Warning,
            look.settings.failure_rate_warning,
            look.pick("任务失败率过高", "Task failure rate is high"),
        ),
    ];
    let broken = levels.into_iter().find(|level| float(rate) > level.2);
    found.alerts.extend(broken.map(|(kind, severity, threshold, words)| Alert {
        kind: kind.to_owned(),
        severity,
        message: today(format!("{words}: {shown}%")),
        subject: subject.map(str::to_owned),
        value: Some(rate.clone()),
        threshold: exact(threshold),
    }));
    Ok(())
}

fn no_tasks(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let Some(total) = look.number("task_statistics.total_tasks")? else {
        found.is_unknown = true;
        return Ok(());
    };
    if look.settings.no_tasks && float(total) == 0.0 {
        // A date is good to have in the message, and no reason to fail without.
        let date = look.text("date").ok().flatten().unwrap_or_default();
        found.alerts.push(Alert {
            kind: "no_tasks".to_owned(),
            severity: Severity::Warning,
            message: match date {
                "" => look.pick("没有任何任务", "There was no task").to_owned(),
                date => look
                    .pick(format!("{date} 没有任何任务"), format!("There was no task on {date}")),
            },
            subject: None,
            value: Some(total.clone()),
            threshold: None,
        });
    }
    Ok(())
}

fn concentrated_errors(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let path = "error_statistics.error_categories";
    let Some(categories) = look.object(path)? else {
        found.is_unknown = true;
        return Ok(());
    };
    let count = |(name, count): (&String, &Value)| {
        let tasks = count.as_u64();
        let tasks = tasks.ok_or_else(|| Misfit::new(&format!("{path}.{name}"), Wrong::NoNumber))?;
        Ok((name.clone(), tasks))
    };
    let counts: Vec<(String, u64)> = categories.iter().map(count).collect::<Result<_, _>>()?;
    let all: u64 = counts.iter().map(|(_, tasks)| tasks).sum();
    let limit = look.settings.error_concentration_percent;
    // Exactly: 50.001 % is above 50 although it reads 50.0.
    let is_above = |tasks: u64| tasks as f64 * 100.0 > limit * all as f64;
    for (name, tasks) in counts.into_iter().filter(|(_, tasks)| is_above(*tasks)) {
        let share = exact(units::percent(tasks, all));
        let shown = share.as_ref().map(plain).unwrap_or_default();
        found.alerts.push(Alert {
            kind: "concentrated_errors".to_owned(),
            severity: Severity::Warning,
            message: look.pick(
                format!("错误集中在「{name}」: {shown}%（{tasks}/{all}）"),
                format!("Errors are concentrated in \"{name}\": {shown}% ({tasks} of {all})"),
            ),
            subject: Some(name),
            value: share,
            threshold: exact(limit),
        });
    }
    Ok(())
}

/// Each disk by the status that it was measured with: the thresholds of that run held for its exact figures, space and inodes alike, whatever
/// is configured where the result is read.
fn disks(look: &Look, path: &str, found: &mut Found) -> Result<(), Misfit> {
    let Some(disks) = look.list(path)? else {
        found.is_unknown = true;
        return Ok(());
    };
    for place in 0..disks.len() {
        if let Err(misfit) = disk(look, &format!("{path}.{place}"), found) {
            found.misfits.push(misfit);
        }
    }
    Ok(())
}

fn disk(look: &Look, path: &str, found: &mut Found) -> Result<(), Misfit> {
    let at = |key: &str| format!("{path}.{key}");
    let text = |key: &str| look.text(&at(key))?.ok_or_else(|| Misfit::new(&at(key), Wrong::NoText));
    let (disk, status) = (text("path")?, text("status")?);
    let space = look.known(&at("usage_percent"))?;
    // Not every file system counts inodes.
    let inodes = look.number(&at("inodes_usage_percent")).unwrap_or(None);
    let settings = look.settings;
    let (kind, severity, threshold, words) = match status {
        "normal" => {
            found.disks.push(disk.to_owned());
            return Ok(());
        }
        "warning" => (
            DISK_WARNING,
            Severity::Warning,
            settings.disk_warning_percent,
            look.pick("磁盘空间不足", "Disk space is low"),
        ),
        "critical" => (
            DISK_CRITICAL,
            Severity::Critical,
            settings.disk_critical_percent,
            look.pick("磁盘空间严重不足", "Disk space is critical"),
        ),
        _ => return Err(Misfit::new(&at("status"), Wrong::NoText)),
    };
    found.disks.push(disk.to_owned());
    let fuller = inodes.filter(|inodes| float(inodes) > float(space));
    let (value, what) = match fuller {
        Some(inodes) => (inodes, look.pick("inode 已用", "inodes used")),
        None => (space, look.pick("已用", "used")),
    };
    let shown = plain(value);
    found.alerts.push(Alert {
        kind: kind.to_owned(),
        severity,
        message: look.pick(
            format!("{words}: {disk} {what} {shown}%"),
            format!("{words}: {disk}, {shown}% {what}"),
        ),
        subject: Some(disk.to_owned()),
        value: Some(value.clone()),
        // A result that was measured by other thresholds does not say which.
        threshold: exact(threshold).filter(|_| float(value) > threshold),
    });
    Ok(())
}

fn stuck(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let tasks = look.known("stuck.tasks")?;
    if float(tasks) == 0.0 {
        return Ok(());
    }
    let minutes = look.settings.live.stuck_after_minutes;
    let (tasks, oldest) = (plain(tasks), oldest(look, "stuck")?);
    let longest = oldest.told(look);
    found.alerts.push(Alert {
        kind: "stuck_tasks".to_owned(),
        severity: Severity::Warning,
        message: look.pick(
            format!("任务卡住: {tasks} 个任务处理超过 {minutes} 分钟仍未结束，{longest}"),
            format!(
                "Stuck tasks: {tasks} in processing for more than {minutes} minutes; {longest}"
            ),
        ),
        subject: None,
        value: oldest.minutes(),
        threshold: Some(Number::from(minutes)),
    });
    Ok(())
}

fn backlog(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let (pending, older) =
        (look.known("backlog.pending")?, look.known("backlog.older_than_limit")?);
    let limits = &look.settings.live;
    let is_too_much = float(pending) > limits.backlog_max as f64;
    if !is_too_much && float(older) == 0.0 {
        return Ok(());
    }
    let (most, minutes) = (limits.backlog_max, limits.backlog_after_minutes);
    let mut facts =
        vec![look.pick(
            format!("{} 个任务等待处理", plain(pending)),
            format!("{} pending", plain(pending)),
        )];
    if is_too_much {
        facts[0] += &look.pick(format!("（上限 {most}）"), format!(" (limit {most})"));
    }
    let (mut value, mut threshold) = (Some(pending.clone()), Some(Number::from(most)));
    if float(older) > 0.0 {
        let oldest = oldest(look, "backlog")?;
        let longest = oldest.told(look);
        let older = plain(older);
        facts.push(look.pick(
            format!("其中 {older} 个已等待超过 {minutes} 分钟，{longest}"),
            format!("{older} of them for more than {minutes} minutes, {longest}"),
        ));
        if !is_too_much {
            (value, threshold) = (oldest.minutes(), Some(Number::from(minutes)));
        }
    }
    facts.extend(draining(look)?);
    let (name, gap) = look.pick(("任务积压", "，"), ("Backlog", "; "));
    found.alerts.push(Alert {
        kind: "backlog".to_owned(),
        severity: Severity::Warning,
        message: format!("{name}: {}", facts.join(gap)),
        subject: None,
        value,
        threshold,
    });
    Ok(())
}

/// How long the backlog will last at the rate of the last hour; nothing where that is not known.
fn draining(look: &Look) -> Result<Option<String>, Misfit> {
    let Some(finished) = look.number("backlog.finished_last_hour")? else {
        return Ok(None);
    };
    let Some(seconds) = look.number("backlog.drain_seconds")? else {
        return Ok(Some(
            look.pick("最近一小时没有任务完成", "no task finished in the last hour").to_owned(),
        ));
    };
    let (finished, left) = (plain(finished), duration(float(seconds), look.settings.language));
    Ok(Some(look.pick(
        format!("最近一小时完成 {finished} 个，按此速度还需 {left}"),
        format!("{finished} finished in the last hour, {left} left at that rate"),
    )))
}

/// The rate of a day that has just begun says little, so a minimum of tasks is asked for. Below it nothing stands: what stood at midnight was
/// of the day before.
fn today(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let total = look.known("today.total")?;
    if float(total) < look.settings.live.min_tasks as f64 {
        return Ok(());
    }
    failure_rate(look, "today.failure_rate", Some("today"), found)
}

fn jobs(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let Some(missed) = look.list("jobs.missed")? else {
        found.is_unknown = true;
        return Ok(());
    };
    for place in 0..missed.len() {
        let at = |key: &str| format!("jobs.missed.{place}.{key}");
        let name = look.text(&at("job"))?.ok_or_else(|| Misfit::new(&at("job"), Wrong::NoText))?;
        let due = readable(look.text(&at("due"))?.unwrap_or_default());
        found.alerts.push(Alert {
            kind: JOB_MISSED.to_owned(),
            severity: Severity::Error,
            message: look.pick(
                format!("作业 {name} 没有按时成功运行: 应于 {due}"),
                format!("The scheduled job {name} has no successful run; it was due at {due}"),
            ),
            subject: Some(name.to_owned()),
            value: None,
            threshold: None,
        });
    }
    Ok(())
}

/// An RFC 3339 time as people read it: `2026-11-22 02:00 +08:00`. What is none stays as it is.
fn readable(time: &str) -> String {
    let parsed = chrono::DateTime::parse_from_rfc3339(time);
    parsed.map_or(time.to_owned(), |time| time.format("%Y-%m-%d %H:%M %:z").to_string())
}

fn skipped_jobs(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let Some(skipped) = look.list("jobs.skipped")? else {
        found.is_unknown = true;
        return Ok(());
    };
    for place in 0..skipped.len() {
        let at = |key: &str| format!("jobs.skipped.{place}.{key}");
        let name = look.text(&at("job"))?.ok_or_else(|| Misfit::new(&at("job"), Wrong::NoText))?;
        let times = look.known(&at("times"))?;
        found.alerts.push(Alert {
            kind: JOB_SKIPPED.to_owned(),
            severity: Severity::Warning,
            message: look.pick(
                format!("作业 {name} 连续 {times} 次被跳过: 另一次运行一直占用锁"),
                format!("The scheduled job {name} was skipped {times} times in a row: another run held its lock each time"),
            ),
            subject: Some(name.to_owned()),
            value: Some(times.clone()),
            threshold: None,
        });
    }
    Ok(())
}

/// The oldest task of a part of the live state.
struct Oldest<'a> {
    task: Option<&'a str>,
    seconds: f64,
}

fn oldest<'a>(look: &Look<'a>, part: &str) -> Result<Oldest<'a>, Misfit> {
    Ok(Oldest {
        task: look.text(&format!("{part}.oldest_task"))?,
        seconds: float(look.known(&format!("{part}.oldest_seconds"))?),
    })
}

impl Oldest<'_> {
    fn told(&self, look: &Look) -> String {
        let age = duration(self.seconds, look.settings.language);
        match self.task {
            Some(task) => look
                .pick(format!("最久的是 {task}（{age}）"), format!("the oldest is {task} ({age})")),
            None => look.pick(format!("最久 {age}"), format!("the oldest for {age}")),
        }
    }

    fn minutes(&self) -> Option<Number> {
        exact(units::round2(self.seconds / 60.0))
    }
}

/// The two largest units of a duration.
fn duration(seconds: f64, language: Language) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let [day, hour, minute, second] =
        language.pick([" 天", " 小时", " 分钟", " 秒"], [" d", " h", " min", " s"]);
    let parts = match () {
        () if days > 0 => [(days, day), (hours, hour)],
        () if hours > 0 => [(hours, hour), (minutes, minute)],
        () if minutes > 0 => [(minutes, minute), (0, second)],
        () => [(seconds, second), (0, second)],
    };
    let shown = parts.iter().enumerate();
    let shown = shown.filter(|(place, (count, _))| *place == 0 || *count > 0);
    let texts: Vec<String> = shown.map(|(_, (count, unit))| format!("{count}{unit}")).collect();
    texts.join(" ")
}

#[cfg(test)]
pub(super) mod tests;
