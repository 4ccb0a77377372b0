//! The text logs: `critical_alerts.log`, `error_alerts.log`, `warning_alerts.log` and `info_alerts.log`.

use super::lines::append;
use crate::outcome::Severity;
use crate::printable::escaped;
use chrono::{DateTime, FixedOffset};
use std::path::Path;

/// A line of the text logs: `2023-12-02T02:00:01+08:00 - WARNING - message`, on one line whatever the message holds.
pub fn log_line(time: DateTime<FixedOffset>, severity: Severity, message: &str) -> String {
    format!(
        "{} - {} - {}",
        time.to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        severity.name().to_uppercase(),
        escaped(message)
    )
}

/// Appends lines to the log of their severity: `critical_alerts.log` and so on.
///
/// # Errors
/// The first that cannot be written, with its path; the others are written all the same.
pub fn write_logs(folder: &Path, lines: &[(Severity, String)]) -> Result<(), String> {
    let mut failed = None;
    for severity in Severity::ALL.into_iter().rev() {
        let of_severity = lines.iter().filter(|(of, _)| *of == severity);
        let text: Vec<String> = of_severity.map(|(_, line)| format!("{line}\n")).collect();
        let path = folder.join(format!("{}_alerts.log", severity.name()));
        if let Err(error) = append(&path, &text) {
            failed.get_or_insert(format!("{}: {error}", path.display()));
        }
    }
    failed.map_or(Ok(()), Err)
}
