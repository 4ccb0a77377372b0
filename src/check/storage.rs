//! The file systems and storage roots.

use super::Finding;
use crate::language::Language;
use crate::system::disk::{Disk, DiskReport, Status};
use crate::units;
use std::path::{Path, PathBuf};

/// Less than this is too little for reports and records, in bytes.
const LITTLE_SPACE: i64 = 100 * 1024 * 1024;

/// The file systems of the folders that taskmon works in.
pub fn space(report: &DiskReport, language: Language) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        report.errors.iter().map(|issue| Finding::warning(&issue.message)).collect();
    findings.extend(by_mount(report).into_iter().map(|(disk, paths)| {
        let mount = disk.mount.as_deref().unwrap_or("?");
        let kind = disk.fs_type.as_deref().unwrap_or("?");
        let (used, free) = (disk.usage_percent, units::signed_gib(disk.bytes.available));
        let paths = paths.join(", ");
        let message = language.pick(
            format!("{mount}（{kind}）已用 {used}%，可用 {free} GiB：{paths}"),
            format!("{mount} ({kind}), {used}% used, {free} GiB free: {paths}"),
        );
        if disk.bytes.available < LITTLE_SPACE || disk.status != Status::Normal {
            Finding::warning(message).hint(language.pick(
                "磁盘快满了：报告和记录可能写不进去",
                "make room, or reports and records may not be written",
            ))
        } else {
            Finding::ok(message)
        }
    }));
    findings
}

/// The file systems, each once, with the paths on it.
fn by_mount(report: &DiskReport) -> Vec<(&Disk, Vec<&str>)> {
    let mut mounts: Vec<(&Disk, Vec<&str>)> = Vec::new();
    for disk in &report.disks {
        let same = |known: &&mut (&Disk, Vec<&str>)| {
            known.0.mount.is_some() && known.0.mount == disk.mount
        };
        match mounts.iter_mut().find(same) {
            Some((_, paths)) => paths.push(&disk.path),
            None => mounts.push((disk, vec![&disk.path])),
        }
    }
    mounts
}

/// A folder that cannot be swept, and why.
pub fn unswept(key: &str, folder: &Path, why: &str, language: Language) -> Finding {
    let shown = folder.display();
    Finding::warning(language.pick(
        format!("{key}：无法清扫 {shown}：{why}"),
        format!("{key}: {shown} cannot be swept: {why}"),
    ))
}

/// Roots whose files would not be found. `unusable`: why, for each.
pub fn roots(roots: &[PathBuf], unusable: Vec<String>, language: Language) -> Vec<Finding> {
    let mut findings = Vec::new();
    if roots.is_empty() {
        findings.push(
            Finding::warning(language.pick(
                "cleanup.storage_roots 为空：不会删除任何任务的文件",
                "cleanup.storage_roots is empty: no file of a task is ever removed",
            ))
            .hint(language.pick(
                "在 cleanup.storage_roots 中写明任务文件所在的目录",
                "name the folders of the tasks' files in cleanup.storage_roots",
            )),
        );
    }
    findings.extend(unusable.into_iter().map(|why| {
        Finding::warning(why).hint(language.pick(
            "若有任务的文件在其下，cleanup 会保留这些任务；挂载它，或从 cleanup.storage_roots 中去掉",
            "cleanup keeps the rows that name files beneath it: mount it, or take it out of cleanup.storage_roots",
        ))
    }));
    findings
}
