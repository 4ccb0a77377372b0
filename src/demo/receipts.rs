//! The receipts, old and new: some of tasks that are still there, and some of tasks that are gone.

use super::columns::{CITIES, Writer};
use super::plan::FilePlan;
use super::random::{Draw, draw_moment_of, rng};
use super::rows::{Receipt, Task, Tracking};
use crate::calendar::Shift;
use crate::timezone::Tz;
use chrono::{DateTime, Duration, Utc};
use fastrand::Rng;
use serde_json::json;

const RECEIVERS: [&str; 6] = ["张三", "李四", "王五", "赵六", "陈七", "周八"];

/// A receipt before it gets its key.
struct ReceiptDraft {
    number: String,
    created: DateTime<Utc>,
    /// The task's document, which is the receipt's too.
    document: Option<String>,
}

pub(super) fn draw_receipts(
    tasks: &[Task],
    now: DateTime<Utc>,
    zone: Tz,
    files: &mut Vec<FilePlan>,
) -> (Vec<Receipt>, Vec<Tracking>) {
    let mut rng = rng(Draw::Receipts);
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
    let month_ago = now.minus(Duration::days(31));
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
        created: task.completed_at?.to_utc(),
        document: task.document_path.clone(),
    })
}

impl Writer<'_> {
    fn receipt(&mut self, id: i64, draft: &ReceiptDraft) -> Receipt {
        let local = draft.created.with_timezone(&self.zone);
        let base = format!("static/receipts/{}/{}", local.format("%Y%m%d"), draft.number);
        let at = draft.created;
        let document = match &draft.document {
            Some(shared) => Some(shared.clone()),
            None => Some(self.file(format!("{base}_document.docx"), at)),
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
            qr_code_path: Some(self.file(format!("{base}_qr.png"), at)),
            barcode_path: pictured.then(|| self.file(format!("{base}_barcode.png"), at)),
            receipt_file_path: Some(self.file(format!("{base}_receipt.docx"), at)),
            tracking_screenshot_path: pictured
                .then(|| self.file(format!("{base}_tracking.png"), at)),
            delivery_receipt_doc_path: document,
            user_id: self.rng.u32(1..300),
            created_at: local,
            updated_at: local,
        }
    }

    fn tracking(&mut self, id: i64, receipt: &Receipt) -> Tracking {
        let day = receipt.created_at.format("%Y%m%d");
        let path = format!("static/screenshots/{day}/info_{}.png", receipt.tracking_number);
        let (wanted, at) = (self.rng.f64() < 0.7, receipt.created_at);
        Tracking {
            id,
            delivery_receipt_id: receipt.id,
            current_status: if receipt.status == "DELIVERED" { "已签收" } else { "运输中" },
            tracking_data: json!({"events": []}).to_string(),
            screenshot_path: wanted.then(|| self.file(path, at.to_utc())),
            last_update: at,
            created_at: at,
            updated_at: at,
        }
    }
}
