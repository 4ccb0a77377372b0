//! The figures of `cleanup`.

use super::exposition::{Text, count};
use super::run::add_errors;
use crate::cleanup::CleanupReport;

pub fn add(text: &mut Text, job: &str, report: &CleanupReport) {
    add_errors(text, job, report.errors_total);
    text.figures(
        "taskmon_cleanup",
        &[
        ("deleted_tasks", "Tasks that the last cleanup deleted.", count(report.tasks_cleaned)),
        ("deleted_receipts", "Receipts that the last cleanup deleted.", count(report.receipts_cleaned)),
        (
            "deleted_files",
            "Files other than logs that the last cleanup deleted.",
            count(report.files_cleaned),
        ),
        ("deleted_logs", "Log files that the last cleanup deleted.", count(report.logs_cleaned)),
        ("freed_bytes", "Bytes of the files that the last cleanup deleted.", count(report.bytes_freed)),
        (
            "kept_shared_files",
            "Files that the last cleanup kept because a row that stays refers to them too.",
            count(report.files_shared),
        ),
        (
            "kept_files_in_use",
            "Temp files and logs that the last cleanup kept because a process works on them.",
            count(report.files_in_use),
        ),
        (
            "removed_folders",
            "Folders that the last cleanup removed because it had emptied them.",
            count(report.folders_removed),
        ),
        (
            "stopped_early",
            "Whether the last cleanup ended before its work was done, by a signal or its time limit.",
            count(report.stopped.is_some().into()),
        ),
        ],
    );
}
