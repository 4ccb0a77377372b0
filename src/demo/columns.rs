//! Turns courses into rows of `tasks`, and notes the files that they name.

use super::courses::{Course, Stage};
use super::plan::{self, Content, FilePlan};
use super::random::is_clear;
use super::rows::Task;
use crate::calendar::Shift;
use crate::timezone::Tz;
use chrono::{DateTime, Duration, Utc};
use fastrand::Rng;
use serde_json::json;

pub(super) const CITIES: [&str; 6] = ["北京", "上海", "杭州", "成都", "武汉", "西安"];

pub(super) struct Writer<'a> {
    pub zone: Tz,
    pub rng: &'a mut Rng,
    pub files: &'a mut Vec<FilePlan>,
}

impl Writer<'_> {
    pub(super) fn task(&mut self, id: i64, course: &Course) -> Task {
        let task_id = format!("task_{:08x}{id:06}", self.rng.u32(..));
        let number =
            course.has_number().then(|| format!("11{:05}{id:06}", self.rng.u32(0..100_000)));
        let done = course.stage == Stage::Completed;
        let shown = done || course.stage == Stage::Returned;
        let zone = self.zone;
        let local = |at: DateTime<Utc>| at.with_timezone(&zone);
        let day = local(course.created).format("%Y%m%d");
        let names = [
            format!("uploads/{day}/{task_id}.png"),
            format!("static/documents/{day}/{task_id}.docx"),
            format!("static/screenshots/{day}/{task_id}.png"),
        ];
        let [image, document, screenshot] = names;
        let stored = course.stored;
        let image_path = stored.then(|| self.file(image, course.created));
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
            delivery_time: self.delivery_time(course).filter(|_| done).map(local),
            document_url: done.then(|| format!("/static/documents/{task_id}.docx")),
            document_path: (stored && done).then(|| self.file(document, course.ended)),
            screenshot_url: shown.then(|| format!("/static/screenshots/{task_id}.png")),
            screenshot_path: (stored && shown).then(|| self.file(screenshot, course.ended)),
            started_at: (course.stage != Stage::Pending).then_some(local(course.started)),
            completed_at: done.then_some(local(course.ended)),
            processing_time: course.seconds,
            error_message: course.message,
            retry_count: course.retries,
            user_id: (self.rng.f64() > 0.05).then(|| self.rng.u32(1..300)),
            extra_metadata: Some(json!({"source": if stored { "web" } else { "api" }}).to_string()),
            created_at: local(course.created),
            updated_at: local(course.updated),
            tracking_number: number,
            task_id,
        }
    }

    /// Notes a file, and gives its path back for the row.
    pub(super) fn file(&mut self, path: String, modified: DateTime<Utc>) -> String {
        self.files.push(plan::plan(path.clone(), self.rng, modified));
        path
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
        let at = course.created.minus(Duration::minutes(self.rng.i64(60..4000)));
        is_clear(at, self.zone).then_some(at)
    }
}
