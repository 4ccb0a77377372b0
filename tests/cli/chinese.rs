//! `language = "zh"`: alerts, logs, pages and findings in Chinese. Everywhere else the tests compare English.

use crate::support::env::TestEnv;
use crate::support::rows::{DAY, Task, long_ago};
use crate::support::server::{Server, status};
use serde_json::{Value, json};

/// An environment in Chinese, and a receiver of its alerts; no disk is ever full.
fn chinese() -> (TestEnv, Server) {
    let (env, server) = (TestEnv::sqlite(), Server::plain(vec![status(200)]));
    let config = env.read("taskmon.toml").replace("\"en\"", "\"zh\"");
    let more = format!(
        "[disk]\nwarning_percent = 100\ncritical_percent = 100\n\
         [alerts]\nclear_after_minutes = 0\n\
         [[alerts.channels]]\ntype = 'webhook'\nurl = '{}'\nretries = 0\n",
        server.url("/hook")
    );
    env.write("taskmon.toml", &format!("{config}\n{more}"));
    (env, server)
}

/// A task that has waited for so long that its age is in days.
fn waiting() -> Task {
    Task::new(1).at(&long_ago()).status("PENDING")
}

#[test]
fn the_alerts_of_a_report_are_in_chinese() {
    let (env, _server) = chinese();
    let failed = (1..=3).map(|n| Task::new(n).failed("二维码识别失败"));
    env.insert(failed.chain((4..=8).map(Task::new)));
    let report = env.taskmon(["stats", "--date", DAY, "--no-save"]).success().json();
    let messages: Vec<&Value> =
        report["alerts"].as_array().unwrap().iter().map(|alert| &alert["message"]).collect();
    assert_eq!(messages, ["任务失败率过高: 37.5%", "错误集中在「二维码识别错误」: 100%（3/3）"]);
    let page = env.taskmon(["stats", "--date", DAY, "--no-save", "--output", "text"]).success();
    page.stdout_contains("告警\n  ! 任务失败率过高: 37.5%").stdout_contains("二维码识别错误");
    let arguments = ["stats", "--date", DAY, "--no-save", "--output", "nagios"];
    env.taskmon(arguments).exits(1).stdout_contains("共 8 个任务");
}

#[test]
fn a_firing_and_a_resolved_alert_are_in_chinese_on_each_receiver() {
    let (env, server) = chinese();
    env.insert([waiting()]);
    let firing = env.taskmon(["alert"]).success();
    firing.json();
    firing.stderr_contains("WARN ] 任务积压: 1 个任务等待处理，其中 1 个已等待超过 30 分钟");
    env.sql("DELETE FROM tasks");
    let resolved = env.taskmon(["alert"]).success();
    resolved.json();
    resolved.stderr_contains("INFO ] 已恢复: 任务积压: ");
    let messages: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.json()["alerts"][0]["message"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(messages.len(), 2);
    assert!(messages.iter().all(|message| message.starts_with("任务积压: ")), "{messages:?}");
    let log = env.read("logs/warning_alerts.log");
    assert!(log.contains(" - WARNING - 任务积压: ") && log.contains("已恢复: 任务积压: "), "{log}");
}

#[test]
fn the_page_of_alert_is_in_chinese() {
    let (env, _server) = chinese();
    env.insert([waiting()]);
    let page = || {
        let finished = env.taskmon(["alert", "--output", "text"]).success();
        finished.stderr();
        finished.stdout().to_owned()
    };
    let first = page();
    assert!(first.starts_with("1 条告警：已发送 1，已抑制 0\n"), "{first}");
    for part in ["警告      任务积压: ", "待处理          1  超时 1\n", "webhook       成功 (1)\n"]
    {
        assert!(first.contains(part), "{part} in {first}");
    }
    assert!(page().starts_with("1 条告警：已发送 0，已抑制 1\n"));
    env.sql("DELETE FROM tasks");
    assert!(page().starts_with("没有告警\n  已恢复 1 条\n"));
    env.taskmon(["alert", "--dry-run", "--test", "--output", "text"])
        .success()
        .stdout_contains("测试告警（试运行，未发送）");
}

#[test]
fn the_failure_of_a_job_and_of_a_rule_are_in_chinese() {
    let (env, server) = chinese();
    let failed = env.taskmon(["alert", "--alert", "--database-url", "sqlite:gone.db"]).exits(3);
    failed.json();
    failed.stderr();
    let message = server.only().json()["alerts"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("作业 alert 运行失败: "), "{message}");
    let result = json!({"success": true, "task_statistics": {"total_tasks": 5, "failure_rate": "many"},
        "error_statistics": {"error_categories": {}}});
    let misfit = env.taskmon(["alert", "--report", "-"]).input(result.to_string()).success();
    misfit.json();
    misfit.stderr_contains("告警规则 failure_rate 无法评估: task_statistics.failure_rate 不是数字");
}

#[test]
fn the_findings_of_check_are_in_chinese() {
    let (env, _server) = chinese();
    let result = env.taskmon(["check"]).run();
    let checks = result.json()["checks"].to_string();
    for part in ["没有配置消息队列", "还没有运行记录", "本机时间 "] {
        assert!(checks.contains(part), "{part} in {checks}");
    }
}
