//! The rows of the sandbox's tables.

use super::plan::FilePlan;
use chrono::{DateTime, Utc};

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
