//! The checklist: ✓ it works, ! somebody should know, ✗ it does not work, – not looked at.

use super::page::{Page, Piece, Tone};
use crate::check::{CheckReport, Finding, Started, Status};
use crate::language::Language;
use crate::units::{shorten, text_width};

/// How much is said of what works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All that was found.
    All,
    /// A line of so many columns for each check.
    Lines(usize),
}

pub fn check(report: &CheckReport, language: Language, detail: Detail) -> String {
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
        let findings = shown(findings, check.status, detail);
        let padding = 12usize.saturating_sub(text_width(name));
        let [first, rest @ ..] = findings.as_slice() else {
            continue;
        };
        let name = format!(" {name}{:padding$} ", "");
        page.pieces([mark, name.into(), own_mark(first, check.status), (&first.message).into()]);
        hint(&mut page, first);
        for finding in rest {
            let indent = format!("{:MESSAGE_COLUMN$}", "").into();
            page.pieces([indent, own_mark(finding, check.status), (&finding.message).into()]);
            hint(&mut page, finding);
        }
    }
    let failed = report.checks.iter().filter(|check| check.status == Status::Failed).count();
    page.line("");
    let verdict = match failed {
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
    };
    page.pieces([if failed == 0 { Tone::Plain } else { Tone::Bad }.of(verdict)]);
    page.text
}

/// Of a check that came out well its first finding, of others what somebody should know.
fn shown(findings: &[Finding], of: Status, detail: Detail) -> Vec<Finding> {
    let Detail::Lines(columns) = detail else {
        return findings.to_vec();
    };
    if of > Status::Ok {
        return findings.iter().filter(|finding| finding.status > Status::Ok).cloned().collect();
    }
    let first = findings.iter().take(1).map(|finding| {
        let message = shorten(&finding.message, columns.saturating_sub(MESSAGE_COLUMN));
        Finding { message, ..finding.clone() }
    });
    first.collect()
}

/// Where messages begin.
const MESSAGE_COLUMN: usize = 15;

/// The mark of a finding, and nothing where it is the check's.
fn own_mark(finding: &Finding, of: Status) -> Piece {
    if finding.status == of {
        return "".into();
    }
    let mark = mark(finding.status);
    Piece { text: mark.text + " ", ..mark }
}

fn mark(status: Status) -> Piece {
    match status {
        Status::Ok => Tone::Good.of("✓"),
        Status::Warning => Tone::Warning.of("!"),
        Status::Failed => Tone::Bad.of("✗"),
        Status::Skipped => Tone::Dim.of("–"),
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
        page.pieces([format!("{:MESSAGE_COLUMN$}", "").into(), Tone::Dim.of("→ "), hint.into()]);
    }
}
