//! Rules about disks.

use super::document::{Look, Misfit, Wrong, exact, float, plain};
use super::{
    DISK_CRITICAL, DISK_NOT_MOUNTED, DISK_READ_ONLY, DISK_UNMEASURED, DISK_WARNING, Found,
};
use crate::alert::Alert;
use crate::outcome::Severity;
use crate::system::disk::{NOT_MEASURED, NOT_MOUNTED};
use serde_json::Number;

/// Each disk by the status that it was measured with: that run compared its thresholds with exact figures, of space and inodes alike,
/// whatever is configured where the result is read.
pub fn disks(look: &Look, path: &str, found: &mut Found) -> Result<(), Misfit> {
    each(look, path, found, disk)
}

/// File systems that can only be read and should be writable.
pub fn read_only(look: &Look, path: &str, found: &mut Found) -> Result<(), Misfit> {
    each(look, path, found, |look, at, found| {
        // Results of earlier versions do not say so.
        if !look.is_true(&format!("{at}.should_be_writable")) {
            return Ok(());
        }
        let disk = Named::read(look, at)?;
        found.alerts.push(Alert {
            kind: DISK_READ_ONLY.to_owned(),
            severity: Severity::Error,
            message: look.pick(
                format!("磁盘只读: {} 现在只能读取，不能写入", disk.shown),
                format!("Disk is read-only: nothing can be written to {} any more", disk.shown),
            ),
            subject: Some(disk.path),
            value: None,
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
        });
        Ok(())
    })
}

/// The paths that could not be measured, of which nobody knows how full they are.
pub fn unmeasured(look: &Look, path: &str, found: &mut Found) -> Result<(), Misfit> {
    if look.list(path).is_err() {
        return Ok(()); // a result that somebody else made
    }
    each(look, path, found, |look, at, found| {
        let text = |key: &str| look.text(&format!("{at}.{key}"));
        let kind = text("kind")?.unwrap_or_default();
        if !NOT_MEASURED.contains(&kind) {
            return Ok(());
        }
        let (message, path) = (text("message")?.unwrap_or_default(), text("path")?);
        let (kind, zh, en) = match kind {
            NOT_MOUNTED => (DISK_NOT_MOUNTED, "磁盘未挂载", "A volume is missing"),
            _ => (DISK_UNMEASURED, "磁盘无法测量", "Disk cannot be measured"),
        };
        found.alerts.push(Alert {
            kind: kind.to_owned(),
            severity: Severity::Error,
            message: format!("{}: {message}", look.pick(zh, en)),
            subject: path.map(str::to_owned),
            value: None,
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
        });
        Ok(())
    })
}

/// Each element of a list, in turn; one that does not fit does not keep the others from it.
fn each(
    look: &Look,
    path: &str,
    found: &mut Found,
    judge: impl Fn(&Look, &str, &mut Found) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    let Some(elements) = look.list(path)? else {
        found.is_unknown = true;
        return Ok(());
    };
    for place in 0..elements.len() {
        if let Err(misfit) = judge(look, &format!("{path}.{place}"), found) {
            found.misfits.push(misfit);
        }
    }
    Ok(())
}

/// What a disk is called.
struct Named {
    path: String,
    /// With what people call it, if they do.
    shown: String,
}

impl Named {
    fn read(look: &Look, at: &str) -> Result<Self, Misfit> {
        let at_path = format!("{at}.path");
        let path = look.text(&at_path)?.ok_or_else(|| Misfit::new(&at_path, Wrong::NoText))?;
        let label = look.text(&format!("{at}.label")).unwrap_or(None);
        let shown = match label {
            Some(label) => look.pick(format!("{label}（{path}）"), format!("{label} ({path})")),
            None => path.to_owned(),
        };
        Ok(Self { path: path.to_owned(), shown })
    }
}

fn disk(look: &Look, path: &str, found: &mut Found) -> Result<(), Misfit> {
    let at = |key: &str| format!("{path}.{key}");
    let named = Named::read(look, path)?;
    for (kind, limit) in [(DISK_CRITICAL, "critical_percent"), (DISK_WARNING, "warning_percent")] {
        if is_near(look, path, limit) {
            found.waver(kind, Some(&named.path));
        }
    }
    let (kind, severity, limit, words) = match look.text(&at("status"))? {
        Some("normal") => {
            found.disks.push(named.path);
            return Ok(());
        }
        Some("warning") => (
            DISK_WARNING,
            Severity::Warning,
            "warning_percent",
            look.pick("磁盘空间不足", "Disk space is low"),
        ),
        Some("critical") => (
            DISK_CRITICAL,
            Severity::Critical,
            "critical_percent",
            look.pick("磁盘空间严重不足", "Disk space is critical"),
        ),
        _ => return Err(Misfit::new(&at("status"), Wrong::NoText)),
    };
    let scarce = Scarce::find(look, path, limit)?;
    let (shown, said) = (&named.shown, scarce.in_words(look));
    found.alerts.push(Alert {
        kind: kind.to_owned(),
        severity,
        message: look.pick(format!("{words}: {shown} {said}"), format!("{words}: {shown}, {said}")),
        subject: Some(named.path.clone()),
        value: Some(scarce.value.clone()),
        threshold: scarce.threshold.and_then(|threshold| exact(float(threshold))),
        count: None,
        tasks: Vec::new(),
        url: None,
    });
    found.disks.push(named.path);
    Ok(())
}

/// Whether so much of it is used that it would be too much but for the margin.
fn is_near(look: &Look, path: &str, limit: &str) -> bool {
    let number = |key: &str| look.number(&format!("{path}.{key}")).ok().flatten().map(float);
    let Some(limit) = number(limit) else {
        return false;
    };
    let used = ["usage_percent", "inodes_usage_percent"].into_iter().filter_map(number);
    used.into_iter().any(|used| used > limit - look.context.settings.clear_margin)
}

/// What of a disk has come to its limit.
struct Scarce<'a> {
    of: Of,
    value: &'a Number,
    /// `None`: a result of an earlier version does not say by which limits it was measured.
    threshold: Option<&'a Number>,
}

enum Of {
    /// Used, in percent.
    Space,
    Inodes,
    /// Left, in GiB.
    Free,
}

impl<'a> Scarce<'a> {
    fn find(look: &Look<'a>, path: &str, limit: &str) -> Result<Self, Misfit> {
        let at = |key: &str| format!("{path}.{key}");
        // Not every file system counts inodes, and not every result has all limits.
        let optional = |key: &str| look.number(&at(key)).unwrap_or(None);
        let (space, inodes) = (look.known(&at("usage_percent"))?, optional("inodes_usage_percent"));
        let threshold = optional(limit);
        let (of, value) = match inodes.filter(|inodes| float(inodes) > float(space)) {
            Some(inodes) => (Of::Inodes, inodes),
            None => (Of::Space, space),
        };
        let is_full = threshold.is_none_or(|threshold| float(value) >= float(threshold));
        match (optional("free_gb"), optional("min_free_gb")) {
            (Some(free), Some(least)) if !is_full => {
                Ok(Self { of: Of::Free, value: free, threshold: Some(least) })
            }
            _ => Ok(Self { of, value, threshold: threshold.filter(|_| is_full) }),
        }
    }

    fn in_words(&self, look: &Look) -> String {
        let value = plain(self.value);
        match self.of {
            Of::Space => look.pick(format!("已用 {value}%"), format!("{value}% used")),
            Of::Inodes => {
                look.pick(format!("inode 已用 {value}%"), format!("{value}% inodes used"))
            }
            Of::Free => {
                let least = self.threshold.map(plain).unwrap_or_default();
                look.pick(
                    format!("仅剩 {value} GiB，低于 {least} GiB"),
                    format!("{value} GiB free, less than {least} GiB"),
                )
            }
        }
    }
}
