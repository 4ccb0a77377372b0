//! The line of `disk`.

use super::line::{Line, messages};
use super::state::State;
use crate::alert::worst_severity;
use crate::language::Language;
use crate::outcome::Severity;
use crate::system::disk::{DiskReport, NOT_MEASURED, Status};
use crate::units::Thresholds;

pub fn disk(report: &DiskReport, language: Language) -> (String, State) {
    let status = report.disk_info.as_ref().map(|worst| worst.status);
    let by_status = match status {
        Some(Status::Critical) => Some(Severity::Critical),
        Some(Status::Warning) => Some(Severity::Warning),
        Some(Status::Normal) | None => None,
    };
    let mut line = Line::default();
    line.add_texts(messages(&report.alerts));
    // What could not be measured is among the alerts.
    let others = report.errors.iter().filter(|issue| !NOT_MEASURED.contains(&issue.kind));
    line.add_texts(others.map(|issue| issue.message.clone()));
    line.add_texts(report.disks.iter().map(|disk| {
        let free = language.pick("可用", "free");
        format!("{} {}% ({free} {} GiB)", disk.path, disk.usage_percent, disk.free_gb)
    }));
    for disk in &report.disks {
        let path = &disk.path;
        let thresholds =
            Thresholds { warning: disk.warning_percent, critical: disk.critical_percent };
        line.add_percent(path, disk.usage_percent, Some(thresholds));
        line.add_figure(
            &format!("{path} used"),
            disk.bytes.used,
            "B",
            &[&"", &"", &0, &disk.bytes.total],
        );
        if let Some(inodes) = disk.inodes_usage_percent {
            line.add_percent(&format!("{path} inodes"), inodes, Some(thresholds));
        }
    }
    line.finish("DISK", State::of(by_status.max(worst_severity(&report.alerts)), &report.errors))
}
