//! How the jobs' last runs went.

use super::Finding;
use super::cron::Scheduled;
use crate::language::Language;

/// The jobs' last runs.
pub fn runs(scheduled: &Scheduled, language: Language) -> Vec<Finding> {
    if let Some(why) = &scheduled.unreadable {
        return vec![Finding::failed(why).hint(language.pick(
            "cron 所用的用户必须能读写这个文件；它若已损坏，可以移走，下次运行会新建",
            "the user that cron runs the jobs as has to be able to read and write it; what is no file can be moved away, and the next run makes a new one",
        ))];
    }
    let mut findings = Vec::new();
    for job in &scheduled.jobs {
        let name = &job.name;
        if job.overdue {
            findings.push(
                Finding::failed(language.pick(
                    format!("{name} 逾期：到时没有成功运行"),
                    format!("{name} is overdue: no run of it ended well when it was due"),
                ))
                .hint("taskmon schedule logs --output text"),
            );
        }
        match &job.last {
            Some((end, code)) if !matches!(code, 0 | 1 | 4) => findings.push(
                Finding::warning(language.pick(
                    format!("{name} 上次于 {end} 失败，退出码 {code}"),
                    format!("{name} failed the last time, at {end}, with exit code {code}"),
                ))
                .hint("taskmon schedule logs --output text"),
            ),
            Some((end, code)) => findings.push(Finding::ok(language.pick(
                format!("{name} 上次于 {end} 结束，退出码 {code}"),
                format!("{name} ended the last time at {end}, with exit code {code}"),
            ))),
            None => {}
        }
    }
    if findings.is_empty() {
        findings.push(Finding::skipped(
            language.pick("还没有运行记录", "no run has been recorded yet"),
        ));
    }
    findings
}
