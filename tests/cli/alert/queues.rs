//! Figures by queue and by name in the live state, and rules about a queue or a name.

use super::*;
use crate::on_each_database;
use crate::support::server::status;

/// The queue and the name are in columns that the preset does not map.
const COLUMNS: &str = "[database.tasks]\nqueue = 'courier_company'\nname = 'remarks'";

const MAIL: &str = "[[alerts.rules]]\nname = 'mail_waits'\non = 'live'\nqueue = 'mail'\nmetric = 'oldest_seconds'\nop = '>'\nvalue = 600\n";

fn in_queue(task: Task, queue: &str) -> Task {
    task.with("courier_company", queue).with("remarks", "send")
}

/// The messages of the alerts that rules could not be evaluated.
fn check_errors(result: &Value) -> Vec<&str> {
    let alerts = result["alerts"].as_array().unwrap().iter();
    let errors = alerts.filter(|alert| alert["type"] == "alert_check_error");
    errors.map(|alert| alert["message"].as_str().unwrap()).collect()
}

on_each_database! {
    fn the_live_state_has_open_tasks_by_queue_and_by_name(env) {
        configure_with(&env, COLUMNS, "");
        env.insert([
            in_queue(pending(1, minutes(20)), "mail"),
            in_queue(pending(2, minutes(40)), "mail"),
            in_queue(processing(3, minutes(3)), "post"),
        ]);
        let result = good_result(alert(&env, 0, &["--dry-run"]));
        let live = &result["live"];
        let oldest = live["queues"][0]["oldest_seconds"].as_u64().unwrap();
        assert!((2400..2460).contains(&oldest), "{live}");
        assert_eq!(
            live["queues"],
            json!([
                {"name": "mail", "pending": 2, "processing": 0, "scheduled": null, "older_than_limit": 1, "oldest_seconds": oldest},
                {"name": "post", "pending": 0, "processing": 1, "scheduled": null, "older_than_limit": 0, "oldest_seconds": null},
            ])
        );
        assert_eq!(live["names"][0]["name"], "send");
        assert_eq!((&live["names"][0]["pending"], &live["names"][0]["processing"]), (&json!(2), &json!(1)));
        assert_eq!(live["other"], json!({"queues": null, "names": null}));
        assert_eq!(live["unavailable"], json!(["backlog.scheduled_tasks", "queues.scheduled", "names.scheduled", "jobs.missed"]));
        let page = alert(&env, 0, &["--dry-run", "--output", "text"]);
        let page = page.stdout();
        assert!(page.contains("By queue\n  name  waiting  too long  oldest"), "{page}");
        assert!(page.lines().any(|line| line.starts_with("  mail  2        1         24")), "{page}");
    }

    fn a_rule_about_a_queue_fires_and_is_resolved_when_nothing_waits_there(env) {
        let server = Server::plain(vec![status(200)]);
        configure_with(&env, COLUMNS, &format!("{}{MAIL}", webhook(&server)));
        // What waits in another queue does not matter, and a queue without a task is no error.
        env.insert([in_queue(pending(1, minutes(20)), "post")]);
        assert_eq!(kinds(&alerted(&env)), [""; 0]);
        env.insert([in_queue(pending(2, minutes(11)), "mail")]);
        let alert = alerted(&env)["alerts"][0].clone();
        assert_eq!((&alert["type"], &alert["subject"]), (&json!("mail_waits"), &json!("mail")));
        let seconds = &alert["value"];
        assert_eq!(alert["message"], format!("oldest_seconds of the queue mail is {seconds} (> 600)"));
        // One is in work there, so that the queue is still listed, without an age.
        replace(&env, [in_queue(processing(3, minutes(11)), "mail")]);
        assert_eq!(counts(&alerted(&env)), [0, 0, 1]);
        assert_eq!(notified(&server), [["mail_waits"], ["-mail_waits"]]);
        env.insert([in_queue(pending(4, minutes(11)), "mail")]);
        assert_eq!(kinds(&alerted(&env)), ["mail_waits"]);
        // The queue is not listed at all.
        env.sql("DELETE FROM tasks");
        assert_eq!(counts(&alerted(&env)), [0, 0, 1]);
    }

    fn a_queue_that_a_rule_names_is_listed_however_many_are_larger(env) {
        configure_with(&env, COLUMNS, MAIL);
        let others = (0..60).flat_map(|n| [(n, 1 + 2 * n), (n, 2 + 2 * n)]);
        env.insert(others.map(|(queue, n)| in_queue(pending(n, minutes(1)), &format!("q{queue:02}"))));
        env.insert([in_queue(pending(500, minutes(11)), "mail")]);
        let result = good_result(alert(&env, 0, &["--dry-run"]));
        assert_eq!(kinds(&result), ["mail_waits"]);
        assert_eq!(result["live"]["queues"].as_array().unwrap().len(), 50);
        assert_eq!(result["live"]["other"]["queues"]["pending"], 11 * 2);
    }

    fn a_rule_about_a_name_looks_at_the_tasks_of_that_name(env) {
        let rule = "[[alerts.rules]]\nname = 'many'\non = 'live'\ntask = 'send'\nmetric = 'pending'\nop = '>='\nvalue = 2\nmessage = '{task}: {value} of {threshold}'";
        configure_with(&env, COLUMNS, rule);
        env.insert([in_queue(pending(1, minutes(1)), "mail"), in_queue(pending(2, minutes(1)), "post")]);
        let result = good_result(alert(&env, 0, &["--dry-run"]));
        let alert = &result["alerts"][0];
        assert_eq!((&alert["subject"], &alert["message"]), (&json!("send"), &json!("send: 2 of 2")));
    }

    fn a_rule_about_a_queue_looks_at_the_day_as_well(env) {
        let rule = |metric: &str| format!("[[alerts.rules]]\nname = 'slow'\non = 'stats'\nqueue = 'mail'\nmetric = '{metric}'\nop = '>'\nvalue = 30\n");
        let time = format!("{} 10:00:00", yesterday());
        env.insert([
            in_queue(Task::new(1).at(&time).with("processing_time", 40), "mail"),
            in_queue(Task::new(2).at(&time).with("processing_time", 900), "post"),
        ]);
        configure_with(&env, COLUMNS, &rule("processing_time_percentiles.p95"));
        let alerts = env.taskmon(["-q", "-q", "stats", "--no-alert"]).success().json()["alerts"].clone();
        assert_eq!(
            alerts,
            json!([{"type": "slow", "severity": "warning", "subject": "mail", "value": 40.0, "threshold": 30,
                "message": "processing_time_percentiles.p95 of the queue mail is 40 (> 30)"}])
        );
        configure_with(&env, COLUMNS, &rule("processing_time_percentile.p95"));
        let result = env.taskmon(["-q", "-q", "stats", "--no-alert"]).success().json();
        assert_eq!(
            check_errors(&result),
            ["The rule slow cannot be evaluated: queues[mail].processing_time_percentile.p95 does not exist"]
        );
    }

    fn a_rule_that_cannot_be_evaluated_says_why(env) {
        // The key is looked at even where the queue has no task.
        configure_with(&env, COLUMNS, &MAIL.replace("oldest_seconds", "oldest"));
        let result = good_result(alert(&env, 0, &["--dry-run"]));
        assert_eq!(check_errors(&result), ["The rule mail_waits cannot be evaluated: queues[mail].oldest does not exist"]);
        configure(&env, MAIL);
        let result = good_result(alert(&env, 0, &["--dry-run"]));
        assert_eq!(
            check_errors(&result),
            ["The rule mail_waits cannot be evaluated: queues is not known: the table has no column for it"]
        );
    }

    fn the_age_of_an_empty_backlog_resolves_a_rule_about_it(env) {
        let rule = "[[alerts.rules]]\nname = 'old'\non = 'live'\nmetric = 'backlog.oldest_seconds'\nop = '>'\nvalue = 60\n";
        configure(&env, rule);
        env.insert([pending(1, minutes(2))]);
        assert_eq!(kinds(&alerted(&env)), ["old"]);
        env.sql("DELETE FROM tasks");
        assert_eq!(counts(&alerted(&env)), [0, 0, 1]);
    }
}

#[test]
fn a_target_that_no_result_has_is_refused_when_the_configuration_is_read() {
    let env = TestEnv::new();
    for (more, key, why) in [
        ("task = 'send'", "alerts.rules[1].task", "beside `queue`"),
        ("on = 'disk'", "alerts.rules[1].queue", "on = \"disk\""),
    ] {
        let rule = MAIL.replace("on = 'live'", "").replace("metric", &format!("{more}\nmetric"));
        let rule = if more.starts_with("on") { rule } else { format!("{rule}on = 'live'\n") };
        env.write("taskmon.toml", &rule);
        let refused = env.taskmon(["-q", "-q", "config"]).exits(2);
        for part in [key, why] {
            assert!(refused.stdout().contains(&part.replace('"', "\\\"")), "{}", refused.stdout());
        }
    }
    let rules = (0..50).map(|n| MAIL.replace("mail", &format!("q{n}")));
    env.write("taskmon.toml", &rules.collect::<String>());
    let refused = env.taskmon(["-q", "-q", "config"]).exits(2);
    assert!(refused.stdout().contains("more than 49 queues"), "{}", refused.stdout());
}
