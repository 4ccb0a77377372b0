//! Silences: what receivers are not notified of for a while, because somebody works on it.
//!
//! They are kept in `silences.json` beside the records, so that all hosts that share the records share them.

use crate::alert::Alert;
use crate::files::{Access, NewFile, SHARED, open_regular, read_whole};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Some alerts, by their identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    /// [`EVERY`]: whatever its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `None`: whatever it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Every type of alert.
pub const EVERY: &str = "*";

impl Matcher {
    fn includes(&self, alert: &Alert) -> bool {
        (self.kind == EVERY || self.kind == alert.kind)
            && (self.subject.is_none() || self.subject == alert.subject)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            None => f.write_str(&self.kind),
            Some(subject) => write!(f, "{}={subject}", self.kind),
        }
    }
}

impl FromStr for Matcher {
    type Err = &'static str;

    /// Reads `TYPE` or `TYPE=SUBJECT`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, subject) = match text.split_once('=') {
            None => (text, None),
            Some((kind, subject)) => (kind, Some(subject.to_owned())),
        };
        if kind.is_empty() || subject.as_deref() == Some("") {
            return Err("the type of an alert, or TYPE=SUBJECT");
        }
        Ok(Self { kind: kind.to_owned(), subject })
    }
}

/// Alerts of which nobody is notified until a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    #[serde(flatten)]
    pub alerts: Matcher,
    /// In the configured zone.
    #[serde(serialize_with = "to_the_second")]
    pub until: DateTime<FixedOffset>,
    /// Empty: none was given.
    #[serde(default)]
    pub reason: String,
    /// Who made it; [`MAINTENANCE`] for a window of the configuration.
    #[serde(default)]
    pub by: String,
}

fn to_the_second<S: Serializer>(
    time: &DateTime<FixedOffset>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Secs, false))
}

pub const MAINTENANCE: &str = "maintenance";

/// The one among these that silences an alert for the longest.
pub fn silencing<'s>(silences: &'s [Silence], alert: &Alert) -> Option<&'s Silence> {
    let all = silences.iter().filter(|silence| silence.alerts.includes(alert));
    all.max_by_key(|silence| silence.until)
}

fn file(records_dir: &Path) -> PathBuf {
    records_dir.join("silences.json")
}

/// Those that have not ended.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub fn read(records_dir: &Path, now: DateTime<FixedOffset>) -> io::Result<Vec<Silence>> {
    let content = match open_regular(&file(records_dir), Access::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => read_whole(opened?)?,
    };
    let mut silences: Vec<Silence> = serde_json::from_slice(&content)?;
    silences.retain(|silence| silence.until > now);
    Ok(silences)
}

/// Replaces all of them.
///
/// # Errors
/// The file cannot be written.
pub fn write(records_dir: &Path, silences: &[Silence]) -> io::Result<()> {
    NewFile::create(&file(records_dir), SHARED)?.publish(&serde_json::to_vec(silences)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Severity;

    fn alert(kind: &str, subject: Option<&str>) -> Alert {
        Alert {
            kind: kind.to_owned(),
            severity: Severity::Warning,
            message: String::new(),
            subject: subject.map(str::to_owned),
            value: None,
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
        }
    }

    #[test]
    fn a_matcher_includes_alerts_of_its_type_and_subject() {
        for (matcher, included, others) in [
            ("disk", vec![("disk", None), ("disk", Some("/a"))], vec![("disks", None)]),
            (
                "disk=/a=b",
                vec![("disk", Some("/a=b"))],
                vec![("disk", Some("/a")), ("disk", None), ("other", Some("/a=b"))],
            ),
            ("*", vec![("disk", None), ("backlog", Some("mail"))], vec![]),
            ("*=mail", vec![("backlog", Some("mail"))], vec![("backlog", None)]),
        ] {
            let parsed: Matcher = matcher.parse().unwrap();
            assert_eq!(parsed.to_string(), matcher);
            for (kind, subject) in included {
                assert!(parsed.includes(&alert(kind, subject)), "{matcher} {kind} {subject:?}");
            }
            for (kind, subject) in others {
                assert!(!parsed.includes(&alert(kind, subject)), "{matcher} {kind} {subject:?}");
            }
        }
        for text in ["", "=x", "disk="] {
            assert!(text.parse::<Matcher>().is_err(), "{text}");
        }
    }
}
