use super::open_tasks::duration;
use super::*;
use crate::live::tests::limits;
use crate::outcome::{Kind, Severity};
use serde_json::{Number, json};

pub fn settings() -> Settings {
    Settings {
        failure_rate_warning: 20.0,
        failure_rate_critical: 50.0,
        error_concentration_percent: 50.0,
        no_tasks: true,
        clear_margin: 2.0,
        for_minutes: Default::default(),
        runbooks: Default::default(),
        report_url: None,
        live: limits(),
        custom: Vec::new(),
    }
}

/// What is read from those settings, for a test's whole run.
pub fn context_of(settings: Settings) -> Context<'static> {
    Context { settings: Box::leak(Box::new(settings)), language: Language::En }
}

/// Whether an evaluation says anything of an alert that it did not find.
pub fn judges(evaluation: &Evaluation, kind: &str, subject: Option<&str>) -> bool {
    evaluation.verdict(kind, subject) != Verdict::NotJudged
}

pub fn context() -> Context<'static> {
    context_of(settings())
}

fn in_chinese() -> Context<'static> {
    Context { language: Language::Zh, ..context() }
}

/// A day on which nothing is wrong.
fn stats() -> Value {
    json!({
        "success": true, "date": "2026-11-22",
        "task_statistics": {"total_tasks": 1250, "failure_rate": 3.6, "average_processing_time": null,
            "status_breakdown": {"completed": 1100, "failed": 45}},
        "error_statistics": {"error_categories": {"超时": 5, "其他错误": 5}, "retry_statistics": {"1": 31}},
        "system_statistics": {"queue_statistics": {"queues": {"file.low": 3}}},
    })
}

fn disk(status: &str, usage: f64, inodes: Value) -> Value {
    json!({"success": true, "disk_info": {"usage_percent": usage, "status": status},
        "disks": [{"path": "/data", "usage_percent": usage, "inodes_usage_percent": inodes, "status": status}]})
}

fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

fn without(mut document: Value, parent: &str, key: &str) -> Value {
    let parent = document.pointer_mut(parent).unwrap();
    parent.as_object_mut().unwrap().remove(key).unwrap();
    document
}

fn evaluated(document: Value, context: &Context) -> Evaluation {
    evaluate(&read(document).unwrap(), context)
}

/// Types and messages.
fn raised(document: Value, context: &Context) -> Vec<(String, String)> {
    let alerts = evaluated(document, context).alerts.into_iter();
    alerts.map(|alert| (alert.kind, alert.message)).collect()
}

fn kinds(document: Value) -> Vec<String> {
    let raised = raised(document, &context()).into_iter();
    raised.map(|(kind, _)| kind).collect()
}

fn rate(percent: f64) -> Value {
    with(stats(), "/task_statistics/failure_rate", json!(percent))
}

pub fn custom(metric: &str, op: Op, value: f64) -> CustomRule {
    CustomRule {
        name: "own".into(),
        on: On::Stats,
        metric: metric.into(),
        op,
        value,
        clear_margin: 0.0,
        severity: Severity::Error,
        runbook: None,
        message: String::new(),
        queue: None,
        task: None,
    }
}

pub fn with_custom(rule: CustomRule) -> Context<'static> {
    context_of(Settings { custom: vec![rule], ..settings() })
}

// ---- the built-in rules

#[test]
fn nothing_fires_on_a_good_day() {
    assert_eq!(kinds(stats()), [""; 0]);
    assert_eq!(kinds(disk("normal", 80.0, json!(4.1))), [""; 0]);
}

#[test]
fn a_failure_rate_fires_above_a_threshold_and_the_higher_silences_the_lower() {
    for (percent, expected) in [
        (19.99, vec![]),
        (20.0, vec![]),
        (20.01, vec!["high_failure_rate"]),
        (50.0, vec!["high_failure_rate"]),
        (50.01, vec!["critical_failure_rate"]),
        (100.0, vec!["critical_failure_rate"]),
    ] {
        assert_eq!(kinds(rate(percent)), expected, "{percent}");
    }
}

#[test]
fn an_alert_has_its_value_its_threshold_and_a_sentence_in_the_language() {
    let alerts = evaluated(rate(23.1), &in_chinese()).alerts;
    assert_eq!(
        serde_json::to_value(&alerts).unwrap(),
        json!([{"type": "high_failure_rate", "severity": "warning", "message": "任务失败率过高: 23.1%", "value": 23.1, "threshold": 20}])
    );
    assert_eq!(raised(rate(60.0), &context())[0].1, "Task failure rate is critical: 60%");
}

#[test]
fn a_higher_alert_does_not_say_that_the_lower_is_resolved() {
    let evaluation = evaluated(rate(60.0), &context());
    assert!(!judges(&evaluation, "high_failure_rate", None));
    let evaluation = evaluated(rate(30.0), &context());
    assert!(judges(&evaluation, "critical_failure_rate", None));
    assert!(judges(&evaluated(rate(3.0), &context()), "high_failure_rate", None));
}

#[test]
fn a_day_without_a_task_fires_if_it_is_to() {
    let document = |total: u64| with(stats(), "/task_statistics/total_tasks", json!(total));
    assert_eq!(kinds(document(1)), [""; 0]);
    assert_eq!(
        raised(document(0), &in_chinese()),
        [("no_tasks".into(), "2026-11-22 没有任何任务".into())]
    );
    let never = context_of(Settings { no_tasks: false, ..settings() });
    assert_eq!(raised(document(0), &never), []);
}

#[test]
fn one_category_above_the_share_of_all_fires_and_what_is_in_none_does_not() {
    let document = |counts: Value| with(stats(), "/error_statistics/error_categories", counts);
    assert_eq!(kinds(document(json!({}))), [""; 0]);
    assert_eq!(kinds(document(json!({"超时": 5, "其他错误": 5}))), [""; 0]);
    let found = evaluated(document(json!({"超时": 6, "其他错误": 5})), &in_chinese()).alerts;
    assert_eq!(
        serde_json::to_value(found).unwrap(),
        json!([{"type": "concentrated_errors", "severity": "warning", "subject": "超时", "value": 54.55, "threshold": 50,
            "message": "错误集中在「超时」: 54.55%（6/11）"}])
    );
    for others in ["其他错误", "other errors"] {
        for counts in [json!({others: 9}), json!({"超时": 5, others: 95})] {
            assert_eq!(kinds(document(counts)), [""; 0]);
        }
    }
    // 50.001 % reads 50.0 and is above all the same.
    let found = evaluated(document(json!({"a": 50_001, "b": 49_999})), &context()).alerts;
    assert_eq!(found[0].value, Some(Number::from(50)));
}

#[test]
fn disks_stand_by_the_status_that_they_were_measured_with() {
    assert_eq!(
        raised(disk("warning", 80.01, json!(4.1)), &in_chinese()),
        [("disk_space_warning".into(), "磁盘空间不足: /data 已用 80.01%".into())]
    );
    assert_eq!(
        raised(disk("critical", 90.5, json!(null)), &context()),
        [("disk_space_critical".into(), "Disk space is critical: /data, 90.5% used".into())]
    );
    assert_eq!(
        raised(disk("critical", 12.0, json!(97)), &context())[0].1,
        "Disk space is critical: /data, 97% inodes used"
    );
    // A result of an earlier version does not say by which threshold: none is made up.
    let found = evaluated(disk("warning", 75.0, json!(4.1)), &context()).alerts;
    assert_eq!((found[0].kind.as_str(), &found[0].threshold), ("disk_space_warning", &None));
    let mut measured = disk("warning", 75.0, json!(4.1));
    measured["disks"][0]["warning_percent"] = json!(70);
    assert_eq!(evaluated(measured, &context()).alerts[0].threshold, Some(Number::from(70)));
    // Not so full, but with less than is to stay free.
    let mut measured = disk("critical", 75.0, json!(4.1));
    for (key, value) in [("critical_percent", 90.0), ("free_gb", 1.25), ("min_free_gb", 2.0)] {
        measured["disks"][0][key] = json!(value);
    }
    let found = &evaluated(measured, &context()).alerts[0];
    assert_eq!(found.message, "Disk space is critical: /data, 1.25 GiB free, less than 2 GiB");
    assert_eq!((&found.value, &found.threshold), (&Number::from_f64(1.25), &Some(Number::from(2))));
}

#[test]
fn what_was_not_measured_fires_and_resolves_nothing_of_its_path() {
    let mut document = disk("normal", 10.0, json!(4.1));
    document["errors"] = json!([
        {"kind": "path_missing", "message": "/gone does not exist", "path": "/gone"},
        {"kind": "disk_not_mounted", "message": "/usb is not mounted", "path": "/usb"},
        {"kind": "mounts_unreadable", "message": "no list", "path": "/proc/self/mountinfo"},
    ]);
    assert_eq!(
        raised(document.clone(), &context()),
        [
            ("disk_unmeasured".into(), "Disk cannot be measured: /gone does not exist".into()),
            ("disk_not_mounted".into(), "A volume is missing: /usb is not mounted".to_string()),
        ]
    );
    let evaluation = evaluated(document, &context());
    for kind in ["disk_space_critical", "disk_unmeasured", "disk_read_only"] {
        assert!(judges(&evaluation, kind, Some("/data")), "{kind}");
        assert!(!judges(&evaluation, kind, Some("/gone")), "{kind}");
        assert!(!judges(&evaluation, kind, Some("/usb")), "{kind}");
    }
}

#[test]
fn only_disks_that_were_measured_are_judged() {
    let evaluation = evaluated(disk("warning", 85.0, json!(4.1)), &context());
    assert!(judges(&evaluation, "disk_space_critical", Some("/data")));
    assert!(!judges(&evaluation, "disk_space_critical", Some("/other")));
    let full = evaluated(disk("critical", 95.0, json!(4.1)), &context());
    assert!(!judges(&full, "disk_space_warning", Some("/data")));
}

#[test]
fn one_broken_disk_does_not_hide_the_others() {
    let mut document = disk("warning", 85.0, json!(4.1));
    let disks = document["disks"].as_array_mut().unwrap();
    disks.insert(0, json!({"path": "/broken", "status": "warning"}));
    disks.insert(1, json!({"path": "/odd", "status": "purple", "usage_percent": 1}));
    assert_eq!(
        raised(document.clone(), &context()),
        [
            ("disk_space_warning".into(), "Disk space is low: /data, 85% used".into()),
            (
                "alert_check_error".into(),
                "The rule disk cannot be evaluated: disks.0.usage_percent does not exist; disks.1.status is not a text".to_string()
            ),
        ]
    );
    assert!(!judges(&evaluated(document, &context()), "disk_space_warning", Some("/broken")));
}

// ---- what cannot be evaluated

#[test]
fn a_malformed_report_is_an_alert_that_names_the_path_and_resolves_nothing() {
    let rate = "task_statistics.failure_rate";
    for (document, path) in [
        (without(stats(), "/task_statistics", "failure_rate"), format!("{rate} does not exist")),
        (
            with(stats(), "/task_statistics/failure_rate", json!("3.6")),
            format!("{rate} is not a number"),
        ),
        (with(stats(), "/task_statistics", json!([])), format!("{rate} does not exist")),
    ] {
        let evaluation = evaluated(document, &context());
        let alert = &evaluation.alerts[0];
        assert_eq!(alert.message, format!("The rule failure_rate cannot be evaluated: {path}"));
        assert_eq!(
            (alert.kind.as_str(), alert.severity, alert.subject.as_deref()),
            (CHECK_ERROR, Severity::Error, Some("failure_rate"))
        );
        assert!(!judges(&evaluation, "high_failure_rate", None));
        assert!(!judges(&evaluation, "critical_failure_rate", None));
        assert!(judges(&evaluation, "concentrated_errors", Some("超时")));
    }
    let broken = with(stats(), "/error_statistics/error_categories/超时", json!("5"));
    assert_eq!(
        raised(broken, &in_chinese()),
        [(
            "alert_check_error".into(),
            "告警规则 error_categories 无法评估: error_statistics.error_categories.超时 不是数字"
                .into()
        )]
    );
}

#[test]
fn null_raises_nothing_and_resolves_nothing() {
    let document = with(stats(), "/error_statistics/error_categories", json!(null));
    let evaluation = evaluated(document, &context());
    assert_eq!(evaluation.alerts, []);
    assert!(!judges(&evaluation, "concentrated_errors", Some("超时")));
}

// ---- one's own rules

#[test]
fn every_comparison_holds_where_it_should() {
    for (op, below, at, above) in [
        (Op::Above, false, false, true),
        (Op::AtLeast, false, true, true),
        (Op::Below, true, false, false),
        (Op::AtMost, true, true, false),
        (Op::Equal, false, true, false),
        (Op::NotEqual, true, false, true),
    ] {
        for (percent, expected) in [(15.19, below), (15.2, at), (15.21, above)] {
            let rule = custom("task_statistics.failure_rate", op, 15.2);
            let found = raised(rate(percent), &with_custom(rule));
            assert_eq!(found.len() == 1, expected, "{percent} {}", op.sign());
        }
    }
}

#[test]
fn any_number_of_the_result_is_found_by_its_path() {
    for (metric, value) in [
        ("task_statistics.total_tasks", 1250.0),
        ("error_statistics.error_categories.超时", 5.0),
        ("error_statistics.retry_statistics.1", 31.0),
        ("system_statistics.queue_statistics.queues.file.low", 3.0),
    ] {
        let found = evaluated(stats(), &with_custom(custom(metric, Op::Equal, value)));
        assert_eq!(found.alerts.len(), 1, "{metric}");
        assert_eq!(found.alerts[0].kind, "own", "{metric}");
    }
    let rule = CustomRule { on: On::Disk, ..custom("disks.0.usage_percent", Op::Above, 10.0) };
    let found = raised(disk("normal", 10.5, json!(1)), &with_custom(rule));
    assert_eq!(found, [("own".into(), "disks.0.usage_percent is 10.5 (> 10)".into())]);
}

#[test]
fn what_is_not_in_a_map_of_counts_was_counted_no_times() {
    for metric in [
        "error_statistics.error_categories.物流",
        "error_statistics.retry_statistics.7",
        "task_statistics.status_breakdown.cancelled",
    ] {
        assert_eq!(raised(stats(), &with_custom(custom(metric, Op::Above, 0.0))), [], "{metric}");
        let found = raised(stats(), &with_custom(custom(metric, Op::AtMost, 0.0)));
        assert_eq!(found.len(), 1, "{metric}");
    }
}

#[test]
fn a_path_that_leads_nowhere_is_an_alert_and_null_is_none() {
    for (metric, why) in [
        ("task_statistics.rate", "does not exist"),
        ("task_statistics.failure_rate.more", "does not exist"),
        ("tasks", "does not exist"),
        ("error_statistics.error_categories", "is not a number"),
        ("date", "is not a number"),
        ("success", "is not a number"),
    ] {
        let settings = with_custom(custom(metric, Op::Above, 0.0));
        let evaluation = evaluated(stats(), &settings);
        let alert = &evaluation.alerts[0];
        assert_eq!(alert.message, format!("The rule own cannot be evaluated: {metric} {why}"));
        assert_eq!((alert.kind.as_str(), alert.subject.as_deref()), (CHECK_ERROR, Some("own")));
        assert!(!judges(&evaluation, "own", None), "{metric}");
        assert!(judges(&evaluation, "other", None));
    }
    for metric in
        ["task_statistics.average_processing_time", "task_statistics.average_processing_time.p50"]
    {
        let evaluation = evaluated(stats(), &with_custom(custom(metric, Op::Above, 0.0)));
        assert_eq!(evaluation.alerts, [], "{metric}");
        assert!(!judges(&evaluation, "own", None), "{metric}");
    }
    for metric in
        ["disks.1.usage_percent", "disks.-1.usage_percent", "disks.x", "disks.+0.usage_percent"]
    {
        let rule = CustomRule { on: On::Disk, ..custom(metric, Op::Above, 0.0) };
        let found = raised(disk("normal", 10.5, json!(1)), &with_custom(rule));
        assert_eq!(found[0].0, CHECK_ERROR, "{metric}");
    }
}

#[test]
fn a_message_shows_its_value_without_needless_zeros() {
    let message = |template: &str, percent: f64| {
        let rule = CustomRule {
            message: template.into(),
            ..custom("task_statistics.failure_rate", Op::Above, 15.0)
        };
        raised(rate(percent), &with_custom(rule)).remove(0).1
    };
    assert_eq!(message("自定义失败率告警: {value}%", 16.0), "自定义失败率告警: 16%");
    assert_eq!(
        message("{value} of {metric} > {threshold}", 16.25),
        "16.25 of task_statistics.failure_rate > 15"
    );
    assert_eq!(message("{value}{value} {other} {", 17.0), "1717 {other} {");
    assert_eq!(message("", 17.5), "task_statistics.failure_rate is 17.5 (> 15)");
}

#[test]
fn a_rule_looks_at_its_own_result_only() {
    let rule = CustomRule { on: On::Live, ..custom("nothing.of.this", Op::Above, 0.0) };
    assert_eq!(raised(stats(), &with_custom(rule)), []);
}

// ---- documents

#[test]
fn a_document_is_known_by_its_keys() {
    assert!(matches!(read(stats()), Ok(Document::Stats(_))));
    assert!(matches!(read(disk("normal", 1.0, json!(1))), Ok(Document::Disk(_))));
    let failed =
        json!({"success": false, "error": {"kind": "database_unavailable", "message": "no route"}});
    let failed = read(failed).unwrap();
    assert_eq!(failed, Document::Failed { job: None, message: "no route".into() });
    let evaluation = evaluate(&failed, &in_chinese());
    assert_eq!(
        (
            evaluation.alerts[0].kind.as_str(),
            evaluation.alerts[0].severity,
            evaluation.alerts[0].message.as_str()
        ),
        (JOB_FAILED, Severity::Error, "作业 taskmon 运行失败: no route")
    );
    assert!(!judges(&evaluation, JOB_FAILED, None));
}

#[test]
fn of_several_reports_the_newest_counts() {
    let day = |date: &str, percent: f64| with(rate(percent), "/date", json!(date));
    let reports = json!([day("2026-11-21", 60.0), day("2026-11-22", 1.0), day("2026-11-20", 60.0)]);
    assert_eq!(kinds(reports), [""; 0]);
    let reports = json!([day("2026-11-22", 60.0), day("2026-11-21", 1.0)]);
    assert_eq!(kinds(reports), ["critical_failure_rate"]);
}

#[test]
fn anything_else_is_wrong_usage() {
    for document in [
        json!(null),
        json!("text"),
        json!([]),
        json!({}),
        json!([1]),
        json!([{"date": "2026-11-22"}]),
        json!([without(stats(), "", "date")]),
        json!([disk("normal", 1.0, json!(1))]),
        json!({"success": true, "tasks_cleaned": 3}),
        json!({"success": false}),
        json!({"success": false, "error": "text"}),
    ] {
        let failure = read(document.clone()).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage, "{document}");
    }
}

#[test]
fn given_alerts_are_read_strictly() {
    let alerts = given(json!([
        {"type": "deploy", "message": "v2", "severity": "critical", "key": "api"},
        {"type": "note", "message": "m", "severity": "warning", "value": 3.5},
    ]))
    .unwrap();
    assert_eq!(
        (alerts[0].kind.as_str(), alerts[0].subject.as_deref(), alerts[0].severity),
        ("deploy", Some("api"), Severity::Critical)
    );
    assert_eq!(
        (alerts[1].subject.as_deref(), alerts[1].value.clone()),
        (None, Number::from_f64(3.5))
    );
    for (document, names) in [
        (json!({}), vec!["list"]),
        (json!([{"type": "a", "severity": "warning"}]), vec!["element 0", "\"message\""]),
        (json!([{"type": " ", "message": "m", "severity": "warning"}]), vec!["\"type\""]),
        (
            json!([{"type": "a", "message": "m", "severity": "fatal"}]),
            vec!["\"severity\"", "critical"],
        ),
        (json!([{"type": "a", "message": "m"}]), vec!["\"severity\""]),
        (json!([{"type": "a", "message": "m", "severity": "error"}, 7]), vec!["element 1"]),
        (
            json!([{"type": "a", "message": "m", "severity": "error", "key": 7}]),
            vec!["\"key\" of element 0"],
        ),
        (
            json!([{"type": "a", "message": "m", "severity": "error", "value": "7"}]),
            vec!["\"value\" of element 0"],
        ),
    ] {
        let failure = given(document.clone()).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        for name in names {
            assert!(failure.message.contains(name), "{document}: {failure:?}");
        }
    }
}

#[test]
fn the_success_of_a_job_resolves_its_failure() {
    let evaluation = Evaluation::job_succeeded("stats");
    assert!(judges(&evaluation, JOB_FAILED, Some("stats")));
    assert!(!judges(&evaluation, JOB_FAILED, Some("cleanup")));
    assert!(!judges(&evaluation, JOB_FAILED, None));
    assert!(!judges(&Evaluation::given(Vec::new()), "deploy", None));
    assert!(!judges(&Evaluation::test(Language::Zh), "test", None));
}

#[test]
fn durations_have_their_two_largest_units() {
    for (seconds, zh, en) in [
        (0.0, "0 秒", "0 s"),
        (59.0, "59 秒", "59 s"),
        (60.0, "1 分钟", "1 min"),
        (3_661.0, "1 小时 1 分钟", "1 h 1 min"),
        (90_000.0, "1 天 1 小时", "1 d 1 h"),
        (172_800.0, "2 天", "2 d"),
    ] {
        assert_eq!(duration(seconds, Language::Zh), zh);
        assert_eq!(duration(seconds, Language::En), en);
    }
}
