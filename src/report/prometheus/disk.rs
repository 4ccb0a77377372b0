//! The figures of `disk`.

use super::exposition::{Labels, Text, share};
use super::run::{add_errors, add_firing};
use crate::system::disk::{Disk, DiskReport, Status};

pub fn add(text: &mut Text, job: &str, report: &DiskReport) {
    add_errors(text, job, report.errors.len() as u64);
    add_firing(text, job, &report.alerts);
    type Figure = fn(&Disk) -> Option<f64>;
    let figures: [(&str, &str, Figure); 7] = [
        ("size_bytes", "Size of the file system.", |disk| Some(disk.bytes.total as f64)),
        ("used_bytes", "Bytes of the file system that are in use.", |disk| {
            Some(disk.bytes.used as f64)
        }),
        (
            "available_bytes",
            "Bytes of the file system that a user without privileges can still write.",
            |disk| Some(disk.bytes.available as f64),
        ),
        (
            "used_ratio",
            "Used space as a share of used and available space, as df shows it.",
            |disk| Some(share(disk.usage_percent)),
        ),
        ("inodes_used_ratio", "Used inodes as a share of all.", |disk| {
            disk.inodes_usage_percent.map(share)
        }),
        ("read_only", "Whether it can only be read: 1 or 0.", |disk| {
            Some(if disk.read_only { 1.0 } else { 0.0 })
        }),
        ("status", "By the thresholds: 0 normal, 1 warning, 2 critical.", |disk| {
            Some(match disk.status {
                Status::Normal => 0.0,
                Status::Warning => 1.0,
                Status::Critical => 2.0,
            })
        }),
    ];
    for (name, help, figure) in figures {
        let samples = report.disks.iter().map(|disk| (place(disk), figure(disk)));
        text.family(&format!("taskmon_disk_{name}"), help, samples);
    }
}

fn place(disk: &Disk) -> Labels<'_> {
    let known = [
        ("path", Some(&disk.path)),
        ("mount", disk.mount.as_ref()),
        ("device", disk.device.as_ref()),
        ("fs_type", disk.fs_type.as_ref()),
    ];
    let known = known.into_iter();
    known.filter_map(|(name, value)| Some((name, value?.as_str()))).collect()
}
