//! The files of the sandbox: those that rows name, logs and temporary files, each with the time that it claims.

use super::cannot_write;
use super::rows::{Rows, Task};
use anyhow::Result;
use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use fastrand::Rng;
use indicatif::ProgressBar;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

const SEED: u64 = 4_000_004;

/// A whole picture of 8 by 8 pixels. What follows its end, no viewer reads.
const PICTURE: &[u8] = include_bytes!("picture.png");

/// The mark of an archive's closing record. With nothing but zeros up to the length of the comment, which is what
/// follows, it is a whole archive without entries.
const PACKAGE: &[u8] = b"PK\x05\x06";

/// A line of a log, compressed. Such members may stand one after the other.
const ARCHIVED_LINE: &[u8] = include_bytes!("archived_log.gz");

/// The days since their last line, of the logs of each program; beyond 30 they are a clean-up's.
const LOG_AGES: [i64; 10] = [0, 1, 2, 6, 13, 21, 27, 33, 45, 58];

/// How many lines a log has at most.
const LOG_LINES: usize = 60;

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FilePlan {
    /// Relative to the sandbox.
    pub path: String,
    pub content: Content,
    pub modified: DateTime<Utc>,
}

/// What a file holds, before its bytes are made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// Of so many bytes, at least as many as the picture itself.
    Picture(u16),
    /// Of so many bytes, at least 22.
    Document(u16),
    Text(String),
    /// So many lines, compressed.
    ArchivedLog(usize),
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Content::Picture(size) => {
                let mut bytes = PICTURE.to_vec();
                bytes.resize(usize::from(*size).max(PICTURE.len()), 0);
                bytes
            }
            Content::Document(size) => {
                let comment = size.saturating_sub(22);
                let mut bytes = PACKAGE.to_vec();
                bytes.extend([0; 16]);
                bytes.extend(comment.to_le_bytes());
                bytes.resize(bytes.len() + usize::from(comment), b' ');
                bytes
            }
            Content::Text(text) => text.clone().into_bytes(),
            Content::ArchivedLog(lines) => ARCHIVED_LINE.repeat(*lines),
        }
    }
}

/// The files that no row names.
pub(super) struct Extras {
    pub logs: Vec<FilePlan>,
    pub temp: Vec<FilePlan>,
    /// Folders and the time of their last change.
    pub aged_folders: Vec<(String, DateTime<Utc>)>,
}

impl Extras {
    /// How many files there are.
    pub fn count(&self) -> usize {
        self.logs.len() + self.temp.len()
    }
}

/// Draws logs and temporary files, old and new.
pub(super) fn draw_extras(rows: &Rows, now: DateTime<Utc>, zone: Tz) -> Extras {
    let mut rng = Rng::with_seed(SEED);
    Extras {
        logs: draw_logs(&rows.tasks, now, zone, &mut rng),
        temp: draw_temp(now, &mut rng),
        aged_folders: vec![("uploads/temp/batch_0001".into(), now - Duration::days(9))],
    }
}

fn draw_logs(tasks: &[Task], now: DateTime<Utc>, zone: Tz, rng: &mut Rng) -> Vec<FilePlan> {
    let mut logs = Vec::new();
    for program in ["app", "worker"] {
        for (number, age) in (0..).zip(LOG_AGES) {
            let modified = now - Duration::days(age) - Duration::seconds(rng.i64(0..600));
            let (ending, content) = match number {
                0 => (String::new(), log_text(program, tasks, modified, zone)),
                1 | 2 => (format!(".{number}"), log_text(program, tasks, modified, zone)),
                _ => (format!(".{number}.gz"), Content::ArchivedLog(rng.usize(20..400))),
            };
            logs.push(FilePlan { path: format!("logs/{program}.log{ending}"), content, modified });
        }
    }
    for age in [3, 15, 29, 36, 50] {
        let modified = now - Duration::days(age) - Duration::seconds(rng.i64(0..600));
        let day = modified.with_timezone(&zone).format("%Y%m%d");
        logs.push(FilePlan {
            path: format!("logs/beat-{day}.log"),
            content: log_text("beat", tasks, modified, zone),
            modified,
        });
    }
    logs
}

/// The last lines that a program had written by then: what became of its tasks.
fn log_text(program: &str, tasks: &[Task], until: DateTime<Utc>, zone: Tz) -> Content {
    let line = |at: DateTime<Utc>, rest: String| {
        let time = at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S");
        format!("{time} {rest}\n")
    };
    let end = tasks.partition_point(|task| task.created_at <= until);
    let lines: String = tasks[end.saturating_sub(LOG_LINES)..end]
        .iter()
        .map(|task| {
            let id = &task.task_id;
            line(task.created_at, format!("INFO {program}: 收到任务 {id} ({})", task.task_name))
        })
        .collect();
    let farewell = line(until, format!("INFO {program}: 等待新任务"));
    Content::Text(lines + &farewell)
}

fn draw_temp(now: DateTime<Utc>, rng: &mut Rng) -> Vec<FilePlan> {
    let old = |rng: &mut Rng| now - Duration::minutes(rng.i64(30 * 60..11 * 24 * 60));
    let new = |rng: &mut Rng| now - Duration::minutes(rng.i64(2..20 * 60));
    let mut temp = Vec::new();
    for number in 0..48 {
        let modified = if number % 3 == 0 { new(rng) } else { old(rng) };
        let path = match number % 2 {
            0 => format!("uploads/temp/upload_{:08x}.png", rng.u32(..)),
            _ => format!("static/temp/render_{:08x}.docx", rng.u32(..)),
        };
        temp.push(plan(path, rng, modified));
    }
    // A folder in the folder, in which nothing is new.
    for number in 1..=6 {
        let modified = now - Duration::days(9) - Duration::minutes(rng.i64(1..600));
        let path = format!("uploads/temp/batch_0001/{number:03}.png");
        temp.push(plan(path, rng, modified));
    }
    temp
}

/// A picture or a document, by the ending of its name, of some kilobytes.
pub(super) fn plan(path: String, rng: &mut Rng, modified: DateTime<Utc>) -> FilePlan {
    let size = rng.u16(400..6000);
    FilePlan {
        content: if path.ends_with(".docx") {
            Content::Document(size)
        } else {
            Content::Picture(size)
        },
        path,
        modified,
    }
}

/// Writes files that must not exist, and their folders; gives back how many bytes they hold.
pub(super) fn write_all(dir: &Path, files: &[FilePlan], progress: &ProgressBar) -> Result<u64> {
    let mut made = HashSet::new();
    let mut bytes = 0;
    for file in files {
        let path = dir.join(&file.path);
        if let Some(folder) = path.parent()
            && made.insert(folder.to_path_buf())
        {
            fs::create_dir_all(folder).map_err(|cause| cannot_write(folder, cause))?;
        }
        let content = file.content.bytes();
        write_new(&path, &content, Some(file.modified))
            .map_err(|cause| cannot_write(&path, cause))?;
        bytes += content.len() as u64;
        progress.inc(1);
    }
    Ok(bytes)
}

/// Writes a text that must not exist.
pub(super) fn write_text(path: &Path, text: &str) -> Result<()> {
    write_new(path, text.as_bytes(), None).map_err(|cause| cannot_write(path, cause).into())
}

/// `create_new`: an existing file is never overwritten, a link never followed.
fn write_new(path: &Path, content: &[u8], modified: Option<DateTime<Utc>>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    modified.map_or(Ok(()), |time| file.set_modified(SystemTime::from(time)))
}

/// Gives folders the time of change that they claim, once everything is in them.
pub(super) fn age_folders(dir: &Path, folders: &[(String, DateTime<Utc>)]) -> Result<()> {
    for (folder, time) in folders {
        let path = dir.join(folder);
        File::open(&path)
            .and_then(|folder| folder.set_modified(SystemTime::from(*time)))
            .map_err(|cause| cannot_write(&path, cause))?;
    }
    Ok(())
}
