//! Whether each channel and heartbeat can be reached.

use super::Finding;
use crate::language::Language;

/// `reached`: the name of each channel and heartbeat, and what was reached, or why it was not and what to do.
pub fn channels(
    reached: impl IntoIterator<Item = (String, Result<String, (String, &'static str)>)>,
    language: Language,
) -> Vec<Finding> {
    let findings = reached.into_iter().map(|(name, reached)| match reached {
        Ok(what) => Finding::ok(format!("{name}: {what}")),
        Err((why, hint)) => Finding::failed(format!("{name}: {why}")).hint(hint),
    });
    let mut findings: Vec<Finding> = findings.collect();
    if findings.is_empty() {
        findings.push(Finding::skipped(language.pick(
            "没有配置告警渠道：告警只写入日志",
            "no channel is configured: alerts go to the logs alone",
        )));
    }
    findings
}
