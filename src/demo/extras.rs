//! The files that no row names: logs and temporary files, old and new.

use super::plan::{Content, FilePlan, plan};
use super::rows::{Rows, Task};
use crate::calendar::Shift;
use crate::timezone::Tz;
use chrono::{DateTime, Duration, Utc};
use fastrand::Rng;

const SEED: u64 = 4_000_004;

/// The days since their last line, of the logs of each program; beyond 30 they are a clean-up's.
const LOG_AGES: [i64; 10] = [0, 1, 2, 6, 13, 21, 27, 33, 45, 58];

/// How many lines a log has at most.
const LOG_LINES: usize = 60;

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
        aged_folders: vec![("uploads/temp/batch_0001".into(), now.minus(Duration::days(9)))],
    }
}

fn draw_logs(tasks: &[Task], now: DateTime<Utc>, zone: Tz, rng: &mut Rng) -> Vec<FilePlan> {
    let mut logs = Vec::new();
    for program in ["app", "worker"] {
        for (number, age) in (0..).zip(LOG_AGES) {
            let modified = now.minus(Duration::days(age)).minus(Duration::seconds(rng.i64(0..600)));
            let (ending, content) = match number {
                0 => (String::new(), log_text(program, tasks, modified, zone)),
                1 | 2 => (format!(".{number}"), log_text(program, tasks, modified, zone)),
                _ => (format!(".{number}.gz"), Content::ArchivedLog(rng.usize(20..400))),
            };
            logs.push(FilePlan { path: format!("logs/{program}.log{ending}"), content, modified });
        }
    }
    for age in [3, 15, 29, 36, 50] {
        let modified = now.minus(Duration::days(age)).minus(Duration::seconds(rng.i64(0..600)));
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
    let line =
        |at: DateTime<Tz>, rest: String| format!("{} {rest}\n", at.format("%Y-%m-%d %H:%M:%S"));
    let end = tasks.partition_point(|task| task.created_at <= until);
    let lines: String = tasks[end.saturating_sub(LOG_LINES)..end]
        .iter()
        .map(|task| {
            let id = &task.task_id;
            line(task.created_at, format!("INFO {program}: 收到任务 {id} ({})", task.task_name))
        })
        .collect();
    let last = line(until.with_timezone(&zone), format!("INFO {program}: 等待新任务"));
    Content::Text(lines + &last)
}

fn draw_temp(now: DateTime<Utc>, rng: &mut Rng) -> Vec<FilePlan> {
    let old = |rng: &mut Rng| now.minus(Duration::minutes(rng.i64(30 * 60..11 * 24 * 60)));
    let new = |rng: &mut Rng| now.minus(Duration::minutes(rng.i64(2..20 * 60)));
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
        let modified = now.minus(Duration::days(9)).minus(Duration::minutes(rng.i64(1..600)));
        let path = format!("uploads/temp/batch_0001/{number:03}.png");
        temp.push(plan(path, rng, modified));
    }
    temp
}
