//! How full the disks are.

use super::page::Page;
use crate::language::Language;
use crate::system::disk::{Disk, DiskReport, Status};

pub fn disk(report: &DiskReport, language: Language) -> String {
    let mut page = Page::new(language);
    for disk in &report.disks {
        page.line(disk_line(disk, language));
    }
    page.issues(&report.errors);
    page.text
}

fn disk_line(disk: &Disk, language: Language) -> String {
    let (zh, status) = match disk.status {
        Status::Normal => ("正常", "normal"),
        Status::Warning => ("警告", "warning"),
        Status::Critical => ("严重", "critical"),
    };
    let inodes = match disk.inodes_usage_percent {
        Some(percent) => format!("  inodes {percent}%"),
        None => String::new(),
    };
    let read_only = if disk.read_only { language.pick("  只读", "  read-only") } else { "" };
    let name = match &disk.label {
        Some(label) => {
            language.pick(format!("{label}（{}）", disk.path), format!("{label} ({})", disk.path))
        }
        None => disk.path.clone(),
    };
    format!(
        "{}  {name}: {}{inodes}{read_only}  ({})",
        language.pick(zh, status),
        fullness(disk.usage_percent, disk.free_gb, disk.total_gb, language),
        disk.mount.as_deref().unwrap_or("?"),
    )
}

/// Shows what is free beside the percentage: it cannot be computed from the two where blocks are reserved for root.
pub fn fullness(percent: f64, free: f64, total: f64, language: Language) -> String {
    let (label, free, total) = (language.pick("可用", "free"), size(free), size(total));
    format!("{percent}%  {label} {free} / {total}")
}

/// GiB as people say them.
fn size(gib: f64) -> String {
    humansize::format_size((gib * 1024f64.powi(3)) as u64, humansize::BINARY)
}
