//! Rows for the `tasks` table in which every column has a value of its own: a report that reads the wrong column
//! gets a wrong number.

use chrono::{NaiveDateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// The day that a task is of unless its test says otherwise: for what is given the day, the time or the month, never for a run that
/// goes by the clock.
pub const DAY: &str = "2026-11-22";

/// A time, as rows have it, by which everything has expired and is overdue at any limit, whenever the test runs.
pub fn long_ago() -> String {
    (Utc::now() - TimeDelta::days(2_000)).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A row of `tasks`, column by column, each as the text of a literal; `None` is NULL.
#[derive(Clone)]
pub struct Task {
    pub columns: BTreeMap<&'static str, Option<String>>,
}

impl Task {
    /// A completed task with the primary key `n`, created on [`DAY`] between one and two in the morning.
    ///
    /// Its times are all different, and different from those of every other number.
    pub fn new(n: u32) -> Self {
        let text: [(&'static str, String); 24] = [
            ("id", n.to_string()),
            ("task_id", format!("task_{n}")),
            ("task_name", format!("name {n}")),
            ("description", format!("description {n}")),
            ("status", "COMPLETED".into()),
            ("image_path", format!("uploads/image_{n}.png")),
            ("image_url", format!("/static/image_{n}.png")),
            ("file_size", (100_000 + n).to_string()),
            ("qr_code", format!("code {n}")),
            ("tracking_number", format!("10{n:011}")),
            ("courier_company", format!("courier {n}")),
            ("tracking_data", format!("{{\"parcel\": {n}}}")),
            ("delivery_status", format!("delivery {n}")),
            ("document_url", format!("/static/document_{n}.docx")),
            ("document_path", format!("static/document_{n}.docx")),
            ("screenshot_url", format!("/static/screen_{n}.png")),
            ("screenshot_path", format!("static/screen_{n}.png")),
            ("processing_time", format!("{}.5", 200 + n)),
            ("error_message", format!("stored message {n}")),
            ("retry_count", "0".into()),
            ("user_id", (700 + n).to_string()),
            ("extra_metadata", format!("{{\"extra\": {n}}}")),
            ("remarks", format!("remark {n}")),
            ("delivery_time", String::new()),
        ];
        let columns = text.into_iter().map(|(name, text)| (name, Some(text)));
        let first =
            moment(&format!("{DAY} 01:00:00")) + TimeDelta::microseconds(i64::from(n) * 1_003_001);
        Self { columns: columns.collect() }.created(first)
    }

    /// Created at this local time, `YYYY-MM-DD HH:MM:SS` and perhaps a fraction; the other times of the row follow at their own distances.
    pub fn at(self, time: &str) -> Self {
        self.created(moment(time))
    }

    fn created(self, time: NaiveDateTime) -> Self {
        let n: i64 = self.columns["id"].as_deref().unwrap().parse().unwrap();
        let after =
            |seconds: i64| written(time + TimeDelta::microseconds(seconds * 1_000_000 + n * 17));
        self.with("created_at", written(time))
            .with("started_at", after(3))
            .with("completed_at", after(61))
            .with("updated_at", after(67))
            .with("delivery_time", after(71))
    }

    pub fn with(mut self, column: &'static str, value: impl ToString) -> Self {
        self.columns.insert(column, Some(value.to_string()));
        self
    }

    pub fn without(mut self, column: &'static str) -> Self {
        self.columns.insert(column, None);
        self
    }

    pub fn status(self, label: &str) -> Self {
        self.with("status", label)
    }

    pub fn failed(self, message: &str) -> Self {
        self.status("FAILED").with("error_message", message)
    }

    /// The statement that inserts it, which both databases understand.
    pub fn insert(&self) -> String {
        let names: Vec<&str> = self.columns.keys().copied().collect();
        let values: Vec<String> = self.columns.values().map(literal).collect();
        format!("INSERT INTO tasks ({}) VALUES ({});\n", names.join(", "), values.join(", "))
    }
}

fn literal(value: &Option<String>) -> String {
    match value {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "NULL".into(),
    }
}

fn moment(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap()
}

/// As the application's ORM writes it into SQLite.
fn written(time: NaiveDateTime) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}
