//! The words of a notice: what people read in chat and mail, and what programs read as JSON.
//!
//! Everything that comes from an alert is somebody's text. It stands on one line, says nothing to a terminal or a text renderer, and
//! each channel escapes it for its own markup.

use super::redact::cut;
use crate::alert::{AlertUpdate, Notification, Status};
use crate::language::Language;
use crate::outcome::Severity;
use serde_json::json;

/// How much of one alert's message, of its subject and of its type is shown to people, in bytes: one endless message must not crowd out the
/// others, and one alert must fit into the smallest limit of a service whatever its escaping makes of it.
const LONGEST_MESSAGE: usize = 600;
const LONGEST_SUBJECT: usize = 200;
const LONGEST_KIND: usize = 100;
const LONGEST_HOST: usize = 100;

/// How much of a message stands in a title, in characters.
const LONGEST_IN_TITLE: usize = 80;

/// The JSON for programs: the contract's, whole and as it is.
pub fn document(notice: &Notification) -> String {
    let document = json!({
        "schema_version": 1,
        "host": notice.host,
        "time": notice.time.to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        "alerts": notice.alerts,
    });
    document.to_string()
}

/// What a notice is about, for colours and titles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something stands; this is the worst of it.
    Firing(Severity),
    /// Nothing of it stands any longer.
    Resolved,
}

impl Tone {
    pub fn of(notice: &Notification) -> Self {
        let worst = firing(notice).map(|told| told.alert.severity).max();
        worst.map_or(Tone::Resolved, Tone::Firing)
    }

    /// The word for it.
    pub fn word(self, language: Language) -> &'static str {
        match self {
            Tone::Firing(severity) => severity_word(severity, language),
            Tone::Resolved => language.pick("已恢复", "Resolved"),
        }
    }

    /// Red, orange, yellow or green, as `#RRGGBB`.
    pub fn colour(self) -> &'static str {
        match self {
            Tone::Firing(Severity::Critical) => "#d32f2f",
            Tone::Firing(Severity::Error) => "#ef6c00",
            Tone::Firing(Severity::Warning) => "#f9a825",
            Tone::Resolved => "#2e7d32",
        }
    }
}

pub fn severity_word(severity: Severity, language: Language) -> &'static str {
    match severity {
        Severity::Critical => language.pick("严重", "Critical"),
        Severity::Error => language.pick("错误", "Error"),
        Severity::Warning => language.pick("警告", "Warning"),
    }
}

fn firing(notice: &Notification) -> impl Iterator<Item = &AlertUpdate> {
    let alerts = notice.alerts.iter();
    alerts.filter(|told| told.status == Status::Firing)
}

/// One line that says it all: how bad, where, what.
pub fn title(notice: &Notification) -> String {
    let word = Tone::of(notice).word(notice.language);
    let what = match notice.alerts.as_slice() {
        [only] => start(&plain(&only.alert.message), LONGEST_IN_TITLE),
        _ => counted(notice),
    };
    format!("[{word}] {}: {what}", host(notice))
}

/// "3 alerts, 1 resolved"
fn counted(notice: &Notification) -> String {
    let standing = firing(notice).count();
    let resolved = notice.alerts.len() - standing;
    let language = notice.language;
    let standing = match standing {
        0 => None,
        1 => Some(language.pick("1 条告警", "1 alert").to_owned()),
        n => Some(language.pick(format!("{n} 条告警"), format!("{n} alerts"))),
    };
    let resolved = match resolved {
        0 => None,
        n => Some(language.pick(format!("{n} 条已恢复"), format!("{n} resolved"))),
    };
    let parts: Vec<String> = [standing, resolved].into_iter().flatten().collect();
    parts.join(language.pick("，", ", "))
}

pub fn host(notice: &Notification) -> String {
    shortened(&plain(&notice.host), LONGEST_HOST)
}

/// The time with its zone, as people read it.
pub fn time(notice: &Notification) -> String {
    notice.time.format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// The words for "host" and "time".
pub fn labels(language: Language) -> (&'static str, &'static str) {
    language.pick(("主机", "时间"), ("Host", "Time"))
}

/// An alert's parts, plain and shortened.
pub struct Parts {
    /// "Resolved", or nothing.
    pub state: Option<&'static str>,
    pub kind: String,
    pub subject: Option<String>,
    pub message: String,
}

pub fn parts(told: &AlertUpdate, language: Language) -> Parts {
    let alert = &told.alert;
    let resolved = told.status == Status::Resolved;
    let subject = alert.subject.as_ref();
    Parts {
        state: resolved.then(|| Tone::Resolved.word(language)),
        kind: shortened(&plain(&alert.kind), LONGEST_KIND),
        subject: subject.map(|subject| shortened(&plain(subject), LONGEST_SUBJECT)),
        message: shortened(&plain(&alert.message), LONGEST_MESSAGE),
    }
}

/// One alert on one line: `[Resolved] message (type, subject)`.
pub fn line(told: &AlertUpdate, language: Language) -> String {
    let parts = parts(told, language);
    let state = parts.state.map_or(String::new(), |word| format!("[{word}] "));
    let subject = parts.subject.map_or(String::new(), |subject| format!(", {subject}"));
    format!("{state}{} ({}{subject})", parts.message, parts.kind)
}

/// A service's markup and its limit.
pub struct Form {
    pub escape: fn(&str) -> String,
    /// What stands before each alert's line, and between lines.
    pub bullet: &'static str,
    pub separator: &'static str,
    /// The most that the lines may measure together.
    pub limit: usize,
    pub measure: fn(&str) -> usize,
}

/// The alerts' lines, as many as fit; where some are left out, the last line counts them.
pub fn lines(notice: &Notification, form: &Form) -> String {
    let every: Vec<String> = notice
        .alerts
        .iter()
        .map(|told| format!("{}{}", form.bullet, (form.escape)(&line(told, notice.language))))
        .collect();
    let fits = |text: &str| (form.measure)(text) <= form.limit;
    (0..=every.len())
        .rev()
        .map(|count| first(&every, count, notice.language, form))
        .find(|text| fits(text))
        .unwrap_or_default()
}

/// The first lines, and how many more there are.
fn first(every: &[String], count: usize, language: Language, form: &Form) -> String {
    let mut shown = every[..count].to_vec();
    let left_out = every.len() - count;
    if left_out > 0 {
        shown.push(language.pick(
            format!("……另有 {left_out} 条未显示"),
            format!("… and {left_out} more not shown"),
        ));
    }
    shown.join(form.separator)
}

/// The length in bytes.
pub fn bytes(text: &str) -> usize {
    text.len()
}

/// The length in bytes within JSON, quotes included.
pub fn json_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX, |json| json.len())
}

/// A text on one line that means nothing to whoever shows it: line breaks and tabs become spaces; other control characters, and those
/// that turn the direction of writing, stand invisible or belong to no script, become U+FFFD.
pub fn plain(text: &str) -> String {
    text.chars().map(harmless).collect()
}

fn harmless(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        // Directions, isolates, invisible marks, tags. U+200D stays: it holds emoji together.
        '\u{61c}'
        | '\u{ad}'
        | '\u{180e}'
        | '\u{feff}'
        | '\u{200b}'
        | '\u{200c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// A text of so many bytes at most, an ellipsis saying that there was more.
fn shortened(text: &str, most: usize) -> String {
    if text.len() > most {
        format!("{}…", cut(text, most.saturating_sub('…'.len_utf8())))
    } else {
        text.to_owned()
    }
}

/// The same in characters.
fn start(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text for HTML, between tags and within quotes.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text for the Markdown of DingTalk and WeCom, whose renderers differ and know no backslash: what could be markup, HTML or a mention
/// becomes the full-width form of the same character, which means nothing to any of them.
///
/// `_` stays within a word, where it is no markup: names of alerts and paths keep their look.
pub fn markdown(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let in_word = |at: usize| {
        let beside = |at: Option<usize>| {
            at.and_then(|at| characters.get(at)).is_some_and(|c| c.is_alphanumeric())
        };
        beside(at.checked_sub(1)) && beside(at.checked_add(1))
    };
    let wide = |(at, c): (usize, &char)| match c {
        '_' if in_word(at) => '_',
        '*' | '_' | '[' | ']' | '<' | '>' | '`' | '#' | '~' | '|' | '\\' | '&' | '!' | '@' => {
            full_width(*c)
        }
        c => *c,
    };
    characters.iter().enumerate().map(wide).collect()
}

/// U+FF01 to U+FF5E are ASCII's printable characters, in their order.
fn full_width(c: char) -> char {
    char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Alert;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn told(message: &str, status: Status) -> AlertUpdate {
        let alert = Alert {
            kind: "disk_space_warning".to_owned(),
            severity: Severity::Warning,
            message: message.to_owned(),
            subject: Some("/var".to_owned()),
            value: None,
            threshold: None,
        };
        AlertUpdate { alert, status }
    }

    fn notice(language: Language, alerts: Vec<AlertUpdate>) -> Notification {
        Notification {
            host: "web-1".to_owned(),
            time: DateTime::parse_from_rfc3339("2023-12-02T02:00:01+08:00").unwrap(),
            language,
            alerts,
        }
    }

    const FORM: Form =
        Form { escape: markdown, bullet: "- ", separator: "\n", limit: 4096, measure: bytes };

    #[test]
    fn a_title_says_how_bad_where_and_what() {
        let fires = || told("磁盘\n将满", Status::Firing);
        let gone = || told("gone", Status::Resolved);
        for (language, alerts, expected) in [
            (Language::Zh, vec![fires()], "[警告] web-1: 磁盘 将满"),
            (Language::En, vec![gone()], "[Resolved] web-1: gone"),
            (Language::Zh, vec![gone(), gone()], "[已恢复] web-1: 2 条已恢复"),
            (Language::En, vec![fires(), gone()], "[Warning] web-1: 1 alert, 1 resolved"),
            (Language::Zh, vec![fires(), fires(), gone()], "[警告] web-1: 2 条告警，1 条已恢复"),
        ] {
            assert_eq!(title(&notice(language, alerts)), expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let alerts = (0..50).map(|_| told(&"长".repeat(1000), Status::Firing)).collect();
        for (language, more) in
            [(Language::Zh, "……另有 44 条未显示"), (Language::En, "… and 44 more not shown")]
        {
            let text = lines(&notice(language, Clone::clone(&alerts)), &FORM);
            assert!(text.len() <= FORM.limit, "{}", text.len());
            let found: Vec<&str> = text.lines().collect();
            assert_eq!(found.last(), Some(&more), "{text}");
            assert_eq!(found.len(), 7, "{text}");
        }
    }

    #[test]
    fn one_alert_fits_whatever_it_holds() {
        let mut worst = told(&"\u{1}&".repeat(5000), Status::Resolved);
        worst.alert.kind = "*".repeat(5000);
        worst.alert.subject = Some("<".repeat(5000));
        for language in [Language::Zh, Language::En] {
            let text = lines(&notice(language, vec![worst.clone()]), &FORM);
            assert!(text.len() < 3800 && text.starts_with("- ［"), "{} {text}", text.len());
        }
    }

    #[test]
    fn nothing_means_anything() {
        let evil = "a\r\nb\0\u{1b}[31m\u{202e}x\u{2066} [x](http://evil) <script> **b** @all <at user_id=\"all\"> `c` # _d_ snake_case ![i](u)";
        let shown = plain(evil);
        assert!(shown.starts_with("a  b\u{fffd}\u{fffd}[31m\u{fffd}x\u{fffd} [x]"), "{shown}");
        let marked = markdown(&shown);
        assert_eq!(
            marked,
            "a  b\u{fffd}\u{fffd}［31m\u{fffd}x\u{fffd} ［x］(http://evil) ＜script＞ ＊＊b＊＊ ＠all ＜at user＿id=\"all\"＞ ｀c｀ ＃ ＿d＿ snake_case ！［i］(u)"
                .replace("user＿id", "user_id")
        );
        assert_eq!(html("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }

    proptest! {
        #[test]
        fn a_line_is_one_line_and_fits(message in ".*", kind in ".*", subject in ".*") {
            let mut any = told(&message, Status::Firing);
            any.alert.kind = kind;
            any.alert.subject = Some(subject);
            let text = line(&any, Language::En);
            prop_assert!(!text.contains(char::is_control), "{:?}", text);
            prop_assert!(text.len() <= 1000, "{}", text.len());
        }
    }
}
