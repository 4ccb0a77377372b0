//! The rows of the sandbox, drawn from fixed seeds: the work of a document service over the last two weeks, and what is
//! left of one to two months ago.
//!
//! Each task gets a course of moments first; its columns follow from how far `now` has let it come, so a row can never
//! be ahead of its time. Moments whose local time names no moment or two (clocks set forward or back) are not drawn:
//! the database stores local times without a zone, and a reader could not tell.

use super::files::{self, Content, FilePlan};
use chrono::{
    DateTime, Datelike, Duration, LocalResult, NaiveDate, TimeZone, Timelike, Utc, Weekday,
};
use chrono_tz::Tz;
use fastrand::Rng;
use serde_json::json;
use std::ops::RangeInclusive;

/// All randomness starts here.
const SEED: u64 = 20_231_201;

/// How the tasks of a day fall on its local hours: a quiet night, peaks at 10 and at 15.
const HOURS: [u32; 24] =
    [2, 1, 1, 1, 1, 2, 5, 14, 36, 62, 80, 66, 40, 46, 64, 78, 60, 42, 25, 16, 12, 9, 6, 4];

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

const CITIES: [&str; 6] = ["北京", "上海", "杭州", "成都", "武汉", "西安"];
const RECEIVERS: [&str; 6] = ["张三", "李四", "王五", "赵六", "陈七", "周八"];

/// The seeds of what is drawn beside the days, which are numbered from 0.
const OLD_TASKS: u64 = 1000;
const TASKS_IN_HAND: u64 = 1001;
const COLUMNS: u64 = 1002;
const RECEIPTS: u64 = 1003;

/// Everything that goes into the database, in the order of its time, and the files that it names.
pub(super) struct Rows {
    pub tasks: Vec<Task>,
    pub receipts: Vec<Receipt>,
    pub tracking: Vec<Tracking>,
    pub files: Vec<FilePlan>,
}

impl Rows {
    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.tasks.len() + self.receipts.len() + self.tracking.len()
    }
}

/// A row of `tasks`.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub id: i64,
    pub task_id: String,
    pub task_name: String,
    pub description: Option<&'static str>,
    pub status: &'static str,
    pub image_path: Option<String>,
    pub image_url: Option<String>,
    pub file_size: Option<u16>,
    pub qr_code: Option<String>,
    pub tracking_number: Option<String>,
    pub courier_company: Option<&'static str>,
    pub tracking_data: Option<String>,
    pub delivery_status: Option<&'static str>,
    pub delivery_time: Option<DateTime<Utc>>,
    pub document_url: Option<String>,
    pub document_path: Option<String>,
    pub screenshot_url: Option<String>,
    pub screenshot_path: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    /// Seconds.
    pub processing_time: Option<f64>,
    pub error_message: Option<&'static str>,
    pub retry_count: u32,
    pub user_id: Option<u32>,
    pub extra_metadata: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A row of `delivery_receipts`.
#[derive(Debug, Clone)]
pub(super) struct Receipt {
    pub id: i64,
    pub tracking_number: String,
    pub sender: String,
    pub send_time: String,
    pub send_location: &'static str,
    pub receiver: &'static str,
    pub status: &'static str,
    /// QR code, bar code, receipt, screenshot, document.
    pub paths: [Option<String>; 5],
    pub user_id: u32,
    pub created_at: DateTime<Utc>,
}

/// A row of `tracking_info`.
#[derive(Debug, Clone)]
pub(super) struct Tracking {
    pub id: i64,
    pub receipt_id: i64,
    pub current_status: &'static str,
    pub tracking_data: String,
    pub screenshot_path: Option<String>,
    pub at: DateTime<Utc>,
}

/// Draws all rows of a sandbox made at `now`.
pub(super) fn draw(now: DateTime<Utc>, zone: Tz) -> Rows {
    let mut courses = draw_days(now, zone);
    courses.extend(draw_old(now, zone));
    courses.extend(draw_in_hand(now, zone));
    courses.sort_by_key(|course| course.created);
    let mut files = Vec::new();
    let mut rng = Rng::with_seed(SEED + COLUMNS);
    let tasks: Vec<Task> = (1..)
        .zip(&courses)
        .map(|(id, course)| Writer { zone, rng: &mut rng, files: &mut files }.task(id, course))
        .collect();
    let (receipts, tracking) = draw_receipts(&tasks, now, zone, &mut files);
    Rows { tasks, receipts, tracking, files }
}

/// How far a task has come by `now`, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Pending,
    /// One of the four labels of a task that is being processed.
    Working(&'static str),
    Completed,
    Failed,
    Returned,
}

/// What happens to a task: the moments, and what follows from nothing else.
#[derive(Debug, Clone)]
struct Course {
    created: DateTime<Utc>,
    started: DateTime<Utc>,
    /// When it ended; for a task in hand, when it came into its stage.
    ended: DateTime<Utc>,
    updated: DateTime<Utc>,
    /// From start to end; `None`: never measured.
    seconds: Option<f64>,
    stage: Stage,
    message: Option<&'static str>,
    retries: u32,
    /// Its photograph was uploaded and its document stored here, so that the row names files.
    stored: bool,
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

/// Yesterday afternoon the couriers' interface was in issue: the report has something to show.
const TROUBLE: Weather = Weather {
    failing: 220,
    stored: 80,
    slowness: 2.5,
    message: Some("物流查询失败: 快递接口返回 503"),
};

/// Of one to two months ago, only what was stored here is left.
const LONG_AGO: Weather = Weather { failing: 110, stored: 1000, slowness: 1.0, message: None };

/// The two weeks before today, and today up to `now`.
fn draw_days(now: DateTime<Utc>, zone: Tz) -> Vec<Course> {
    let today = now.with_timezone(&zone).date_naive();
    (0..=14).flat_map(|ago| draw_day(today - Duration::days(ago), ago, now, zone)).collect()
}

/// One day's tasks. Each day has a seed of its own, so what `now` cuts from today changes no other day.
fn draw_day(date: NaiveDate, ago: i64, now: DateTime<Utc>, zone: Tz) -> Vec<Course> {
    let mut rng = Rng::with_seed(SEED + ago as u64);
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
                let issue = ago == 1 && (14..=16).contains(&hour);
                let weather = if issue { &TROUBLE } else { &USUAL };
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
    let mut rng = Rng::with_seed(SEED + OLD_TASKS);
    (0..200)
        .filter_map(|_| {
            let mut rng = rng.fork();
            attempt(zone, || {
                let date = today - Duration::days(rng.i64(32..=59));
                let created = draw_moment(&mut rng, date, zone)?;
                Some(draw_course(&mut rng, created, &LONG_AGO))
            })
        })
        .collect()
}

/// Tasks that wait or are in hand at `now`, whatever the hour. Two of them hang, for hours already.
fn draw_in_hand(now: DateTime<Utc>, zone: Tz) -> Vec<Course> {
    const LABELS: [&str; 4] = ["RECOGNIZING", "TRACKING", "DELIVERED", "GENERATING"];
    let mut rng = Rng::with_seed(SEED + TASKS_IN_HAND);
    (0..18)
        .filter_map(|number| {
            let mut rng = rng.fork();
            attempt(zone, || {
                let (stage, seconds) = match number {
                    0..6 => (Stage::Pending, rng.i64(5..900)),
                    6..16 => (Stage::Working(LABELS[number % 4]), rng.i64(60..1800)),
                    _ => (Stage::Working("TRACKING"), rng.i64(8000..12_000)),
                };
                let created =
                    now - Duration::seconds(seconds) + Duration::microseconds(rng.i64(0..999_999));
                let mut course = draw_course(&mut rng, created, &USUAL);
                course.started = created + Duration::milliseconds(rng.i64(200..4000));
                course.ended = course.started + Duration::milliseconds(rng.i64(0..900));
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

/// Whether the local time of a moment names this moment alone.
fn is_clear(at: DateTime<Utc>, zone: Tz) -> bool {
    let local = at.with_timezone(&zone).naive_local();
    matches!(zone.from_local_datetime(&local), LocalResult::Single(_))
}

/// A moment of a local day, as the day curve has it; `None` where the clocks skip or repeat it.
fn draw_moment(rng: &mut Rng, date: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let hour = choose(rng, HOURS.iter().copied().zip(0..).map(|(weight, hour)| (hour, weight)));
    let local =
        date.and_hms_micro_opt(hour?, rng.u32(0..60), rng.u32(0..60), rng.u32(0..1_000_000))?;
    let found = zone.from_local_datetime(&local).single()?;
    Some(found.with_timezone(&Utc))
}

/// A moment of a day that lies so many days before today.
fn draw_moment_of(
    rng: &mut Rng,
    ago: RangeInclusive<i64>,
    today: NaiveDate,
    zone: Tz,
) -> Option<DateTime<Utc>> {
    (0..30).find_map(|_| {
        let date = today - Duration::days(rng.i64(ago.clone()));
        draw_moment(rng, date, zone)
    })
}

/// One of several things, by their weights.
fn choose<T>(rng: &mut Rng, things: impl Iterator<Item = (T, u32)> + Clone) -> Option<T> {
    let total: u32 = things.clone().map(|(_, weight)| weight).sum();
    let mut left = rng.u32(0..total.max(1));
    for (thing, weight) in things {
        if left < weight {
            return Some(thing);
        }
        left -= weight;
    }
    None
}

/// The whole course of a task, whether or not there has been time for it.
fn draw_course(rng: &mut Rng, created: DateTime<Utc>, weather: &Weather) -> Course {
    let seconds = draw_seconds(rng, weather.slowness);
    let started = created + from_seconds(0.05 - 3.0 * (1.0 - rng.f64()).ln());
    let ended = started + from_seconds(seconds);
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
        updated: ended + Duration::milliseconds(rng.i64(0..1500)),
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
    /// The course as it stands at `now`: what has not happened yet is taken back.
    fn seen_at(mut self, now: DateTime<Utc>) -> Self {
        if self.started > now {
            self.become_unfinished(Stage::Pending);
        } else if self.ended > now {
            let whole = (self.ended - self.started).num_milliseconds().max(1);
            let (part, label) = match (now - self.started).num_milliseconds() * 100 / whole {
                0..20 => (0, "RECOGNIZING"),
                20..60 => (20, "TRACKING"),
                60..70 => (60, "DELIVERED"),
                _ => (70, "GENERATING"),
            };
            self.ended = (self.started + Duration::milliseconds(whole * part / 100)).min(now);
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
    fn has_number(&self) -> bool {
        match self.stage {
            Stage::Pending | Stage::Working("RECOGNIZING") => false,
            Stage::Failed => !self.message.unwrap_or_default().starts_with("二维码"),
            _ => true,
        }
    }

    fn status(&self) -> &'static str {
        match self.stage {
            Stage::Pending => "PENDING",
            Stage::Working(label) => label,
            Stage::Completed => "COMPLETED",
            Stage::Failed => "FAILED",
            Stage::Returned => "RETURNED",
        }
    }
}

/// Turns courses into rows, and notes the files that they name.
struct Writer<'a> {
    zone: Tz,
    rng: &'a mut Rng,
    files: &'a mut Vec<FilePlan>,
}

impl Writer<'_> {
    fn task(&mut self, id: i64, course: &Course) -> Task {
        let task_id = format!("task_{:08x}{id:06}", self.rng.u32(..));
        let number =
            course.has_number().then(|| format!("11{:05}{id:06}", self.rng.u32(0..100_000)));
        let done = course.stage == Stage::Completed;
        let shown = done || course.stage == Stage::Returned;
        let day = course.created.with_timezone(&self.zone).format("%Y%m%d");
        let names = [
            format!("uploads/{day}/{task_id}.png"),
            format!("static/documents/{day}/{task_id}.docx"),
            format!("static/screenshots/{day}/{task_id}.png"),
        ];
        let [image, document, screenshot] = names;
        let stored = course.stored;
        let image_path = self.file(stored, image, course.created);
        let file_size = match self.files.last().map(|file| &file.content) {
            Some(Content::Picture(size)) if stored => Some(*size),
            _ => None,
        };
        let has_number = number.is_some();
        Task {
            id,
            task_name: format!("送达回证任务 {id:06}"),
            description: (self.rng.f64() < 0.3).then_some("识别照片中的二维码并生成送达回证"),
            status: course.status(),
            image_url: stored.then(|| format!("/static/uploads/{task_id}.png")),
            image_path,
            file_size,
            qr_code: number.as_ref().map(|number| format!("https://post.example/q?mail={number}")),
            courier_company: has_number.then_some("EMS"),
            tracking_data: self.tracking_data(course),
            delivery_status: match course.stage {
                Stage::Completed => Some("delivered"),
                Stage::Returned => Some("returned"),
                _ => None,
            },
            delivery_time: self.delivery_time(course).filter(|_| done),
            document_url: done.then(|| format!("/static/documents/{task_id}.docx")),
            document_path: self.file(stored && done, document, course.ended),
            screenshot_url: shown.then(|| format!("/static/screenshots/{task_id}.png")),
            screenshot_path: self.file(stored && shown, screenshot, course.ended),
            started_at: (course.stage != Stage::Pending).then_some(course.started),
            completed_at: done.then_some(course.ended),
            processing_time: course.seconds,
            error_message: course.message,
            retry_count: course.retries,
            user_id: (self.rng.f64() > 0.05).then(|| self.rng.u32(1..300)),
            extra_metadata: Some(json!({"source": if stored { "web" } else { "api" }}).to_string()),
            created_at: course.created,
            updated_at: course.updated,
            tracking_number: number,
            task_id,
        }
    }

    /// Notes a file, if the row has it, and gives its path back for the row.
    fn file(&mut self, wanted: bool, path: String, modified: DateTime<Utc>) -> Option<String> {
        wanted.then(|| {
            self.files.push(files::plan(path.clone(), self.rng, modified));
            path
        })
    }

    fn tracking_data(&mut self, course: &Course) -> Option<String> {
        let state = match course.stage {
            Stage::Completed | Stage::Working("DELIVERED" | "GENERATING") => "已签收",
            Stage::Returned => "已退回",
            _ => return None,
        };
        let city = CITIES[self.rng.usize(..CITIES.len())];
        let events = json!([{"context": format!("【{city}】{state}")}]);
        Some(json!({"status": state, "company": "EMS", "events": events}).to_string())
    }

    /// The parcel had arrived hours or days before its receipt was asked for.
    fn delivery_time(&mut self, course: &Course) -> Option<DateTime<Utc>> {
        let at = course.created - Duration::minutes(self.rng.i64(60..4000));
        is_clear(at, self.zone).then_some(at)
    }

    fn receipt(&mut self, id: i64, draft: &ReceiptDraft) -> Receipt {
        let local = draft.created.with_timezone(&self.zone);
        let base = format!("static/receipts/{}/{}", local.format("%Y%m%d"), draft.number);
        let at = draft.created;
        let document = match &draft.document {
            Some(shared) => Some(shared.clone()),
            None => self.file(true, format!("{base}_document.docx"), at),
        };
        let pictured = self.rng.bool();
        let city = self.rng.usize(..CITIES.len());
        Receipt {
            id,
            tracking_number: draft.number.clone(),
            sender: format!("{}示例公证处", CITIES[city]),
            send_time: local.format("%Y-%m-%d").to_string(),
            send_location: CITIES[city],
            receiver: RECEIVERS[self.rng.usize(..RECEIVERS.len())],
            status: if self.rng.f64() < 0.9 { "DELIVERED" } else { "SENT" },
            paths: [
                self.file(true, format!("{base}_qr.png"), at),
                self.file(pictured, format!("{base}_barcode.png"), at),
                self.file(true, format!("{base}_receipt.docx"), at),
                self.file(pictured, format!("{base}_tracking.png"), at),
                document,
            ],
            user_id: self.rng.u32(1..300),
            created_at: at,
        }
    }

    fn tracking(&mut self, id: i64, receipt: &Receipt) -> Tracking {
        let day = receipt.created_at.with_timezone(&self.zone).format("%Y%m%d");
        let path = format!("static/screenshots/{day}/info_{}.png", receipt.tracking_number);
        let (wanted, at) = (self.rng.f64() < 0.7, receipt.created_at);
        Tracking {
            id,
            receipt_id: receipt.id,
            current_status: if receipt.status == "DELIVERED" { "已签收" } else { "运输中" },
            tracking_data: json!({"events": []}).to_string(),
            screenshot_path: self.file(wanted, path, at),
            at,
        }
    }
}

/// A receipt before it gets its key.
struct ReceiptDraft {
    number: String,
    created: DateTime<Utc>,
    /// The task's document, which is the receipt's too.
    document: Option<String>,
}

/// Receipts old and new, some of tasks that are still there and some of tasks that are gone.
fn draw_receipts(
    tasks: &[Task],
    now: DateTime<Utc>,
    zone: Tz,
    files: &mut Vec<FilePlan>,
) -> (Vec<Receipt>, Vec<Tracking>) {
    let mut rng = Rng::with_seed(SEED + RECEIPTS);
    let mut drafts = draft_receipts(tasks, now, zone, &mut rng);
    drafts.sort_by_key(|draft| draft.created);
    let mut writer = Writer { zone, rng: &mut rng, files };
    let receipts: Vec<Receipt> =
        (1..).zip(&drafts).map(|(id, draft)| writer.receipt(id, draft)).collect();
    let tracked = receipts.iter().filter(|receipt| receipt.id % 7 != 0);
    let tracking = (1..).zip(tracked).map(|(id, receipt)| writer.tracking(id, receipt)).collect();
    (receipts, tracking)
}

fn draft_receipts(
    tasks: &[Task],
    now: DateTime<Utc>,
    zone: Tz,
    rng: &mut Rng,
) -> Vec<ReceiptDraft> {
    let month_ago = now - Duration::days(31);
    let today = now.with_timezone(&zone).date_naive();
    let documented = tasks.iter().filter(|task| task.document_path.is_some());
    let (old, new): (Vec<&Task>, Vec<&Task>) =
        documented.partition(|task| task.created_at < month_ago);
    let mut drafts = Vec::new();
    // Made with its task, and sharing its document: as old as the task, or as new.
    let with_task = old.iter().step_by(4).chain(new.iter().step_by(8));
    drafts.extend(with_task.copied().filter_map(with_its_task));
    // Older than the task that refers to it: it has to stay as long as the task. With 4 and 16 never one of those
    // above: a number has one receipt.
    for task in new.iter().skip(4).step_by(16) {
        let created = draw_moment_of(rng, 32..=59, today, zone);
        drafts.extend(
            created.zip(task.tracking_number.clone()).map(|(created, number)| ReceiptDraft {
                number,
                created,
                document: None,
            }),
        );
    }
    // Their tasks are gone: the old ones are for a clean-up to find, the new ones for it to leave alone.
    for number in 0..65 {
        let days = if number < 50 { 32..=59 } else { 1..=12 };
        let created = draw_moment_of(rng, days, today, zone);
        drafts.extend(created.map(|created| ReceiptDraft {
            number: format!("90{:05}{number:06}", rng.u32(0..100_000)),
            created,
            document: None,
        }));
    }
    drafts
}

/// The receipt of a task that is done, written at the moment at which it was.
fn with_its_task(task: &Task) -> Option<ReceiptDraft> {
    Some(ReceiptDraft {
        number: task.tracking_number.clone()?,
        created: task.completed_at?,
        document: task.document_path.clone(),
    })
}
