//! Rules about disks.

use super::document::{Look, Misfit, Wrong, exact, float, plain};
use super::{DISK_CRITICAL, DISK_WARNING, Found};
use crate::alert::Alert;
use crate::outcome::Severity;

/// Each disk by the status that it was measured with: that run compared its thresholds with exact figures, of space and inodes alike,
/// whatever is configured where the result is read.
pub fn disks(look: &Look, path: &str, found: &mut Found) -> Result<(), Misfit> {
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
    let limits = look.context.disks;
    let (kind, severity, threshold, words) = match status {
        "normal" => {
            found.disks.push(disk.to_owned());
            return Ok(());
        }
        "warning" => (
            DISK_WARNING,
            Severity::Warning,
            limits.warning,
            look.pick("磁盘空间不足", "Disk space is low"),
        ),
        "critical" => (
            DISK_CRITICAL,
            Severity::Critical,
            limits.critical,
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
