//! The rows of the sandbox's tables: their fields are the columns.

use super::plan::FilePlan;
use crate::timezone::Tz;
use chrono::DateTime;
use serde::{Serialize, Serializer};

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
#[derive(Debug, Clone, Serialize)]
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
    #[serde(serialize_with = "local")]
    pub delivery_time: Option<DateTime<Tz>>,
    pub document_url: Option<String>,
    pub document_path: Option<String>,
    pub screenshot_url: Option<String>,
    pub screenshot_path: Option<String>,
    #[serde(serialize_with = "local")]
    pub started_at: Option<DateTime<Tz>>,
    #[serde(serialize_with = "local")]
    pub completed_at: Option<DateTime<Tz>>,
    /// Seconds.
    pub processing_time: Option<f64>,
    pub error_message: Option<&'static str>,
    pub retry_count: u32,
    pub user_id: Option<u32>,
    pub extra_metadata: Option<String>,
    #[serde(serialize_with = "local")]
    pub created_at: DateTime<Tz>,
    #[serde(serialize_with = "local")]
    pub updated_at: DateTime<Tz>,
}

/// A row of `delivery_receipts`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Receipt {
    pub id: i64,
    pub tracking_number: String,
    pub sender: String,
    pub send_time: String,
    pub send_location: &'static str,
    pub receiver: &'static str,
    pub status: &'static str,
    pub qr_code_path: Option<String>,
    pub barcode_path: Option<String>,
    pub receipt_file_path: Option<String>,
    pub tracking_screenshot_path: Option<String>,
    pub delivery_receipt_doc_path: Option<String>,
    pub user_id: u32,
    #[serde(serialize_with = "local")]
    pub created_at: DateTime<Tz>,
    #[serde(serialize_with = "local")]
    pub updated_at: DateTime<Tz>,
}

/// A row of `tracking_info`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Tracking {
    pub id: i64,
    pub delivery_receipt_id: i64,
    pub current_status: &'static str,
    #[serde(serialize_with = "local")]
    pub last_update: DateTime<Tz>,
    pub tracking_data: String,
    pub screenshot_path: Option<String>,
    #[serde(serialize_with = "local")]
    pub created_at: DateTime<Tz>,
    #[serde(serialize_with = "local")]
    pub updated_at: DateTime<Tz>,
}

/// A moment as the application stores it: local time, microseconds, no zone.
fn local<S: Serializer>(
    at: &(impl Copy + Into<Option<DateTime<Tz>>>),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let at: Option<DateTime<Tz>> = (*at).into();
    at.map(|at| at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()).serialize(serializer)
}
