//! The sandbox that `taskmon demo` makes: a folder with a database, the files of its rows, logs, temporary files and a
//! configuration, so that every job can be tried where it can do no harm.
//!
//! Everything in it is drawn from fixed seeds: two sandboxes made at the same moment are the same, later ones differ by
//! their dates. What may be replaced, and what is never touched, is decided in `folder.rs`.

mod columns;
mod courses;
mod database;
mod draw;
mod extras;
mod folder;
mod plan;
mod random;
mod receipts;
mod rows;
#[cfg(test)]
mod tests;
mod write;

use crate::language::Language;
use crate::timezone::Tz;
use chrono::{DateTime, Utc};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a sandbox is made from.
#[derive(Debug, Clone, Copy)]
pub struct DemoRequest {
    /// Nothing in the sandbox is dated later than this.
    pub now: DateTime<Utc>,
    /// The zone of the local times in the database, and of its configuration.
    pub timezone: Tz,
    /// The language of its configuration and its comments. The rows are Chinese, as the application's are.
    pub language: Language,
}

/// A sandbox that was made. Its paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct Sandbox {
    pub dir: PathBuf,
    pub config: PathBuf,
    pub database: PathBuf,
    /// Where a `taskmon.toml` that somebody had changed was put before a new one was written.
    pub kept_config: Option<PathBuf>,
    pub counts: Made,
}

impl Sandbox {
    /// Where it is, what is in it and what became of an earlier configuration, a line each.
    pub fn describe(&self, language: Language) -> String {
        let dir = self.dir.display();
        let mut text =
            language.pick(format!("演示目录已建立：{dir}\n"), format!("The sandbox is {dir}\n"));
        text += &self.counts.describe(language);
        text.push('\n');
        if let Some(kept) = &self.kept_config {
            let kept = kept.display();
            text += &language.pick(
                format!("改过的配置另存为 {kept}\n"),
                format!("The configuration that had been changed is kept as {kept}\n"),
            );
        }
        text
    }
}

/// How much was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Rows of `tasks`.
    pub tasks: u64,
    /// Rows of `delivery_receipts`.
    pub receipts: u64,
    /// Files that rows name.
    pub files: u64,
    pub log_files: u64,
    pub temp_files: u64,
    /// What these files hold together; the database is not counted.
    pub bytes: u64,
}

impl Made {
    /// The counts in words, two lines without a line break at the end.
    pub fn describe(&self, language: Language) -> String {
        let (tasks, receipts) = (HumanCount(self.tasks), HumanCount(self.receipts));
        let (files, logs, temp) =
            (HumanCount(self.files), HumanCount(self.log_files), HumanCount(self.temp_files));
        let size = humansize::format_size(self.bytes, humansize::BINARY);
        language.pick(
            format!(
                "{tasks} 个任务（最近两周的，以及一到两个月前的），{receipts} 份送达回证\n\
                 {files} 个任务和回证的文件，{logs} 个日志，{temp} 个临时文件，共 {size}"
            ),
            format!(
                "{tasks} tasks (of the last two weeks, and of one to two months ago), {receipts} delivery receipts\n\
                 {files} files of tasks and receipts, {logs} logs, {temp} temporary files: {size} together"
            ),
        )
    }
}

/// Makes a sandbox in `dir`, which is created if it is missing, or makes an earlier sandbox of that folder anew.
///
/// An earlier sandbox loses its database and its folders `uploads`, `static`, `logs` and `reports` with all that is in
/// them; other files beside them stay. A `taskmon.toml` that was changed since is kept as `taskmon.toml.bak`.
///
/// # Errors
/// - [`crate::outcome::Kind::NotASandbox`]: `dir` is a file, a symbolic link or a folder with other things in it, or a part of the
///   sandbox was replaced by something that taskmon did not make. Nothing was touched.
/// - [`crate::outcome::Kind::Locked`]: another `taskmon demo` is at work there. Nothing was touched.
/// - [`crate::outcome::Kind::OutputFailed`]: something cannot be written; the message names it.
pub fn make(dir: &Path, request: &DemoRequest) -> anyhow::Result<Sandbox> {
    make_with(dir, request, || draw::draw(request.now, request.timezone))
}

/// Makes a sandbox of other rows than the usual thousands, which tests of the folder alone need not wait for.
fn make_with(
    dir: &Path,
    request: &DemoRequest,
    draw_rows: impl FnOnce() -> rows::Rows,
) -> anyhow::Result<Sandbox> {
    let config = configuration(request);
    let mut claim = folder::claim(dir)?;
    let kept_config = claim.keep_changed_config()?;
    claim.sign(&config)?;
    claim.clear()?;

    let rows = draw_rows();
    let extras = extras::draw_extras(&rows, request.now, request.timezone);
    let dir = claim.dir().to_path_buf();
    let database = dir.join(folder::DATABASE);
    let progress = progress_bar(rows.files.len() + extras.count() + rows.count());

    write::write_text(&dir.join(folder::CONFIG), &config)?;
    let mut bytes = write::write_all(&dir, &rows.files, &progress)?;
    bytes += write::write_all(&dir, &extras.logs, &progress)?;
    bytes += write::write_all(&dir, &extras.temp, &progress)?;
    write::age_folders(&dir, &extras.aged_folders)?;
    // Last, so that a database with rows in it means that their files are there.
    database::fill(&database, &rows, &progress)?;
    progress.finish_and_clear();

    Ok(Sandbox {
        config: dir.join(folder::CONFIG),
        database,
        dir,
        kept_config,
        counts: Made {
            tasks: rows.tasks.len() as u64,
            receipts: rows.receipts.len() as u64,
            files: rows.files.len() as u64,
            log_files: extras.logs.len() as u64,
            temp_files: extras.temp.len() as u64,
            bytes,
        },
    })
}

/// The text of the sandbox's `taskmon.toml`.
fn configuration(request: &DemoRequest) -> String {
    request
        .language
        .pick(include_str!("config.zh.toml"), include_str!("config.en.toml"))
        .replace("{timezone}", request.timezone.name())
}

/// A bar on standard error, which draws nothing where that is not a terminal.
fn progress_bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %");
    ProgressBar::new(steps as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
