//! The rules that look at the live state.

use super::tests::{context, custom, judges, with_custom};
use super::*;
use crate::live::MissedJob;
use crate::live::tests::{ago, count, disk, healthy, open, state_of};
use crate::outcome::Severity;
use crate::store::{Grouped, Groups, LiveFigures, OpenGroup};
use crate::system::disk::Status;

/// The types, severities and messages that are firing.
fn raised(figures: &LiveFigures, language: Language) -> Vec<(String, Severity, String)> {
    let context = Context { language, ..context() };
    let state = state_of(figures, Some(&disk(Status::Normal, 10.0)), Some(&[]));
    let alerts = evaluate_live(&state, &context).unwrap().alerts.into_iter();
    alerts.map(|alert| (alert.kind, alert.severity, alert.message)).collect()
}

fn kinds(figures: &LiveFigures) -> Vec<String> {
    let raised = raised(figures, Language::En).into_iter();
    raised.map(|(kind, ..)| kind).collect()
}

#[test]
fn nothing_is_firing_where_all_is_well() {
    assert_eq!(kinds(&healthy()), [""; 0]);
}

#[test]
fn one_stuck_task_is_enough() {
    let figures = |older| LiveFigures { processing: open(9, older, 192), ..healthy() };
    assert_eq!(kinds(&figures(0)), [""; 0]);
    assert_eq!(
        raised(&figures(1), Language::Zh)[0].2,
        "任务卡住: 1 个任务处理超过 60 分钟仍未结束，最久的是 task_7（3 小时 12 分钟）"
    );
    assert_eq!(
        raised(&figures(1), Language::En)[0].2,
        "Stuck tasks: 1 in processing for more than 60 minutes; the oldest is task_7 (3 h 12 min)"
    );
}

#[test]
fn a_backlog_is_too_old_or_too_large() {
    let figures = |tasks, older| LiveFigures { pending: open(tasks, older, 95), ..healthy() };
    assert_eq!(kinds(&figures(999, 0)), [""; 0]);
    assert_eq!(kinds(&figures(1000, 0)), [""; 0]);
    assert_eq!(kinds(&figures(1001, 0)), ["backlog"]);
    assert_eq!(kinds(&figures(1, 1)), ["backlog"]);
    assert_eq!(
        raised(&figures(1200, 300), Language::Zh)[0].2,
        "任务积压: 1200 个任务等待处理（上限 1000），其中 300 个已等待超过 30 分钟，最久的是 task_7（1 小时 35 分钟），最近一小时完成 60 个，按此速度还需 20 小时"
    );
    assert_eq!(
        raised(&figures(1, 1), Language::En)[0].2,
        "Backlog: 1 pending; 1 of them for more than 30 minutes, the oldest is task_7 (1 h 35 min); 60 finished in the last hour, 1 min left at that rate"
    );
    let still = LiveFigures { finished: Some(0), ..figures(1, 1) };
    assert!(raised(&still, Language::Zh)[0].2.ends_with("最近一小时没有任务完成"));
}

#[test]
fn todays_rate_counts_from_the_minimum_of_tasks_on() {
    let figures = |total: u64, failed: u64| LiveFigures {
        today: vec![count("done", total - failed), count("Failed", failed)],
        ..healthy()
    };
    assert_eq!(kinds(&figures(19, 19)), [""; 0]);
    assert_eq!(kinds(&figures(20, 4)), [""; 0]); // 20 %
    assert_eq!(kinds(&figures(20, 5)), ["high_failure_rate"]);
    assert_eq!(kinds(&figures(20, 10)), ["high_failure_rate"]); // 50 %
    assert_eq!(kinds(&figures(20, 11)), ["critical_failure_rate"]);
    assert_eq!(raised(&figures(20, 5), Language::Zh)[0].2, "今日任务失败率过高: 25%");
}

#[test]
fn unknown_figures_raise_and_resolve_nothing() {
    let evaluation = evaluate_live(&state_of(&healthy(), None, None), &context()).unwrap();
    assert_eq!(evaluation.alerts, []);
    assert!(!judges(&evaluation, "disk_space_warning", Some("/data")));
    assert!(!judges(&evaluation, "job_missed", Some("stats")));
    assert!(judges(&evaluation, "backlog", None));
}

#[test]
fn a_disk_and_a_missed_job_are_firing_under_their_names() {
    let missed = [MissedJob { job: "stats".into(), due: ago(600) }];
    let full = disk(Status::Critical, 95.5);
    let state = state_of(&healthy(), Some(&full), Some(&missed));
    let evaluation = evaluate_live(&state, &context()).unwrap();
    let named: Vec<(&str, Option<&str>, Severity)> = evaluation
        .alerts
        .iter()
        .map(|alert| (&*alert.kind, alert.subject.as_deref(), alert.severity))
        .collect();
    assert_eq!(
        named,
        [
            ("disk_space_critical", Some("/data"), Severity::Critical),
            ("job_missed", Some("stats"), Severity::Error)
        ]
    );
    assert!(judges(&evaluation, "job_missed", Some("cleanup")));
}

/// A queue in which so many tasks wait, the oldest for so many minutes.
fn queue(name: &str, pending: u64, minutes: i64) -> (Option<String>, OpenGroup) {
    let group = OpenGroup { pending, oldest: Some(ago(minutes)), ..OpenGroup::default() };
    (Some(name.to_owned()), group)
}

fn of_mail(metric: &str, value: f64) -> CustomRule {
    let queue = Some("mail".to_owned());
    CustomRule { on: On::Live, queue, ..custom(metric, Op::Above, value) }
}

fn evaluated(rule: CustomRule, listed: Vec<(Option<String>, OpenGroup)>) -> Evaluation {
    let groups = Grouped { queues: Some(Groups { listed, other: None }), names: None };
    let figures = LiveFigures { groups, scheduled: None, ..healthy() };
    let state = state_of(&figures, Some(&disk(Status::Normal, 10.0)), Some(&[]));
    let context = Context { language: Language::Zh, ..with_custom(rule) };
    evaluate_live(&state, &context).unwrap()
}

#[test]
fn a_rule_about_a_queue_looks_at_no_other() {
    let rule = || of_mail("oldest_seconds", 600.0);
    let others = || vec![queue("post", 9, 90), queue("Mail", 9, 90), (None, queue("", 9, 90).1)];
    let found = evaluated(rule(), [others(), vec![queue("mail", 1, 10)]].concat());
    assert_eq!((found.alerts.len(), judges(&found, "own", Some("mail"))), (0, true));
    let found = evaluated(rule(), [others(), vec![queue("mail", 1, 11)]].concat());
    assert_eq!(found.alerts[0].message, "队列 mail 的 oldest_seconds 为 660（> 600）");
    assert_eq!(found.alerts[0].subject.as_deref(), Some("mail"));
    let found = evaluated(rule(), others());
    assert_eq!((found.alerts.len(), judges(&found, "own", Some("mail"))), (0, true));
}

#[test]
fn a_figure_of_a_queue_that_the_table_does_not_know_resolves_nothing() {
    for listed in [vec![queue("mail", 1, 11)], vec![]] {
        let found = evaluated(of_mail("scheduled", 3.0), listed);
        assert_eq!((found.alerts.len(), judges(&found, "own", Some("mail"))), (0, false));
    }
    let rule = CustomRule { task: Some("send".to_owned()), queue: None, ..of_mail("pending", 0.0) };
    let found = evaluated(rule, vec![]);
    assert_eq!(found.alerts[0].message, "告警规则 own 无法评估: names 未知：该表没有对应的列");
    assert!(!judges(&found, "own", Some("send")));
}
