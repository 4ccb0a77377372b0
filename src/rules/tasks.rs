//! Rules about the tasks of a day.

use super::Found;
use super::document::{Look, Misfit, Wrong, exact, float, plain};
use crate::alert::{Alert, FailedTask};
use crate::outcome::Severity;
use crate::stats::OTHER_ERRORS;
use crate::units;
use serde_json::Value;

/// `subject` distinguishes today's rate from that of a whole day.
pub fn failure_rate(
    look: &Look,
    path: &str,
    subject: Option<&str>,
    found: &mut Found,
) -> Result<(), Misfit> {
    let Some(rate) = look.number(path)? else {
        found.is_unknown = true;
        return Ok(());
    };
    let shown = plain(rate);
    let today = |text: String| match subject {
        Some(_) => look.pick(format!("今日{text}"), format!("{text}, today")),
        None => text,
    };
    let levels = [
        (
            "critical_failure_rate",
            Severity::Critical,
            look.context.settings.failure_rate_critical,
            look.pick("任务失败率严重过高", "Task failure rate is critical"),
        ),
        (
            "high_failure_rate",
            Severity::Warning,
            look.context.settings.failure_rate_warning,
            look.pick("任务失败率过高", "Task failure rate is high"),
        ),
    ];
    let margin = look.context.settings.clear_margin;
    for (kind, _, threshold, _) in &levels {
        if float(rate) > threshold - margin {
            found.waver(kind, subject);
        }
    }
    let exceeded = levels.into_iter().find(|level| float(rate) > level.2);
    let tasks = match subject {
        None => failed_tasks(look, |_| true),
        Some(_) => Vec::new(),
    };
    found.alerts.extend(exceeded.map(|(kind, severity, threshold, words)| Alert {
        kind: kind.to_owned(),
        severity,
        message: today(format!("{words}: {shown}%")),
        subject: subject.map(str::to_owned),
        value: Some(rate.clone()),
        threshold: exact(threshold),
        count: None,
        tasks,
        url: None,
    }));
    Ok(())
}

/// How many of the failed tasks an alert names.
const NAMED: usize = 3;

/// How much of an error an alert has, in characters.
const LONGEST_ERROR: usize = 200;

/// The first of the day's failed tasks whose category is one of these, as far as the report lists them.
fn failed_tasks(look: &Look, is_of: impl Fn(&str) -> bool) -> Vec<FailedTask> {
    let listed = look.list("error_statistics.failed_tasks").ok().flatten();
    let tasks = listed
        .into_iter()
        .flatten()
        .filter(|task| is_of(task.get("category").and_then(Value::as_str).unwrap_or_default()));
    let text = |task: &Value, key: &str| {
        let text = task.get(key)?.as_str()?;
        let first = text.lines().find(|line| !line.trim().is_empty())?;
        Some(first.chars().take(LONGEST_ERROR).collect::<String>())
    };
    let task =
        |task| FailedTask { task: text(task, "task_id"), error: text(task, "error_message") };
    tasks.take(NAMED).map(task).collect()
}

pub fn no_tasks(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let Some(total) = look.number("task_statistics.total_tasks")? else {
        found.is_unknown = true;
        return Ok(());
    };
    if look.context.settings.no_tasks && float(total) == 0.0 {
        // A date is good to have in the message, and no reason to fail without.
        let date = look.text("date").ok().flatten().unwrap_or_default();
        found.alerts.push(Alert {
            kind: "no_tasks".to_owned(),
            severity: Severity::Warning,
            message: match date {
                "" => look.pick("没有任何任务", "There was no task").to_owned(),
                date => look
                    .pick(format!("{date} 没有任何任务"), format!("There was no task on {date}")),
            },
            subject: None,
            value: Some(total.clone()),
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
        });
    }
    Ok(())
}

pub fn concentrated_errors(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let path = "error_statistics.error_categories";
    let Some(categories) = look.object(path)? else {
        found.is_unknown = true;
        return Ok(());
    };
    let count = |(name, count): (&String, &Value)| {
        let tasks = count.as_u64();
        let tasks = tasks.ok_or_else(|| Misfit::new(&format!("{path}.{name}"), Wrong::NoNumber))?;
        Ok((name.clone(), tasks))
    };
    let counts: Vec<(String, u64)> = categories.iter().map(count).collect::<Result<_, _>>()?;
    let all: u64 = counts.iter().map(|(_, tasks)| tasks).sum();
    let limit = look.context.settings.error_concentration_percent;
    // Exactly: 50.001 % is above 50 although it reads 50.0.
    let is_above = |tasks: u64| tasks as f64 * 100.0 > limit * all as f64;
    // What has no category in common is not concentrated in one.
    let is_category = |name: &str| !OTHER_ERRORS.contains(&name);
    let concentrated =
        counts.into_iter().filter(|(name, tasks)| is_category(name) && is_above(*tasks));
    for (name, tasks) in concentrated {
        let named = failed_tasks(look, |category| category == name);
        let share = exact(units::percent(tasks, all));
        let shown = share.as_ref().map(plain).unwrap_or_default();
        found.alerts.push(Alert {
            kind: "concentrated_errors".to_owned(),
            severity: Severity::Warning,
            message: look.pick(
                format!("错误集中在「{name}」: {shown}%（{tasks}/{all}）"),
                format!("Errors are concentrated in \"{name}\": {shown}% ({tasks} of {all})"),
            ),
            subject: Some(name),
            value: share,
            threshold: exact(limit),
            count: None,
            tasks: named,
            url: None,
        });
    }
    Ok(())
}

/// The rate of a day that has just begun says little, so it counts from a minimum of tasks on. Below it nothing is firing: what was at
/// midnight was about the day before.
pub fn today(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let total = look.known("today.total")?;
    if float(total) < look.context.settings.live.min_tasks as f64 {
        return Ok(());
    }
    failure_rate(look, "today.failure_rate", Some("today"), found)
}
