//! How full the disks are.

use super::page::{Page, Piece, Tone};
use crate::language::Language;
use crate::system::disk::{Disk, DiskReport, Status};

/// A row for each disk; `columns`: how wide the page may be.
pub fn disk(report: &DiskReport, language: Language, columns: usize) -> String {
    let mut page = Page::new(language);
    let bar = if columns >= 100 { 20 } else { 10 };
    let rows = report.disks.iter().map(|disk| row(disk, bar, language));
    if columns >= WIDE {
        page.table(
            ["状态", "磁盘", "已用", "", "可用", "总量", "inode", "挂载点"],
            ["state", "disk", "used", "", "free", "size", "inodes", "mount"],
            rows,
        );
    } else {
        page.table(
            ["状态", "磁盘", "已用", "", "可用"],
            ["state", "disk", "used", "", "free"],
            rows.map(|[state, disk, bar, percent, free, ..]| [state, disk, bar, percent, free]),
        );
    }
    page.issues(&report.errors);
    page.text
}

/// From so many columns on, a row has all that is known.
const WIDE: usize = 76;

fn row(disk: &Disk, bar: usize, language: Language) -> [Piece; 8] {
    let (tone, zh, en) = match disk.status {
        Status::Normal => (Tone::Good, "正常", "normal"),
        Status::Warning => (Tone::Warning, "警告", "warning"),
        Status::Critical => (Tone::Bad, "严重", "critical"),
    };
    let name = match &disk.label {
        Some(label) => {
            language.pick(format!("{label}（{}）", disk.path), format!("{label} ({})", disk.path))
        }
        None => disk.path.clone(),
    };
    let mount = disk.mount.as_deref().unwrap_or("?");
    let mount = if disk.read_only {
        format!("{mount} {}", language.pick("（只读）", "(read-only)"))
    } else {
        mount.to_owned()
    };
    let inodes = disk.inodes_usage_percent.map_or("-".to_owned(), |percent| format!("{percent}%"));
    [
        tone.of(language.pick(zh, en)),
        name.into(),
        tone.of(filled(disk.usage_percent, bar)),
        format!("{}%", disk.usage_percent).into(),
        size(disk.free_gb).into(),
        size(disk.total_gb).into(),
        inodes.into(),
        mount.into(),
    ]
}

/// A bar of so many columns, filled as far as the percentage says, to the eighth of a column.
fn filled(percent: f64, columns: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (percent.clamp(0.0, 100.0) / 100.0 * columns as f64 * 8.0).round() as usize;
    let bar = "█".repeat(eighths / 8) + PARTS[eighths % 8];
    let rest = columns - bar.chars().count();
    format!("{bar}{}", "░".repeat(rest))
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
