//! Given alerts: `--report`, `--send`, `--test`, and the dry run of each.

use super::*;
use crate::on_each_database;
use crate::support::server::{Answer, dead_port, ok, status};

/// The environment, and a webhook that takes everything.
fn with_webhook() -> (TestEnv, Server) {
    let (env, server) = (TestEnv::new(), Server::plain(vec![status(200)]));
    configure(&env, &webhook(&server));
    (env, server)
}

on_each_database! {
    fn the_results_of_stats_and_disk_can_be_alerted_on_later(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert(of_yesterday(20, 6));
        let days = env.taskmon(["stats", "--days", "2", "--no-alert"]).success();
        let day = env.taskmon(["stats", "--no-alert"]).success();
        let fields = ["--warning", "0", "--critical", "100"];
        let disk = fields.iter().fold(env.taskmon(["disk", "/", "--no-alert"]), |run, word| run.arg(*word)).success();
        let failed = env.taskmon(["stats", "--no-alert"]).env("TASKMON_DATABASE_URL", "sqlite:gone.db").exits(3);
        failed.failure("database_unavailable", &[]);
        env.write("disk.json", disk.stdout());

        let report = |file: &str, text: &str| env.taskmon(["alert", "--report", file]).input(text).exits(0);
        let finished = report("-", day.stdout());
        finished.stderr_contains("Task failure rate is high: 30%");
        let result = finished.json();
        // Just as the job itself would have raised it.
        assert_eq!(result["alerts"], day.json()["alerts"]);
        assert_eq!(counts(&result), [1, 0, 0]);
        assert_eq!(result["channels"], json!([{"channel": "webhook", "sent": 1, "error": null}]));
        assert!(result.get("live").is_none(), "{result}");
        // The newest of an array is the same day.
        assert_eq!(counts(&good_result(report("-", days.stdout()))), [0, 1, 0]);
        assert_eq!(kinds(&good_result(report("disk.json", ""))), ["disk_space_warning"]);
        assert_eq!(kinds(&good_result(report("-", failed.stdout()))), ["job_failed"]);
        assert_eq!(notified(&server), [["high_failure_rate"], ["disk_space_warning"], ["job_failed"]]);
        let record = records(&env).pop().unwrap();
        assert_eq!((&record["type"], &record["origin"]), (&json!("job_failed"), &json!("job")));

        // A result without alerts resolves the firing ones.
        replace(&env, of_yesterday(20, 0));
        let good = env.taskmon(["stats", "--no-alert"]).success();
        assert_eq!(counts(&good_result(report("-", good.stdout()))), [0, 0, 1]);
        assert_eq!(notified(&server)[3], ["-high_failure_rate"]);
    }
}

#[test]
fn an_invalid_result_is_refused_with_its_reason() {
    let (env, server) = with_webhook();
    env.write("letter.txt", "dear diary");
    for (file, text, names) in [
        ("missing.json", "", vec!["--report", "missing.json"]),
        ("home", "", vec!["--report", "home"]),
        ("letter.txt", "", vec!["letter.txt", "no JSON"]),
        ("-", "\n", vec!["--report - is empty"]),
        ("-", "{\"success\": true", vec!["no JSON"]),
        ("-", "17", vec!["not a JSON object"]),
        ("-", "{\"success\": true}", vec!["keys of neither"]),
        ("-", "[]", vec!["the list is empty"]),
        ("-", "[{\"date\": \"today\"}]", vec!["element 0"]),
        ("-", "{\"success\": false}", vec!["error.message is missing"]),
        // What cleanup and alert print are no results to raise alerts from.
        ("-", "{\"success\": true, \"tasks_cleaned\": 1}", vec!["stats or disk"]),
    ] {
        let finished = env.taskmon(["alert", "--report", file]).input(text).exits(2);
        finished.failure("usage", &names);
    }
    assert_eq!(notified(&server), [[""; 0]; 0]);
}

#[test]
fn a_result_that_a_rule_cannot_read_is_an_alert_of_its_own() {
    let (env, server) = with_webhook();
    let finished = env
        .taskmon(["alert", "--report", "-"])
        .input(r#"{"success": true, "task_statistics": {"total_tasks": 5, "failure_rate": "many"}, "error_statistics": {"error_categories": {}}}"#)
        .success();
    let result = finished.json();
    assert_eq!(
        result["alerts"],
        json!([{"type": "alert_check_error", "severity": "error", "subject": "failure_rate",
            "message": "The rule failure_rate cannot be evaluated: task_statistics.failure_rate is not a number"}])
    );
    finished.stderr_contains("ERROR] The rule failure_rate cannot be evaluated");
    assert_eq!(notified(&server), [["alert_check_error"]]);
}

#[test]
fn given_alerts_are_sent_as_they_are_and_worse_ones_at_once() {
    let (env, server) = with_webhook();
    let send =
        |alerts: Value| good_result(env.taskmon(["alert", "--send", &alerts.to_string()]).exits(0));
    let deploy = |severity: &str, key: &str| json!([{"type": "deploy", "message": "v1.2 is out", "severity": severity, "key": key}]);
    assert_eq!(counts(&send(deploy("warning", "a"))), [1, 0, 0]);
    assert_eq!(counts(&send(deploy("warning", "a"))), [0, 1, 0]);
    // Another key is another alert; the message and the value are not what it is.
    assert_eq!(counts(&send(deploy("warning", "b"))), [1, 0, 0]);
    assert_eq!(
        counts(&send(
            json!([{"type": "deploy", "key": "a", "message": "other", "severity": "warning", "value": 2}])
        )),
        [0, 1, 0]
    );
    assert_eq!(counts(&send(deploy("error", "a"))), [1, 0, 0]);
    assert_eq!(counts(&send(deploy("critical", "a"))), [1, 0, 0]);
    assert_eq!(counts(&send(deploy("warning", "a"))), [0, 1, 0]);
    assert_eq!(notified(&server), [["deploy"], ["deploy"], ["deploy"], ["deploy"]]);
    let severities: Vec<Value> = server
        .requests()
        .iter()
        .map(|request| request.json()["alerts"][0]["severity"].clone())
        .collect();
    assert_eq!(severities, ["warning", "warning", "error", "critical"]);
    assert_eq!(server.requests()[0].json()["alerts"][0]["subject"], "a");
    // Alerts that were sent by hand are never resolved, and nothing else is looked at.
    assert_eq!(counts(&send(json!([]))), [0, 0, 0]);
    assert_eq!(notified(&server).len(), 4);
}

#[test]
fn given_alerts_come_from_the_argument_a_file_or_standard_input() {
    let (env, server) = with_webhook();
    let one = |kind: &str| json!([{"type": kind, "message": "m", "severity": "error"}]).to_string();
    env.write("alerts.json", &one("b"));
    good_result(env.taskmon(["alert", "--send", &one("a")]).exits(0));
    good_result(env.taskmon(["alert", "--send", "@alerts.json"]).exits(0));
    good_result(env.taskmon(["alert", "--send", "-"]).input(one("c")).exits(0));
    assert_eq!(notified(&server), [["a"], ["b"], ["c"]]);
}

#[test]
fn a_text_is_an_alert_of_its_own() {
    let (env, server) = with_webhook();
    env.write("text", "from a file\nin two lines\n");
    let send = |arguments: &[&str], input: &str| {
        let words: Vec<&str> = ["alert"].into_iter().chain(arguments.iter().copied()).collect();
        good_result(env.taskmon(words).input(input).exits(0))
    };
    for (arguments, input, message, severity) in [
        (&["--send", "deploy done"][..], "", "deploy done", "warning"),
        (&["--send", "部署: 17 台"], "", "部署: 17 台", "warning"),
        (&["--send", "-"], "from standard input\n", "from standard input", "warning"),
        (&["--send", "@text", "--severity", "error"], "", "from a file\nin two lines", "error"),
        (&["-m", "[no list"], "", "[no list", "warning"),
        (&["--message", "42", "--severity", "critical"], "", "42", "critical"),
    ] {
        let before = server.requests().len();
        assert_eq!(counts(&send(arguments, input)), [1, 0, 0], "{arguments:?}");
        let sent = server.requests()[before].json()["alerts"][0].clone();
        assert_eq!(
            (&sent["type"], &sent["message"], &sent["severity"]),
            (&json!("message"), &json!(message), &json!(severity)),
            "{arguments:?}"
        );
    }
    // The same text again is the same alert; another one is another.
    assert_eq!(counts(&send(&["-m", "deploy done"], "")), [0, 1, 0]);
    assert_eq!(counts(&send(&["-m", "deploy done", "--severity", "error"], "")), [1, 0, 0]);
    // No record of a run says what the text was.
    let runs = env.read("logs/taskmon_runs.jsonl");
    assert!(
        runs.contains("\"-m\"") && !runs.contains("deploy") && !runs.contains("no list"),
        "{runs}"
    );
}

/// Nothing is wrong: only who wants to know of it is notified, and no standard error looks like trouble.
#[test]
fn an_info_goes_to_its_log_and_to_channels_that_want_it() {
    let env = TestEnv::new();
    let (calm, curious) = (Server::plain(vec![status(200)]), Server::plain(vec![status(200)]));
    configure(&env, &format!("{}{}min_severity = \"info\"\n", webhook(&calm), webhook(&curious)));
    let finished = env.taskmon(["alert", "-m", "backup done", "--severity", "info"]).exits(0);
    finished.stderr_contains("INFO ] backup done");
    let result = finished.json();
    assert_eq!(
        (&result["alerts"][0]["severity"], &result["success"]),
        (&json!("info"), &json!(true))
    );
    assert_eq!(curious.only().json()["alerts"][0]["severity"], "info");
    assert_eq!(calm.requests().len(), 0);
    assert!(env.read("logs/info_alerts.log").ends_with(" - INFO - backup done\n"));
    assert!(!env.path("logs/warning_alerts.log").exists());
    let nagios = env
        .taskmon([
            "alert",
            "-m",
            "more",
            "--severity",
            "info",
            "--output",
            "nagios",
            "--fail-on",
            "warning",
        ])
        .exits(0);
    nagios.stderr();
    nagios.stdout_contains("OK");
}

#[test]
fn a_message_names_the_system_by_the_configuration_or_its_database() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    let template = "body = '{\"title\": \"{title}\", \"name\": \"{name}\"}'\n";
    configure(&env, &format!("{}{}{template}", webhook(&server), webhook(&server)));
    let text = env.read("taskmon.toml");
    let send = |message: &str| {
        let before = server.requests().len();
        let finished = env.taskmon(["alert", "-m", message]).exits(0);
        finished.stderr();
        finished.json();
        server.requests().split_off(before)
    };
    for (top, name) in [("", "tasks"), ("name = \"商店 A\"\n", "商店 A")] {
        env.write("taskmon.toml", &format!("{top}{text}"));
        let mut requests = send(name);
        requests.sort_by_key(|request| request.body.contains("schema_version"));
        assert_eq!(requests[0].json()["name"], name);
        let title = requests[0].json()["title"].to_string();
        assert!(title.contains(&format!("] {name} (")), "{title}");
        assert_eq!(requests[1].json()["name"], name);
    }
    assert_eq!(env.taskmon(["config"]).success().json()["name"], "商店 A");
    env.write("taskmon.toml", &format!("name = \" \"\n{text}"));
    env.taskmon(["config"]).exits(2).failure("config_invalid", &["`name`", "line 1"]);
}

#[test]
fn a_severity_goes_with_a_text_alone() {
    let (env, server) = with_webhook();
    let list = r#"[{"type": "t", "message": "m", "severity": "warning"}]"#;
    for arguments in [&["--severity", "error"][..], &["--send", list, "--severity", "error"]] {
        let words: Vec<&str> = ["alert"].into_iter().chain(arguments.iter().copied()).collect();
        env.taskmon(words).exits(2).failure("usage", &["--severity"]);
    }
    env.taskmon(["alert", "-m", "  "]).exits(2).failure("usage", &["--message is empty"]);
    assert_eq!(notified(&server), [[""; 0]; 0]);
}

#[test]
fn an_invalid_list_of_alerts_is_refused_and_nothing_of_it_is_sent() {
    let (env, server) = with_webhook();
    let good = r#"{"type": "t", "message": "m", "severity": "warning"}"#;
    let rest = |element: &str| format!("[{good}, {element}]");
    for (given, names) in [
        // Whoever begins a list or an object means one.
        ("[deploy done".to_owned(), vec!["--send", "no JSON"]),
        (" {\"type\": \"t\"".to_owned(), vec!["--send", "no JSON"]),
        ("17".to_owned(), vec!["--send", "not a JSON list"]),
        (" ".to_owned(), vec!["--send is empty"]),
        ("@missing.json".to_owned(), vec!["--send", "missing.json"]),
        (good.to_owned(), vec!["not a JSON list"]),
        (rest("17"), vec!["element 1", "not an object"]),
        (rest(r#"{"type": "t", "severity": "warning"}"#), vec!["element 1", "message"]),
        (rest(r#"{"type": "", "message": "m", "severity": "warning"}"#), vec!["element 1", "type"]),
        (
            rest(r#"{"type": "t", "message": "m", "severity": "bad"}"#),
            vec!["element 1", "severity"],
        ),
        (
            rest(r#"{"type": "t", "message": "m", "severity": "error", "value": "1"}"#),
            vec!["value", "element 1"],
        ),
        (
            rest(r#"{"type": "t", "message": "m", "severity": "error", "key": 1}"#),
            vec!["key", "element 1"],
        ),
    ] {
        env.taskmon(["alert", "--send", &given]).exits(2).failure("usage", &names);
    }
    assert_eq!(notified(&server), [[""; 0]; 0]);
    assert_eq!(logged(&env).len(), 0);
}

#[test]
fn a_test_goes_to_every_channel_and_reports_each_result() {
    let env = TestEnv::new();
    let (good, bad) = (
        Server::plain(vec![status(200)]),
        Server::plain(vec![ok(r#"{"errcode": 310000, "errmsg": "sign not match"}"#)]),
    );
    let channels = format!(
        "{}min_severity = \"critical\"\n{}[[alerts.channels]]\ntype = \"dingtalk\"\nurl = \"{}\"\nretries = 0\n\
         [[alerts.channels]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{}/hook\"\nretries = 0\n\
         [[alerts.channels]]\ntype = \"slack\"\nurl_env = \"NO_SUCH_VARIABLE\"\n",
        webhook(&good),
        storing_program(&env, "stored"),
        bad.url("/robot/send?access_token=0a1b2c3d4e5f"),
        dead_port()
    );
    configure(&env, &channels);
    let finished = alert(&env, 1, &["--test"]);
    let result = finished.json();
    // A test reaches the channels whatever their min_severity; those that failed have a reason.
    let errors: Vec<(&Value, String)> = result["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| (&channel["channel"], channel["error"].to_string()))
        .collect();
    let expected = [
        ("webhook", "null"),
        ("command", "null"),
        ("dingtalk", "310000"),
        ("webhook 2", "refused"),
        ("slack", "NO_SUCH_VARIABLE"),
    ];
    assert_eq!(errors.len(), expected.len());
    for ((name, error), (expected_name, why)) in errors.iter().zip(expected) {
        assert_eq!(*name, expected_name);
        assert!(error.contains(why), "{name}: {error}");
        finished.stderr_contains(match why {
            "null" => "This is a test alert",
            why => why,
        });
    }
    assert_eq!(result["errors"].as_array().unwrap().len(), 3);
    assert_eq!(signed_types(&good.only().json()), ["test"]);
    let stored: Value = serde_json::from_str(env.read("stored").trim()).unwrap();
    assert_eq!(signed_types(&stored), ["test"]);

    // A line for each channel, though it was tested a moment ago.
    let page = alert(&env, 1, &["--test", "--output", "text"]);
    page.stderr();
    let lines: Vec<&str> = page.stdout().lines().map(str::trim).collect();
    for (name, state) in [
        ("webhook ", "ok (1)"),
        ("command ", "ok (1)"),
        ("dingtalk ", "failed: "),
        ("webhook 2 ", "failed: "),
        ("slack ", "failed: "),
    ] {
        let found: Vec<&&str> =
            lines.iter().filter(|line| line.starts_with(name) && line.contains(state)).collect();
        assert_eq!(found.len(), 1, "{name}\n{}", page.stdout());
    }
    assert_eq!(good.requests().len(), 2);
}

#[test]
fn a_test_without_channels_reports_that_there_are_none() {
    let env = TestEnv::new();
    for (language, words) in [("zh", "没有配置任何渠道"), ("en", "no channel is configured")]
    {
        env.write("taskmon.toml", &format!("language = \"{language}\"\n"));
        let page = alert(&env, 0, &["--test", "--output", "text"]);
        page.stderr();
        page.stdout_contains(words);
        // Nor does the list of channels suggest that one was reached.
        let result = good_result(alert(&env, 0, &["--test"]));
        assert_eq!(result["channels"], json!([]));
        assert_eq!(result["alerts_sent"], 1, "the logs count");
    }
}

#[test]
fn a_test_is_not_remembered() {
    let (env, server) = with_webhook();
    for run in 1..=2 {
        assert_eq!(counts(&good_result(alert(&env, 0, &["--test"]))), [1, 0, 0]);
        assert_eq!(server.requests().len(), run);
    }
    env.taskmon(["disk"]).success().json();
    assert_eq!(server.requests().len(), 2, "nothing is resolved");
}

#[test]
fn only_one_thing_is_asked_for_at_a_time() {
    let (env, server) = with_webhook();
    for arguments in [
        ["--test", "--send=[]"],
        ["--test", "--report=-"],
        ["--send=[]", "--report=-"],
        ["--send=[]", "-mtext"],
    ] {
        alert(&env, 2, &arguments).stderr_contains("cannot be used with");
    }
    assert_eq!(notified(&server), [[""; 0]; 0]);
}

#[test]
fn a_dry_run_delivers_and_writes_nothing_and_shows_what_would_be_sent() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![Answer::Hangup]);
    configure(&env, &format!("{}{}", webhook(&server), storing_program(&env, "stored")));
    env.insert([processing(1, minutes(90))]);
    env.write("day.json", r#"{"success": true, "task_statistics": {"failure_rate": 60, "total_tasks": 9}, "error_statistics": {"error_categories": {}}}"#);
    let sent = r#"[{"type": "t", "message": "m", "severity": "error"}]"#;
    let before = snapshot(&env);
    for (arguments, kind) in [
        (vec![], "stuck_tasks"),
        (vec!["--report", "day.json"], "critical_failure_rate"),
        (vec!["--send", sent], "t"),
        (vec!["--test"], "test"),
    ] {
        let words: Vec<&str> = ["--dry-run"].into_iter().chain(arguments).collect();
        let result = alert(&env, 0, &words).json();
        assert_eq!(kinds(&result), [kind]);
        assert_eq!(result["dry_run"], true);
        assert_eq!(counts(&result), [0, 0, 0], "nothing was sent, and nothing was held back");
        let decision = &result["decisions"][0]["channels"];
        assert_eq!(decision, &json!({"command": "first", "log": "first", "webhook": "first"}));
        let page = words.iter().copied().chain(["--output", "text"]).collect::<Vec<&str>>();
        alert(&env, 0, &page).stdout_contains("(dry run)");
    }
    // A run leaves its record, a dry run too, and nothing else.
    let logs: Vec<_> = std::fs::read_dir(env.path("logs")).unwrap().collect();
    assert_eq!(logs.len(), 1, "{}", env.tree());
    assert_eq!(env.read("logs/taskmon_runs.jsonl").lines().count(), 8);
    std::fs::remove_dir_all(env.path("logs")).unwrap();
    assert_eq!(snapshot(&env), before);
    assert_eq!(server.requests().len(), 0);

    // What the records say already, a dry run knows.
    let finished = alert(&env, 1, &[]);
    finished.stderr();
    assert_eq!(finished.json()["errors"][0]["kind"], "channel_failed");
    let result = alert(&env, 0, &["--dry-run"]).json();
    assert_eq!(
        result["decisions"][0]["channels"],
        json!({"command": "suppressed", "log": "suppressed", "webhook": "offered_again"})
    );
}
