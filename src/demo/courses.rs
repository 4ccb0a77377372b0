//! What happens to the tasks: a course of moments each, cut to how far `now` has let it come.
//!
//! Moments whose local time names no moment or two (clocks set forward or back) are not drawn: the database stores local times without a
//! zone, and a reader could not know which is meant.

use super::random::{Draw, choose, draw_moment, is_clear, rng};
use crate::calendar::Shift;
use crate::timezone::Tz;
use chrono::{DateTime, Datelike, Duration, NaiveDate, Timelike, Utc, Weekday};
use fastrand::Rng;

/// Error messages and their weights: every default category, one that fits two of them, and some that fit none.
const MESSAGES: [(Option<&str>, u32); 13] = [
    (Some("二维码识别失败: 照片中没有找到二维码"), 17),
    (Some("二维码内容无效: 缺少邮件号"), 7),
    (Some("物流查询失败: 快递接口返回 502"), 17),
    (Some("物流轨迹为空: 邮件尚未揽收"), 8),
    (Some("物流查询超时: 30 秒内没有应答"), 4),
    (Some("文档生成失败: 模板缺少收件人字段"), 11),
    (Some("文档转换失败: 转换程序退出码 1"), 5),
    (Some("任务执行超时: 超出时限仍未完成"), 9),
    (Some("数据库连接中断: server closed the connection unexpectedly"), 7),
    (Some("KeyError: 'receiver'"), 4),
    (Some("照片文件已损坏"), 4),
    (Some(""), 2),
    (None, 5),
];

/// How far a task has come by `now`, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Pending,
    /// One of the four labels of a task that is being processed.
    Working(&'static str),
    Completed,
    Failed,
    Returned,
}

/// What happens to a task: the moments, and what follows from nothing else.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub created: DateTime<Utc>,
    pub started: DateTime<Utc>,
    /// When it ended; for a task in hand, when it came into its stage.
    pub ended: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    /// From start to end; `None`: never measured.
    pub seconds: Option<f64>,
    pub stage: Stage,
    pub message: Option<&'static str>,
    pub retries: u32,
    /// Its photograph was uploaded and its document stored here, so that the row names files.
    pub stored: bool,
}

/// The odds that a stretch of time gives its tasks.
struct Weather {
    /// Of 1000 tasks.
    failing: u32,
    /// Of 1000 tasks.
    stored: u32,
    /// By which the usual duration is multiplied.
    slowness: f64,
    /// What tasks fail with; `None`: the usual mixture.
    message: Option<&'static str>,
}

const USUAL: Weather = Weather { failing: 40, stored: 80, slowness: 1.0, message: None };

/// Yesterday afternoon the couriers' interface had an outage, so that the report has something to show.
const OUTAGE: Weather = Weather {
    failing: 220,
    stored: 80,
    slowness: 2.5,
    message: Some("物流查询失败: 快递接口返回 503"),
};

/// Of one to two months ago, only what was stored here is left.
const LONG_AGO: Weather = Weather { failing: 110, stored: 1000, slowness: 1.0, message: None };

/// Every task's course, in the order of their creation.
pub(super) fn draw_courses(now: DateTime<Utc>, zone: Tz) -> Vec<Course> {
    let mut courses = draw_days(now, zone);
    courses.extend(draw_old(now, zone));
    courses.extend(draw_in_hand(now, zone));
    courses.sort_by_key(|course| course.created);
    courses
}

/// The two weeks before today, and today up to `now`.
fn draw_days(now: DateTime<Utc>, zone: Tz) -> Vec<Course> {
    let today = now.with_timezone(&zone).date_naive();
    (0..=14).flat_map(|ago| draw_day(today.minus(Duration::days(ago)), ago, now, zone)).collect()
}

/// One day's tasks. Each day has a seed of its own, so what `now` cuts from today changes no other day.
fn draw_day(date: NaiveDate, ago: i64, now: DateTime<Utc>, zone: Tz) -> Vec<Course> {
    let mut rng = rng(Draw::Day(ago as u64));
    let tasks = match date.weekday() {
        Weekday::Sat | Weekday::Sun => rng.u32(175..=215),
        _ => rng.u32(490..=545),
    };
    (0..tasks)
        .filter_map(|_| {
            let mut rng = rng.fork();
            attempt(zone, || {
                let created = draw_moment(&mut rng, date, zone)?;
                let hour = created.with_timezone(&zone).hour();
                let outage = ago == 1 && (14..=16).contains(&hour);
                let weather = if outage { &OUTAGE } else { &USUAL };
                // Cut to `now` before it is looked at: the cut makes moments of its own.
                Some(draw_course(&mut rng, created, weather).seen_at(now))
            })
        })
        .filter(|course| course.created <= now)
        .collect()
}

/// Finished tasks of one to two months ago, for a clean-up to find.
fn draw_old(now: DateTime<Utc>, zone: Tz) -> Vec<Course> {
    let today = now.with_timezone(&zone).date_naive();
    let mut rng = rng(Draw::OldTasks);
    (0..200)
        .filter_map(|_| {
            let mut rng = rng.fork();
            attempt(zone, || {
                let date = today.minus(Duration::days(rng.i64(32..=59)));
                let created = draw_moment(&mut rng, date, zone)?;
                Some(draw_course(&mut rng, created, &LONG_AGO))
            })
        })
        .collect()
}

/// Tasks that wait or are in hand at `now`, whatever the hour. Two of them hang, for hours already.
fn draw_in_hand(now: DateTime<Utc>, zone: Tz) -> Vec<Course> {
    const LABELS: [&str; 4] = ["RECOGNIZING", "TRACKING", "DELIVERED", "GENERATING"];
    let mut rng = rng(Draw::TasksInHand);
    (0..18)
        .filter_map(|number| {
            let mut rng = rng.fork();
            attempt(zone, || {
                let (stage, seconds) = match number {
                    0..6 => (Stage::Pending, rng.i64(5..900)),
                    6..16 => (Stage::Working(LABELS[number % 4]), rng.i64(60..1800)),
                    _ => (Stage::Working("TRACKING"), rng.i64(8000..12_000)),
                };
                let created = now
                    .minus(Duration::seconds(seconds))
                    .plus(Duration::microseconds(rng.i64(0..999_999)));
                let mut course = draw_course(&mut rng, created, &USUAL);
                course.started = created.plus(Duration::milliseconds(rng.i64(200..4000)));
                course.ended = course.started.plus(Duration::milliseconds(rng.i64(0..900)));
                course.become_unfinished(stage);
                Some(course)
            })
        })
        .collect()
}

/// Draws until no moment of the course lies where local time is not clear; after some tries there is none.
fn attempt(zone: Tz, mut draw: impl FnMut() -> Option<Course>) -> Option<Course> {
    (0..30).filter_map(|_| draw()).find(|course| {
        [course.created, course.started, course.ended, course.updated]
            .into_iter()
            .all(|at| is_clear(at, zone))
    })
}

/// The whole course of a task, whether or not there has been time for it.
fn draw_course(rng: &mut Rng, created: DateTime<Utc>, weather: &Weather) -> Course {
    let seconds = draw_seconds(rng, weather.slowness);
    let started = created.plus(from_seconds(0.05 - 3.0 * (1.0 - rng.f64()).ln()));
    let ended = started.plus(from_seconds(seconds));
    let stage = match rng.u32(0..1000) {
        lot if lot < weather.failing => Stage::Failed,
        lot if lot < weather.failing + 10 => Stage::Returned,
        _ => Stage::Completed,
    };
    let measured = match stage {
        Stage::Completed => rng.f64() > 0.01,
        _ => rng.f64() < 0.5,
    };
    let usual = choose(rng, MESSAGES.into_iter()).flatten();
    let message = match weather.message {
        Some(message) if rng.f64() < 0.9 => Some(message),
        _ => usual,
    };
    Course {
        created,
        started,
        ended,
        updated: ended.plus(Duration::milliseconds(rng.i64(0..1500))),
        seconds: measured.then_some(seconds),
        stage,
        message: message.filter(|_| stage == Stage::Failed),
        retries: draw_retries(rng, stage),
        stored: rng.u32(0..1000) < weather.stored,
    }
}

/// A log-normal duration with a median of 14 s; one in a hundred takes many times as long, up to 20 minutes.
fn draw_seconds(rng: &mut Rng, slowness: f64) -> f64 {
    let (radius, angle) = (1.0 - rng.f64(), rng.f64());
    let normal = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
    let tail = if rng.f64() < 0.01 { 8.0 + 30.0 * rng.f64() } else { 1.0 };
    let seconds = (14.0_f64.ln() + 0.7 * normal).exp() * tail * slowness;
    (seconds.clamp(0.8, 1200.0) * 1000.0).round() / 1000.0
}

/// Most failed tasks were tried again, few of the others.
fn draw_retries(rng: &mut Rng, stage: Stage) -> u32 {
    let (chance, most) = match stage {
        Stage::Failed => (0.7, 5),
        _ => (0.04, 2),
    };
    if rng.f64() >= chance {
        return 0;
    }
    let mut retries = 1;
    while retries < most && rng.f64() < 0.45 {
        retries += 1;
    }
    retries
}

fn from_seconds(seconds: f64) -> Duration {
    Duration::microseconds((seconds * 1e6).round() as i64)
}

impl Course {
    /// The course as seen at `now`: what has not happened yet is taken back.
    fn seen_at(mut self, now: DateTime<Utc>) -> Self {
        if self.started > now {
            self.become_unfinished(Stage::Pending);
        } else if self.ended > now {
            let total = self.ended.signed_duration_since(self.started).num_milliseconds().max(1);
            let (part, label) =
                match now.signed_duration_since(self.started).num_milliseconds() * 100 / total {
                    0..20 => (0, "RECOGNIZING"),
                    20..60 => (20, "TRACKING"),
                    60..70 => (60, "DELIVERED"),
                    _ => (70, "GENERATING"),
                };
            self.ended = self.started.plus(Duration::milliseconds(total * part / 100)).min(now);
            self.become_unfinished(Stage::Working(label));
        }
        self.updated = self.updated.min(now);
        self
    }

    fn become_unfinished(&mut self, stage: Stage) {
        self.updated = if stage == Stage::Pending { self.created } else { self.ended };
        self.stage = stage;
        self.seconds = None;
        self.message = None;
    }

    /// Whether the courier's number was read from the photograph.
    pub(super) fn has_number(&self) -> bool {
        match self.stage {
            Stage::Pending | Stage::Working("RECOGNIZING") => false,
            Stage::Failed => !self.message.unwrap_or_default().starts_with("二维码"),
            _ => true,
        }
    }

    pub(super) fn status(&self) -> &'static str {
        match self.stage {
            Stage::Pending => "PENDING",
            Stage::Working(label) => label,
            Stage::Completed => "COMPLETED",
            Stage::Failed => "FAILED",
            Stage::Returned => "RETURNED",
        }
    }
}
