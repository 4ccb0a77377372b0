//! Rules about open tasks: stuck ones, and the backlog.

use super::Found;
use super::document::{Look, Misfit, exact, float, plain};
use crate::alert::Alert;
use crate::language::Language;
use crate::outcome::Severity;
use crate::units;
use serde_json::Number;

pub fn stuck(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let tasks = look.known("stuck.tasks")?;
    found.waver("stuck_tasks", None);
    if float(tasks) == 0.0 {
        return Ok(());
    }
    let minutes = look.context.settings.live.stuck_after_minutes;
    let count = tasks.as_u64();
    let (tasks, oldest) = (plain(tasks), oldest(look, "stuck")?);
    let longest = oldest.in_words(look);
    found.alerts.push(Alert {
        kind: "stuck_tasks".to_owned(),
        severity: Severity::Warning,
        message: look.pick(
            format!("任务卡住: {tasks} 个任务处理超过 {minutes} 分钟仍未结束，{longest}"),
            format!(
                "Stuck tasks: {tasks} in processing for more than {minutes} minutes; {longest}"
            ),
        ),
        subject: None,
        value: oldest.minutes(),
        threshold: Some(Number::from(minutes)),
        count,
        tasks: Vec::new(),
        url: None,
    });
    Ok(())
}

pub fn backlog(look: &Look, found: &mut Found) -> Result<(), Misfit> {
    let (pending, older) =
        (look.known("backlog.pending")?, look.known("backlog.older_than_limit")?);
    found.waver("backlog", None);
    let limits = &look.context.settings.live;
    let is_too_much = float(pending) > limits.backlog_max as f64;
    if !is_too_much && float(older) == 0.0 {
        return Ok(());
    }
    let (most, minutes) = (limits.backlog_max, limits.backlog_after_minutes);
    let mut facts =
        vec![look.pick(
            format!("{} 个任务等待处理", plain(pending)),
            format!("{} pending", plain(pending)),
        )];
    if is_too_much {
        facts[0] += &look.pick(format!("（上限 {most}）"), format!(" (limit {most})"));
    }
    let (mut value, mut threshold) = (Some(pending.clone()), Some(Number::from(most)));
    if float(older) > 0.0 {
        let oldest = oldest(look, "backlog")?;
        let longest = oldest.in_words(look);
        let older = plain(older);
        facts.push(look.pick(
            format!("其中 {older} 个已等待超过 {minutes} 分钟，{longest}"),
            format!("{older} of them for more than {minutes} minutes, {longest}"),
        ));
        if !is_too_much {
            (value, threshold) = (oldest.minutes(), Some(Number::from(minutes)));
        }
    }
    facts.extend(draining(look)?);
    let (name, gap) = look.pick(("任务积压", "，"), ("Backlog", "; "));
    found.alerts.push(Alert {
        kind: "backlog".to_owned(),
        severity: Severity::Warning,
        message: format!("{name}: {}", facts.join(gap)),
        subject: None,
        value,
        threshold,
        count: pending.as_u64(),
        tasks: Vec::new(),
        url: None,
    });
    Ok(())
}

/// How long the backlog will last at the rate of the last hour; nothing where that is not known.
fn draining(look: &Look) -> Result<Option<String>, Misfit> {
    let Some(finished) = look.number("backlog.finished_last_hour")? else {
        return Ok(None);
    };
    let Some(seconds) = look.number("backlog.drain_seconds")? else {
        return Ok(Some(
            look.pick("最近一小时没有任务完成", "no task finished in the last hour").to_owned(),
        ));
    };
    let (finished, left) = (plain(finished), duration(float(seconds), look.context.language));
    Ok(Some(look.pick(
        format!("最近一小时完成 {finished} 个，按此速度还需 {left}"),
        format!("{finished} finished in the last hour, {left} left at that rate"),
    )))
}

/// The oldest task of a part of the live state.
struct Oldest<'a> {
    task: Option<&'a str>,
    seconds: f64,
}

fn oldest<'a>(look: &Look<'a>, part: &str) -> Result<Oldest<'a>, Misfit> {
    Ok(Oldest {
        task: look.text(&format!("{part}.oldest_task"))?,
        seconds: float(look.known(&format!("{part}.oldest_seconds"))?),
    })
}

impl Oldest<'_> {
    fn in_words(&self, look: &Look) -> String {
        let age = duration(self.seconds, look.context.language);
        match self.task {
            Some(task) => look
                .pick(format!("最久的是 {task}（{age}）"), format!("the oldest is {task} ({age})")),
            None => look.pick(format!("最久 {age}"), format!("the oldest for {age}")),
        }
    }

    fn minutes(&self) -> Option<Number> {
        exact(units::round2(self.seconds / 60.0))
    }
}

/// The two largest units of a duration.
pub fn duration(seconds: f64, language: Language) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let [day, hour, minute, second] =
        language.pick([" 天", " 小时", " 分钟", " 秒"], [" d", " h", " min", " s"]);
    let parts = if days > 0 {
        [(days, day), (hours, hour)]
    } else if hours > 0 {
        [(hours, hour), (minutes, minute)]
    } else if minutes > 0 {
        [(minutes, minute), (0, second)]
    } else {
        [(seconds, second), (0, second)]
    };
    let shown = parts.iter().enumerate();
    let shown = shown.filter(|(place, (count, _))| *place == 0 || *count > 0);
    let texts: Vec<String> = shown.map(|(_, (count, unit))| format!("{count}{unit}")).collect();
    texts.join(" ")
}
