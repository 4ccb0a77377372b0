//! What this user may do with the tables, and with the folders that taskmon writes to.

use super::Finding;
use crate::language::Language;
use crate::store::inspect::{Inspection, Rights};
use rustix::fs::{Access, Mode, access};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::DirEntry;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What this user may do with the tables.
pub fn rights(inspection: &Inspection, language: Language) -> Vec<Finding> {
    let mut findings: Vec<Finding> = inspection
        .read_only
        .iter()
        .map(|why| {
            Finding::failed(language.pick(
                format!("无法删除：{why}；stats 可用，cleanup 不行"),
                format!("nothing can be deleted: {why}; stats works, cleanup does not"),
            ))
        })
        .collect();
    // Where there are no users (SQLite), `read_only` has said it for all tables.
    if let Some(user) = &inspection.user {
        let tables = inspection.rights.iter();
        findings.extend(tables.filter_map(|rights| missing_right(rights, user, language)));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            language.pick("可以读取和删除表中的行", "the tables can be read and deleted from"),
        ));
    }
    findings
}

fn missing_right(rights: &Rights, user: &str, language: Language) -> Option<Finding> {
    let missing: Vec<&str> = [("SELECT", rights.select), ("DELETE", rights.delete)]
        .into_iter()
        .filter(|(_, may)| *may == Some(false))
        .map(|(right, _)| right)
        .collect();
    let (right, table) = (missing.join(", "), &rights.table);
    if let Some(schema) = &rights.closed_schema {
        let finding = Finding::failed(language.pick(
            format!("{user} 对 {table} 所在的模式 {schema} 没有 USAGE 权限"),
            format!("{user} lacks USAGE on the schema {schema} of {table}"),
        ));
        return Some(finding.hint(format!("GRANT USAGE ON SCHEMA {schema} TO {user}")));
    }
    (!missing.is_empty()).then(|| {
        Finding::failed(language.pick(
            format!("{user} 对 {table} 没有 {right} 权限"),
            format!("{user} lacks {right} on {table}"),
        ))
        .hint(format!("GRANT {right} ON {table} TO {user}"))
    })
}

/// Whether a folder that taskmon writes to can be written, or made where it is missing. `key`: what configures it.
pub fn writable(key: &str, folder: &Path, language: Language) -> Finding {
    let there = existing(folder);
    let shown = folder.display();
    match access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if !there.is_dir() => {
            Finding::failed(format!("{key}: {} is not a folder", there.display()))
                .hint(format!("move it away, or name another folder in {key}"))
        }
        Ok(()) if there == folder => Finding::ok(format!("{key}: {shown}")),
        Ok(()) => Finding::ok(language.pick(
            format!("{key}：{shown} 还没有，用到时会创建"),
            format!("{key}: {shown} is not there yet and will be made"),
        )),
        Err(error) => {
            let there = there.display();
            Finding::failed(language.pick(
                format!("{key}：无法写入 {there}：{error}"),
                format!("{key}: {there} cannot be written to: {error}"),
            ))
            .hint(language.pick(
                "cron 所用的用户必须能写这个目录",
                "the user that cron runs the jobs as has to be able to write there",
            ))
        }
    }
}

/// What cleanup does in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// It looks for what has expired.
    Swept,
    /// Rows name the files that go.
    ByRows,
}

/// The most folders beneath one that are looked at.
const MOST_FOLDERS: usize = 1_000;

/// Why this user may not remove files from a folder that is there, or from one right beneath it. `key`: what configures it.
pub fn emptied(key: &str, folder: &Path, by: Emptied, language: Language) -> Option<Finding> {
    if let Some(why) = kept_from(folder, by, language) {
        return Some(not_emptied(key, folder, &why, language));
    }
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let is_folder = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut beneath = entries.filter(is_folder).take(MOST_FOLDERS).map(|entry| entry.path());
    beneath.find_map(|folder| {
        let why = kept_from(&folder, by, language)?;
        Some(not_emptied(key, &folder, &why, language))
    })
}

fn not_emptied(key: &str, folder: &Path, why: &str, language: Language) -> Finding {
    let (shown, user) = (folder.display(), geteuid().as_raw());
    Finding::failed(language.pick(
        format!("{key}：用户 {user} 无法删除 {shown} 中的文件：{why}"),
        format!("{key}: user {user} may not remove files from {shown}: {why}"),
    ))
    .hint(language.pick(
        format!("给 cron 所用的用户写入和进入 {shown} 的权限，或以文件的所有者运行"),
        format!("let the user that cron runs the jobs as write to and enter {shown}, or run them as the files' owner"),
    ))
}

fn kept_from(folder: &Path, by: Emptied, language: Language) -> Option<String> {
    let needed = match by {
        Emptied::Swept => Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
        Emptied::ByRows => Access::WRITE_OK | Access::EXEC_OK,
    };
    match access(folder, needed) {
        // It went meanwhile, or is reported as missing.
        Err(Errno::NOENT) => return None,
        Err(error) => return Some(error.to_string()),
        Ok(()) => {}
    }
    let found = folder.metadata().ok()?;
    let user = geteuid();
    let is_sticky = found.mode() & Mode::SVTX.bits() != 0;
    (is_sticky && !user.is_root() && found.uid() != user.as_raw()).then(|| {
        let owner = found.uid();
        language.pick(
            format!("它属于用户 {owner} 并带粘滞位，其他人的文件不能删除"),
            format!(
                "it is sticky and belongs to user {owner}, so that only one's own files can go"
            ),
        )
    })
}

/// The folder, or the nearest ancestor that exists.
pub fn existing(folder: &Path) -> PathBuf {
    let mut ancestors = folder.ancestors();
    let found = ancestors.find(|ancestor| ancestor.symlink_metadata().is_ok());
    found.unwrap_or(Path::new("/")).to_owned()
}
