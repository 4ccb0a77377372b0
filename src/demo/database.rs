//! The sandbox's database: the only SQL outside `store`, since `store` never creates a table or writes a task.

use super::rows::{Receipt, Rows, Task, Tracking};
use super::write::cannot_write;
use anyhow::Result;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use indicatif::ProgressBar;
use rusqlite::{Connection, OpenFlags, Transaction, params};
use std::fs::OpenOptions;
use std::path::Path;

const SCHEMA: &str = include_str!("schema.sql");

/// Makes the database file, which must not exist, and fills it in one transaction.
pub(super) fn fill(path: &Path, rows: &Rows, zone: Tz, progress: &ProgressBar) -> Result<()> {
    // Created here and not by SQLite: `create_new` follows no link and takes no file that came in between.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|cause| cannot_write(path, cause))?;
    insert_all(path, rows, zone, progress).map_err(|cause| cannot_write(path, cause).into())
}

fn insert_all(path: &Path, rows: &Rows, zone: Tz, progress: &ProgressBar) -> rusqlite::Result<()> {
    // Without URIs: a folder may be named `file:x`.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    insert_tasks(&transaction, &rows.tasks, zone, progress)?;
    insert_receipts(&transaction, &rows.receipts, zone, progress)?;
    insert_tracking(&transaction, &rows.tracking, zone, progress)?;
    transaction.commit()?;
    connection.execute_batch("ANALYZE")
}

fn insert_tasks(
    transaction: &Transaction,
    tasks: &[Task],
    zone: Tz,
    progress: &ProgressBar,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO tasks (id, task_id, task_name, description, status, image_path, image_url, file_size, qr_code, \
         tracking_number, courier_company, tracking_data, delivery_status, delivery_time, document_url, document_path, \
         screenshot_url, screenshot_path, started_at, completed_at, processing_time, error_message, retry_count, user_id, \
         extra_metadata, created_at, updated_at) \
         VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    )?;
    for task in tasks {
        insert.execute(params![
            task.id,
            task.task_id,
            task.task_name,
            task.description,
            task.status,
            task.image_path,
            task.image_url,
            task.file_size,
            task.qr_code,
            task.tracking_number,
            task.courier_company,
            task.tracking_data,
            task.delivery_status,
            task.delivery_time.map(|at| local(at, zone)),
            task.document_url,
            task.document_path,
            task.screenshot_url,
            task.screenshot_path,
            task.started_at.map(|at| local(at, zone)),
            task.completed_at.map(|at| local(at, zone)),
            task.processing_time,
            task.error_message,
            task.retry_count,
            task.user_id,
            task.extra_metadata,
            local(task.created_at, zone),
            local(task.updated_at, zone),
        ])?;
        progress.inc(1);
    }
    Ok(())
}

fn insert_receipts(
    transaction: &Transaction,
    receipts: &[Receipt],
    zone: Tz,
    progress: &ProgressBar,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO delivery_receipts (id, tracking_number, sender, send_time, send_location, receiver, status, \
         qr_code_path, barcode_path, receipt_file_path, tracking_screenshot_path, delivery_receipt_doc_path, user_id, \
         created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    )?;
    for receipt in receipts {
        let [qr_code, barcode, receipt_file, screenshot, document] = &receipt.paths;
        insert.execute(params![
            receipt.id,
            receipt.tracking_number,
            receipt.sender,
            receipt.send_time,
            receipt.send_location,
            receipt.receiver,
            receipt.status,
            qr_code,
            barcode,
            receipt_file,
            screenshot,
            document,
            receipt.user_id,
            local(receipt.created_at, zone),
            local(receipt.created_at, zone),
        ])?;
        progress.inc(1);
    }
    Ok(())
}

fn insert_tracking(
    transaction: &Transaction,
    tracking: &[Tracking],
    zone: Tz,
    progress: &ProgressBar,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO tracking_info (id, delivery_receipt_id, current_status, last_update, tracking_data, \
         screenshot_path, created_at, updated_at) VALUES (?,?,?,?,?,?,?,?)",
    )?;
    for info in tracking {
        insert.execute(params![
            info.id,
            info.receipt_id,
            info.current_status,
            local(info.at, zone),
            info.tracking_data,
            info.screenshot_path,
            local(info.at, zone),
            local(info.at, zone),
        ])?;
        progress.inc(1);
    }
    Ok(())
}

/// A moment as the application stores it: local time, microseconds, no zone.
fn local(at: DateTime<Utc>, zone: Tz) -> String {
    let local = at.with_timezone(&zone).naive_local();
    local.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}
