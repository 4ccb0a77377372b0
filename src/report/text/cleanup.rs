//! What a cleanup did.

use super::page::Page;
use crate::cleanup::CleanupReport;
use crate::language::Language;

pub fn cleanup(report: &CleanupReport, language: Language) -> String {
    let mut page = Page::new(language);
    if let Some(failure) = &report.error {
        page.line(super::failure(failure, language));
        page.line("");
    }
    page.line(if report.error.is_some() {
        language.pick("不需要数据行的部分", "What needs no rows")
    } else if report.dry_run {
        language.pick("清理试运行（未做任何更改）", "Cleanup (dry run): nothing was changed")
    } else {
        language.pick("清理完成", "Cleanup")
    });
    page.line("");
    page.entry("任务", "tasks", report.tasks_cleaned.to_string());
    page.entry("回证", "receipts", report.receipts_cleaned.to_string());
    page.entry("文件", "files", report.files_cleaned.to_string());
    page.entry("日志", "logs", report.logs_cleaned.to_string());
    page.entry("释放空间", "freed", format!("{} MB", report.disk_space_freed_mb));
    if report.files_shared > 0 {
        let kept =
            language.pick("个文件仍被其他记录引用，已保留", "files stay, other rows name them");
        page.entry("共享", "shared", format!("{} {kept}", report.files_shared));
    }
    if report.files_in_use > 0 {
        let kept = language.pick("个文件正在使用，已保留", "files stay, somebody works on them");
        page.entry("在用", "in use", format!("{} {kept}", report.files_in_use));
    }
    for note in &report.notes {
        page.line(format!("  - {note}"));
    }
    page.issues(&report.errors);
    let unlisted = report.errors_total - report.errors.len() as u64;
    if unlisted > 0 {
        page.line(format!("  … {unlisted}"));
    }
    page.text
}
