//! Rules about scheduled jobs.

use super::document::{Look, Misfit, Wrong, float};
use super::open_tasks::duration;
use super::{Found, JOB_DURATION, JOB_MISSED, JOB_SKIPPED};
use crate::alert::Alert;
use crate::outcome::Severity;

pub fn missed(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let Some(jobs) = look.list("jobs.missed")? else {
        found.is_unknown = true;
        return Ok(());
    };
    for place in 0..jobs.len() {
        let at = |key: &str| format!("jobs.missed.{place}.{key}");
        let name = look.text(&at("job"))?.ok_or_else(|| Misfit::new(&at("job"), Wrong::NoText))?;
        let due = readable(look.text(&at("due"))?.unwrap_or_default());
        found.alerts.push(Alert {
            kind: JOB_MISSED.to_owned(),
            severity: Severity::Error,
            message: look.pick(
                format!("作业 {name} 没有按时成功运行: 应于 {due}"),
                format!("The scheduled job {name} has no successful run; it was due at {due}"),
            ),
            subject: Some(name.to_owned()),
            value: None,
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
        });
    }
    Ok(())
}

/// An RFC 3339 time as people read it: `2026-11-22 02:00 +08:00`. Any other text stays as it is.
fn readable(time: &str) -> String {
    let parsed = chrono::DateTime::parse_from_rfc3339(time);
    parsed.map_or(time.to_owned(), |time| time.format("%Y-%m-%d %H:%M %:z").to_string())
}

pub fn skipped(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let Some(jobs) = look.list("jobs.skipped")? else {
        found.is_unknown = true;
        return Ok(());
    };
    for place in 0..jobs.len() {
        let at = |key: &str| format!("jobs.skipped.{place}.{key}");
        let name = look.text(&at("job"))?.ok_or_else(|| Misfit::new(&at("job"), Wrong::NoText))?;
        let times = look.known(&at("times"))?;
        found.alerts.push(Alert {
            kind: JOB_SKIPPED.to_owned(),
            severity: Severity::Warning,
            message: look.pick(
                format!("作业 {name} 连续 {times} 次被跳过: 另一次运行一直占用锁"),
                format!("The scheduled job {name} was skipped {times} times in a row: another run held its lock each time"),
            ),
            subject: Some(name.to_owned()),
            value: Some(times.clone()),
            threshold: None,
            count: None, tasks: Vec::new(), url: None,
        });
    }
    Ok(())
}

/// A run that goes on takes longer by itself: that its value grows is nothing new, so how many there are is 1.
pub fn durations(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let Some(jobs) = look.list("jobs.unusual")? else {
        found.is_unknown = true;
        return Ok(());
    };
    for place in 0..jobs.len() {
        let at = |key: &str| format!("jobs.unusual.{place}.{key}");
        let text =
            |key: &str| look.text(&at(key))?.ok_or_else(|| Misfit::new(&at(key), Wrong::NoText));
        let in_words =
            |seconds: &serde_json::Number| duration(float(seconds), look.context.language);
        let (name, because) = (text("job")?, text("because")?);
        let (seconds, limit) = (look.known(&at("seconds"))?, look.known(&at("limit"))?);
        let took = in_words(seconds);
        let is_running = look.is_true(&at("is_running"));
        let took = match (is_running, because) {
            (true, _) => {
                look.pick(format!("已运行 {took}"), format!("has been running for {took}"))
            }
            (false, "shorter") => look.pick(format!("只用了 {took}"), format!("took only {took}")),
            (false, _) => look.pick(format!("用了 {took}"), format!("took {took}")),
        };
        let expected = match look.number(&at("usual"))? {
            Some(usual) => {
                let usual = in_words(usual);
                look.pick(format!("通常为 {usual}"), format!("usually it takes {usual}"))
            }
            None => {
                let limit = in_words(limit);
                look.pick(format!("允许 {limit}"), format!("its max_runtime is {limit}"))
            }
        };
        found.alerts.push(Alert {
            kind: JOB_DURATION.to_owned(),
            severity: Severity::Warning,
            message: look.pick(
                format!("作业 {name} {took}，{expected}"),
                format!("The scheduled job {name} {took}; {expected}"),
            ),
            subject: Some(name.to_owned()),
            value: Some(seconds.clone()),
            threshold: Some(limit.clone()),
            count: Some(1),
            tasks: Vec::new(),
            url: None,
        });
    }
    Ok(())
}
