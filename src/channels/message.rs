//! The words of a notification: what people read in chat and mail, and what programs read as JSON.
//!
//! Everything in an alert is somebody else's text. Of its control characters only a message's line breaks are kept, and each channel
//! escapes it for its own markup.

use super::text::{plain, plain_lines, shorten, shorten_to_characters};
use crate::alert::{AlertUpdate, FailedTask, Notification, Status};
use crate::language::Language;
use crate::outcome::Severity;
use serde_json::json;

/// How much of one alert's message, of its subject and of its type people get, in bytes: one endless message must not crowd
/// out the others, and one alert must fit into the smallest limit of a service, however long escaping makes it.
const LONGEST_MESSAGE: usize = 600;
const LONGEST_SUBJECT: usize = 200;
const LONGEST_KIND: usize = 100;
const LONGEST_HOST: usize = 100;
const LONGEST_TASK: usize = 60;
const LONGEST_ERROR: usize = 120;

/// How much of a message goes into a title, in characters.
const LONGEST_IN_TITLE: usize = 80;

/// The JSON for programs: the contract's, whole and as it is.
pub fn document(notification: &Notification) -> String {
    let mut document = json!({
        "schema_version": 1,
        "host": notification.host,
        "time": timestamp(notification),
        "alerts": notification.alerts,
    });
    if let Some(name) = &notification.name {
        document["name"] = json!(name);
    }
    document.to_string()
}

/// The time as programs read it.
pub fn timestamp(notification: &Notification) -> String {
    notification.time.to_rfc3339_opts(chrono::SecondsFormat::Secs, false)
}

/// What a notification is about, for colours and titles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something is firing; this is the worst of it.
    Firing(Severity),
    /// All of it is resolved.
    Resolved,
}

impl Tone {
    pub fn of(notification: &Notification) -> Self {
        let worst = firing(notification).map(|update| update.alert.severity).max();
        worst.map_or(Tone::Resolved, Tone::Firing)
    }

    pub fn of_update(update: &AlertUpdate) -> Self {
        match update.status {
            Status::Firing => Tone::Firing(update.alert.severity),
            Status::Resolved => Tone::Resolved,
        }
    }

    /// The word for it.
    pub fn word(self, language: Language) -> &'static str {
        match self {
            Tone::Firing(Severity::Critical) => language.pick("严重", "Critical"),
            Tone::Firing(Severity::Error) => language.pick("错误", "Error"),
            Tone::Firing(Severity::Warning) => language.pick("警告", "Warning"),
            Tone::Firing(Severity::Info) => language.pick("信息", "Info"),
            Tone::Resolved => language.pick("已恢复", "Resolved"),
        }
    }

    /// Red, orange, yellow, blue or green, as `#RRGGBB`.
    pub fn colour(self) -> &'static str {
        match self {
            Tone::Firing(Severity::Critical) => "#d32f2f",
            Tone::Firing(Severity::Error) => "#ef6c00",
            Tone::Firing(Severity::Warning) => "#f9a825",
            Tone::Firing(Severity::Info) => "#1976d2",
            Tone::Resolved => "#2e7d32",
        }
    }
}

fn firing(notification: &Notification) -> impl Iterator<Item = &AlertUpdate> {
    notification.alerts.iter().filter(|update| update.status == Status::Firing)
}

/// One line with everything: how bad, where, what.
pub fn title(notification: &Notification) -> String {
    let word = Tone::of(notification).word(notification.language);
    let what = match notification.alerts.as_slice() {
        [only] => shorten_to_characters(&plain(&only.alert.message), LONGEST_IN_TITLE),
        _ => counted(notification),
    };
    format!("[{word}] {}: {what}", place(notification))
}

/// What is watched and where: "shop (web-1)".
fn place(notification: &Notification) -> String {
    let host = host(notification);
    match &notification.name {
        Some(name) => format!("{} ({host})", shorten(&plain(name), LONGEST_HOST)),
        None => host,
    }
}

/// "3 alerts, 1 resolved"
fn counted(notification: &Notification) -> String {
    let language = notification.language;
    let firing = firing(notification).count();
    let firing_text = match firing {
        0 => None,
        1 => Some(language.pick("1 条告警", "1 alert").to_owned()),
        n => Some(language.pick(format!("{n} 条告警"), format!("{n} alerts"))),
    };
    let resolved_text = match notification.alerts.len() - firing {
        0 => None,
        n => Some(language.pick(format!("{n} 条已恢复"), format!("{n} resolved"))),
    };
    let parts: Vec<String> = [firing_text, resolved_text].into_iter().flatten().collect();
    parts.join(language.pick("，", ", "))
}

pub fn host(notification: &Notification) -> String {
    shorten(&plain(&notification.host), LONGEST_HOST)
}

/// The time with its zone, as people read it.
pub fn time(notification: &Notification) -> String {
    notification.time.format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// The words for "host" and "time".
pub fn labels(language: Language) -> (&'static str, &'static str) {
    language.pick(("主机", "时间"), ("Host", "Time"))
}

/// "Host: web-1  Time: 2023-12-02 02:00:01 +08:00", not escaped.
pub fn origin(notification: &Notification) -> String {
    let (host_label, time_label) = labels(notification.language);
    let (host, time) = (host(notification), time(notification));
    format!("{host_label}: {host}  {time_label}: {time}")
}

/// An alert's parts, plain and shortened.
pub struct Parts {
    /// "Resolved", or nothing.
    pub state: Option<&'static str>,
    pub kind: String,
    pub subject: Option<String>,
    pub message: String,
    /// The failed tasks that it is about, a line each: `task_7: error`.
    pub tasks: Vec<String>,
    /// Of printable ASCII.
    pub url: Option<String>,
}

pub fn parts(update: &AlertUpdate, language: Language) -> Parts {
    let alert = &update.alert;
    let is_resolved = update.status == Status::Resolved;
    Parts {
        state: is_resolved.then(|| Tone::Resolved.word(language)),
        kind: shorten(&plain(&alert.kind), LONGEST_KIND),
        subject: alert
            .subject
            .as_ref()
            .filter(|subject| **subject != alert.message)
            .map(|subject| shorten(&plain(subject), LONGEST_SUBJECT)),
        message: shorten(&plain_lines(&alert.message), LONGEST_MESSAGE),
        tasks: if is_resolved { Vec::new() } else { alert.tasks.iter().map(task_line).collect() },
        url: alert.url.clone(),
    }
}

fn task_line(task: &FailedTask) -> String {
    let parts = [(&task.task, LONGEST_TASK), (&task.error, LONGEST_ERROR)];
    let parts = parts
        .into_iter()
        .filter_map(|(part, longest)| part.as_ref().map(|part| shorten(&plain(part), longest)));
    parts.collect::<Vec<_>>().join(": ")
}

/// One alert: `[Resolved] message (type, subject)`, over as many lines as the message has, and then those of its tasks and its link.
fn line(update: &AlertUpdate, language: Language, form: &Form) -> String {
    let parts = parts(update, language);
    let state = parts.state.map_or(String::new(), |word| format!("[{word}] "));
    let subject = parts.subject.map_or(String::new(), |subject| format!(", {subject}"));
    let first = format!("{state}{} ({}{subject})", parts.message, parts.kind);
    let texts = [first].into_iter().chain(parts.tasks).map(|text| (form.escape)(&text));
    let lines: Vec<String> = texts.chain(parts.url.map(|url| (form.link)(&url))).collect();
    format!("{}{}", form.bullet, lines.join("\n").replace('\n', form.newline))
}

/// A service's markup and its limit.
pub struct Form {
    pub escape: fn(&str) -> String,
    /// The same for a URL, which has to stay one.
    pub link: fn(&str) -> String,
    /// Comes before each alert's first line.
    pub bullet: &'static str,
    /// A line break within a message, with what keeps the next line from being markup: an indent, such as `> `.
    pub newline: &'static str,
    /// The most that all lines together may measure.
    pub limit: usize,
    pub measure: fn(&str) -> usize,
}

/// The alerts' lines, as many as fit; if some are left out, the last line counts them.
pub fn lines(notification: &Notification, form: &Form) -> String {
    let lines: Vec<String> = notification
        .alerts
        .iter()
        .map(|update| line(update, notification.language, form))
        .collect();
    (0..=lines.len())
        .rev()
        .map(|count| first(&lines, count, notification.language))
        .find(|text| (form.measure)(text) <= form.limit)
        .unwrap_or_default()
}

/// The first lines, and how many more there are.
fn first(lines: &[String], count: usize, language: Language) -> String {
    let mut shown = lines[..count].to_vec();
    let left_out = lines.len() - count;
    if left_out > 0 {
        shown.push(language.pick(
            format!("……另有 {left_out} 条未显示"),
            format!("… and {left_out} more not shown"),
        ));
    }
    shown.join("\n")
}

/// The length in bytes.
pub fn bytes(text: &str) -> usize {
    text.len()
}

/// The length in bytes within JSON, quotes included.
pub fn json_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX, |json| json.len())
}

/// The length in UTF-16 code units, which some services count as characters.
pub fn utf16_units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Alert;
    use crate::channels::text::full_width_markdown;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn update(message: &str, status: Status) -> AlertUpdate {
        let alert = Alert {
            kind: "disk_space_warning".to_owned(),
            severity: Severity::Warning,
            message: message.to_owned(),
            subject: Some("/var".to_owned()),
            value: None,
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
        };
        AlertUpdate { alert, status }
    }

    fn notification(language: Language, alerts: Vec<AlertUpdate>) -> Notification {
        Notification {
            name: None,
            host: "web-1".to_owned(),
            time: DateTime::parse_from_rfc3339("2023-12-02T02:00:01+08:00").unwrap(),
            language,
            alerts,
        }
    }

    const FORM: Form = Form {
        escape: full_width_markdown,
        link: str::to_owned,
        bullet: "- ",
        newline: "\n  ",
        limit: 4096,
        measure: bytes,
    };

    #[test]
    fn a_title_has_the_severity_the_name_the_host_and_the_message() {
        let firing_one = || update("磁盘\n将满", Status::Firing);
        let resolved_one = || update("gone", Status::Resolved);
        for (language, alerts, expected) in [
            (Language::Zh, vec![firing_one()], "[警告] web-1: 磁盘 将满"),
            (Language::En, vec![resolved_one()], "[Resolved] web-1: gone"),
            (Language::Zh, vec![resolved_one(), resolved_one()], "[已恢复] web-1: 2 条已恢复"),
            (
                Language::En,
                vec![firing_one(), resolved_one()],
                "[Warning] web-1: 1 alert, 1 resolved",
            ),
            (
                Language::Zh,
                vec![firing_one(), firing_one(), resolved_one()],
                "[警告] web-1: 2 条告警，1 条已恢复",
            ),
        ] {
            assert_eq!(title(&notification(language, alerts)), expected);
        }
        let named = Notification {
            name: Some("shop\n".to_owned()),
            ..notification(Language::En, vec![update("gone", Status::Resolved)])
        };
        assert_eq!(title(&named), "[Resolved] shop  (web-1): gone");
    }

    /// Of what is firing: whoever is notified that it is resolved has no use for them.
    #[test]
    fn the_lines_of_an_alert_are_its_message_its_tasks_and_its_link() {
        let task = |task: Option<&str>, error: Option<&str>| FailedTask {
            task: task.map(str::to_owned),
            error: error.map(str::to_owned),
        };
        let with = |status| {
            let mut update = update("9 failed", status);
            update.alert.tasks = vec![
                task(Some("task_7"), Some("*boom*\nat x")),
                task(None, Some("lost")),
                task(Some("task_9"), None),
            ];
            update.alert.url = Some("https://e.org/a_b?c=[d]&e=*#f".to_owned());
            lines(&notification(Language::En, vec![update]), &FORM)
        };
        let link = "\n  https://e.org/a_b?c=[d]&e=*#f";
        let expected =
            "- 9 failed (disk_space_warning, /var)\n  task_7: ＊boom＊ at x\n  lost\n  task_9";
        assert_eq!(with(Status::Firing), format!("{expected}{link}"));
        assert_eq!(
            with(Status::Resolved),
            format!("- ［Resolved］ 9 failed (disk_space_warning, /var){link}")
        );
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let alerts = (0..50).map(|_| update(&"长".repeat(1000), Status::Firing)).collect();
        for (language, more) in
            [(Language::Zh, "……另有 44 条未显示"), (Language::En, "… and 44 more not shown")]
        {
            let text = lines(&notification(language, Clone::clone(&alerts)), &FORM);
            assert!(text.len() <= FORM.limit, "{}", text.len());
            let found: Vec<&str> = text.lines().collect();
            assert_eq!(found.last(), Some(&more), "{text}");
            assert_eq!(found.len(), 7, "{text}");
        }
    }

    #[test]
    fn one_alert_fits_whatever_it_holds() {
        let mut worst = update(&"\u{1}&".repeat(5000), Status::Resolved);
        worst.alert.kind = "*".repeat(5000);
        worst.alert.subject = Some("<".repeat(5000));
        worst.status = Status::Firing;
        worst.alert.url = Some(format!("https://{}", "x".repeat(292)));
        worst.alert.tasks =
            vec![FailedTask { task: Some("#".repeat(5000)), error: Some("[".repeat(5000)) }; 3];
        for language in [Language::Zh, Language::En] {
            let text = lines(&notification(language, vec![worst.clone()]), &FORM);
            assert!(text.len() < FORM.limit && text.len() > 3000, "{} {text}", text.len());
        }
    }

    #[test]
    fn the_lines_of_a_message_stay_lines() {
        let message = "disk is full:\r\n  /var 99%\n\n> /srv 98%\n";
        let text = lines(&notification(Language::En, vec![update(message, Status::Firing)]), &FORM);
        assert_eq!(text, "- disk is full:\n  /var 99%\n  ＞ /srv 98% (disk_space_warning, /var)");
    }

    proptest! {
        #[test]
        fn a_line_holds_no_control_characters_and_fits(message in "(?s).*", kind in ".*", subject in ".*") {
            let mut any = update(&message, Status::Firing);
            any.alert.kind = kind;
            any.alert.subject = Some(subject);
            let text = lines(&notification(Language::En, vec![any]), &FORM);
            let mut further = text.split('\n').skip(1);
            prop_assert!(further.all(|line| line.starts_with("  ")), "{:?}", text);
            prop_assert!(!text.replace('\n', "").contains(char::is_control), "{:?}", text);
            prop_assert!(text.len() <= 4096, "{}", text.len());
        }
    }
}
