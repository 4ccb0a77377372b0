//! The checklist: ✓ it works, ! somebody should know, ✗ it does not work, – not looked at.

use super::page::Page;
use crate::check::{CheckReport, Finding, Started, Status};
use crate::language::Language;
use crate::units::text_width;

pub fn check(report: &CheckReport, language: Language) -> String {
    let mut page = Page::new(language);
    for check in &report.checks {
        let (mark, name) = (mark(check.status), check_name(check.name, language));
        let summary = Finding {
            status: check.status,
            message: check.message.clone(),
            hint: check.hint.clone(),
        };
        let findings = match check.findings.as_slice() {
            [] => std::slice::from_ref(&summary),
            findings => findings,
        };
        let padding = 12usize.saturating_sub(text_width(name));
        let [first, rest @ ..] = findings else {
            continue;
        };
        page.line(format!("{mark} {name}{:padding$} {}", "", message(first, check.status)));
        hint(&mut page, first);
        for finding in rest {
            page.line(format!("{:15}{}", "", message(finding, check.status)));
            hint(&mut page, finding);
        }
    }
    let failed = report.checks.iter().filter(|check| check.status == Status::Failed).count();
    page.line("");
    page.line(match failed {
        0 => match report.started {
            Started::Yes => {
                language.pick("没有发现妨碍运行的问题", "nothing prevents the jobs from running")
            }
            Started::NoJob => language.pick(
                "没有不通过的项目，但没有安装任何作业：taskmon schedule install",
                "no check failed, but no job is installed: taskmon schedule install",
            ),
            Started::NoCron => language.pick(
                "没有不通过的项目，但 cron 没有运行",
                "no check failed, but cron is not running",
            ),
            Started::Unknown => language.pick(
                "没有不通过的项目，但无法得知作业是否会启动",
                "no check failed, but whether the jobs are started is not known",
            ),
        }
        .to_owned(),
        n => language.pick(format!("{n} 项不通过"), format!("{n} failed")),
    });
    page.text
}

/// The message, behind a mark of its own where that is not the check's.
fn message(finding: &Finding, of: Status) -> String {
    if finding.status == of {
        finding.message.clone()
    } else {
        format!("{} {}", mark(finding.status), finding.message)
    }
}

fn mark(status: Status) -> char {
    match status {
        Status::Ok => '✓',
        Status::Warning => '!',
        Status::Failed => '✗',
        Status::Skipped => '–',
    }
}

fn check_name(name: &'static str, language: Language) -> &'static str {
    let zh = match name {
        "config" => "配置",
        "database" => "数据库",
        "mapping" => "表的映射",
        "indexes" => "索引",
        "clock" => "时钟",
        "permissions" => "权限",
        "storage" => "存储",
        "broker" => "消息队列",
        "channels" => "告警渠道",
        "cron" => "定时作业",
        "runs" => "运行记录",
        other => other,
    };
    language.pick(zh, name)
}

fn hint(page: &mut Page, finding: &Finding) {
    if let Some(hint) = &finding.hint {
        page.line(format!("{:15}→ {}", "", hint));
    }
}
