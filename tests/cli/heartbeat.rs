//! `[heartbeat]` against a real server.

use crate::support::env::{TestEnv, lock_tasks};
use crate::support::rows::{Task, long_ago};
use crate::support::server::{Answer, Request, Server, dead_port, ok, proxy, status};
use std::time::Duration;

/// A configuration that pings `url` for every job.
fn beating(env: &TestEnv, url: &str) {
    let config = env.read("taskmon.toml");
    let urls: String =
        ["cleanup", "stats", "disk", "alert"].map(|job| format!("{job} = \"{url}\"\n")).concat();
    env.write("taskmon.toml", &format!("{config}\n[heartbeat]\n{urls}"));
}

fn pings(server: &Server) -> Vec<String> {
    server.requests().into_iter().map(|request| request.target).collect()
}

#[test]
fn every_job_pings_its_start_and_its_success() {
    for job in ["cleanup", "stats", "disk", "alert"] {
        let env = TestEnv::sqlite();
        let server = Server::plain(vec![ok("OK")]);
        beating(&env, &server.url("/ping/0b1c2d3e?source=taskmon"));
        let finished = env.taskmon([job]).success();
        finished.json();
        finished.stderr();
        assert_eq!(
            pings(&server),
            ["/ping/0b1c2d3e/start?source=taskmon", "/ping/0b1c2d3e?source=taskmon"],
            "{job}"
        );
        for request in server.requests() {
            assert_eq!(request.method, "POST");
            assert_eq!(request.header("content-type"), Some("text/plain; charset=utf-8"));
        }
    }
}

/// What a server got of a run, a line for each request; how long it took is left out.
fn lines(server: &Server) -> Vec<String> {
    let line = |request: Request| {
        let target = match request.target.split_once("ping=") {
            Some((before, milliseconds)) => {
                assert!(milliseconds.parse::<u32>().is_ok(), "{}", request.target);
                format!("{before}ping=…")
            }
            None => request.target,
        };
        let body = if request.body.is_empty() { "" } else { " and the log" };
        format!("{} {target}{body}", request.method)
    };
    server.requests().into_iter().map(line).collect()
}

/// In the words of each service, and without a warning: it is sent nothing that it does not know.
#[test]
fn each_service_is_pinged_as_its_documentation_says() {
    let style = |name: &str| format!("style = \"{name}\"\n");
    for (style, url, success, failure) in [
        (
            style("healthchecks"),
            "/ping/s3cret",
            vec!["POST /ping/s3cret/start", "POST /ping/s3cret and the log"],
            vec!["POST /ping/s3cret/start", "POST /ping/s3cret/3 and the log"],
        ),
        // Found by its path; what the page of the monitor has copied into the URL gives way.
        (
            String::new(),
            "/api/push/s3cret?status=up&msg=OK&ping=",
            vec!["GET /api/push/s3cret?status=up&msg=OK&ping=…"],
            vec!["GET /api/push/s3cret?status=down&msg=exit%20code%203&ping=…"],
        ),
        (
            style("uptime_kuma"),
            "/kuma/s3cret?k=v",
            vec!["GET /kuma/s3cret?k=v&status=up&msg=OK&ping=…"],
            vec!["GET /kuma/s3cret?k=v&status=down&msg=exit%20code%203&ping=…"],
        ),
        (
            style("cronitor"),
            "/p/s3cret/disk?env=staging&state=run",
            vec![
                "GET /p/s3cret/disk?env=staging&state=run",
                "GET /p/s3cret/disk?env=staging&state=complete",
            ],
            vec![
                "GET /p/s3cret/disk?env=staging&state=run",
                "GET /p/s3cret/disk?env=staging&state=fail&status_code=3",
            ],
        ),
        (
            style("better_stack"),
            "/api/v1/heartbeat/s3cret",
            vec!["POST /api/v1/heartbeat/s3cret and the log"],
            vec!["POST /api/v1/heartbeat/s3cret/fail and the log"],
        ),
        (
            style("sentry"),
            "/api/0/cron/disk/s3cret/?environment=dev",
            vec![
                "GET /api/0/cron/disk/s3cret/?environment=dev&status=in_progress",
                "GET /api/0/cron/disk/s3cret/?environment=dev&status=ok",
            ],
            vec![
                "GET /api/0/cron/disk/s3cret/?environment=dev&status=in_progress",
                "GET /api/0/cron/disk/s3cret/?environment=dev&status=error",
            ],
        ),
        (style("plain"), "/s3cret?a=b", vec!["GET /s3cret?a=b"], vec![]),
    ] {
        let env = TestEnv::sqlite();
        let (good, bad) = (Server::plain(vec![ok("OK")]), Server::plain(vec![ok("OK")]));
        let config = env.read("taskmon.toml");
        let (good_url, bad_url) = (good.url(url), bad.url(url));
        env.write(
            "taskmon.toml",
            &format!(
                "{config}\n[heartbeat]\n{style}disk = \"{good_url}\"\nstats = \"{bad_url}\"\n"
            ),
        );
        env.taskmon(["disk", "--alert", "--warning", "100", "--critical", "100"]).success().json();
        assert_eq!(lines(&good), success, "{style}{url}");
        let failed = env.taskmon(["stats", "--alert", "--database-url", "sqlite:gone.db"]).exits(3);
        failed.json();
        assert!(!failed.stderr().contains("heartbeat"), "{}", failed.stderr());
        assert_eq!(lines(&bad), failure, "{style}{url}");
    }
}

#[test]
fn an_unknown_style_is_refused_by_its_name() {
    let env = TestEnv::new();
    env.write("taskmon.toml", "[heartbeat]\nstyle = \"healthcheck\"\n");
    let finished = env.taskmon(["disk"]).exits(2);
    finished.failure(
        "config_invalid",
        &["line 2", "`heartbeat.style`", "\"healthcheck\"", "\"uptime_kuma\"", "\"plain\""],
    );
}

#[test]
fn a_failure_pings_its_exit_code_and_the_end_of_the_log() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![ok("OK")]);
    beating(&env, &server.url("/ping/0b1c2d3e/"));
    let finished = env.taskmon(["stats", "--alert", "--database-url", "sqlite:gone.db"]).exits(3);
    finished.json();
    let last = server.requests().pop().unwrap();
    assert_eq!(pings(&server), ["/ping/0b1c2d3e/start", "/ping/0b1c2d3e/3"]);
    assert!(last.body.contains("gone.db") && last.body.contains("ERROR"), "{}", last.body);
    // Each line that standard error has, and what was done besides; with its time in the configured zone.
    for line in finished.stderr().lines() {
        let (_, said) = line.split_once("] ").unwrap();
        assert!(last.body.contains(said), "{said} in {}", last.body);
    }
    assert!(
        last.body.contains("stats ended after") && last.body.contains("with exit code 3"),
        "{}",
        last.body
    );
    assert!(last.body.lines().all(|line| &line[19..25] == "+08:00"), "{}", last.body);
}

#[test]
fn a_wrong_configuration_is_a_failure_too() {
    let env = TestEnv::new();
    let server = Server::plain(vec![ok("OK")]);
    env.config("");
    beating(&env, &server.url("/x1y2z3w4"));
    let finished = env.taskmon(["cleanup"]).exits(2);
    finished.failure("database_not_configured", &[]);
    assert_eq!(pings(&server).last().unwrap(), "/x1y2z3w4/2");
}

/// With 1 the work is done as far as possible, and with 4 the alert's channels notify.
#[test]
fn runs_with_errors_or_alerts_ping_success() {
    let env = TestEnv::new();
    let server = Server::plain(vec![ok("OK")]);
    env.config("");
    beating(&env, &server.url("/x1y2z3w4"));
    let partly = env
        .taskmon(["disk", "/", "/missing", "--alert", "--warning", "100", "--critical", "100"])
        .exits(1);
    partly.json();
    partly.stderr();
    let full = env
        .taskmon(["disk", "--alert", "--warning", "0", "--critical", "0", "--fail-on", "critical"])
        .exits(4);
    full.json();
    full.stderr();
    assert_eq!(pings(&server), ["/x1y2z3w4/start", "/x1y2z3w4", "/x1y2z3w4/start", "/x1y2z3w4"]);
    assert!(server.requests()[1].body.contains("/missing"));
}

#[test]
fn dry_runs_locked_out_runs_and_manual_alerts_ping_nothing() {
    let env = TestEnv::postgres();
    let server = Server::plain(vec![ok("OK")]);
    beating(&env, &server.url("/x1y2z3w4"));
    for arguments in [
        vec!["cleanup", "--dry-run"],
        vec!["alert", "--dry-run"],
        vec!["alert", "--test"],
        vec!["config"],
    ] {
        let finished = env.taskmon(arguments).success();
        finished.json();
        finished.stderr();
    }
    assert_eq!(pings(&server), [""; 0]);

    let mut blocker = env.client();
    let held = lock_tasks(&mut blocker);
    let first = env.taskmon(["stats"]).spawn();
    env.wait_until_blocked(1);
    env.taskmon(["stats", "--wait", "0"]).exits(75).failure("locked", &[]);
    assert_eq!(pings(&server), [""; 0]);
    drop(held);
    let first = first.wait();
    first.json();
    first.stderr();
    assert_eq!(pings(&server), ["/x1y2z3w4/start", "/x1y2z3w4"]);
}

/// The start is pinged after both locks are held.
#[test]
fn runs_that_are_locked_out_by_another_host_ping_nothing() {
    let env = TestEnv::postgres();
    let server = Server::plain(vec![ok("OK")]);
    beating(&env, &server.url("/x1y2z3w4"));
    let mut other = env.client();
    for job in ["cleanup", "stats"] {
        let held = crate::cli::schedule::hold(&mut other, &env, job);
        let refused = env.taskmon([job, "--wait", "0"]).exits(75);
        refused.failure("locked_elsewhere", &[job]);
        assert_eq!(pings(&server), [""; 0], "{job}");
        drop(held);
    }
}

/// The job itself is on time, and a ping that fails is warned of without the URL's secret.
#[test]
fn a_heartbeat_that_hangs_refuses_or_redirects_does_not_affect_the_job() {
    let elsewhere = Server::plain(vec![ok("OK")]);
    let redirect = Answer::Http(302, vec![("Location", elsewhere.url("/stolen"))], String::new());
    for (answer, least, most) in [
        (Some(Answer::Silence), 5, 8),
        (Some(Answer::Trickle), 0, 8),
        (Some(Answer::Hangup), 0, 5),
        (Some(status(500)), 0, 5),
        (Some(redirect), 0, 5),
        (None, 0, 5),
    ] {
        let env = TestEnv::new();
        env.config("");
        let what = format!("{:?}", answer.is_some());
        let url = match answer {
            Some(answer) => Server::plain(vec![answer]).url("/ping/s3cret-9f8e7d6c"),
            None => format!("http://127.0.0.1:{}/ping/s3cret-9f8e7d6c", dead_port()),
        };
        beating(&env, &url);
        // Only a marker on standard output says when the result was there.
        let started = std::time::Instant::now();
        let finished = env
            .taskmon([
                "disk",
                "--alert",
                "--warning",
                "100",
                "--critical",
                "100",
                "--textfile",
                "t.prom",
            ])
            .success();
        assert_eq!(finished.json()["success"], true);
        let took = started.elapsed();
        assert!(
            took >= Duration::from_secs(least) && took < Duration::from_secs(most),
            "{what} {took:?}"
        );
        let text = env.read("t.prom");
        let duration = text
            .lines()
            .find_map(|line| line.strip_prefix("taskmon_last_run_duration_seconds{job=\"disk\"} "))
            .unwrap();
        assert!(duration.parse::<f64>().unwrap() < 4.0, "the job waited {duration} s");
        let warnings = finished.stderr();
        assert!(!warnings.contains("9f8e7d6c"), "{warnings}");
        if least > 0 || most < 8 {
            assert!(warnings.contains("a heartbeat was not taken"), "{warnings}");
        }
    }
    assert_eq!(pings(&elsewhere), [""; 0]);
}

/// As the channels do it: TLS with the system's certificates, through the proxy of the environment.
#[test]
fn a_heartbeat_goes_over_tls_and_through_a_proxy() {
    let env = TestEnv::new();
    env.config("");
    let server = Server::tls(vec![ok("OK")]);
    beating(&env, &server.url("/ping/s3cret-9f8e7d6c"));
    let disk = || env.taskmon(["disk", "--alert", "--warning", "100", "--critical", "100"]);
    let distrusting = disk().success();
    distrusting.stderr_contains("certificate").json();
    assert_eq!(pings(&server), [""; 0]);
    let (port, tunnels) = proxy();
    let finished = disk()
        .env("SSL_CERT_FILE", crate::support::certificates::file("ca.crt"))
        .env("HTTPS_PROXY", format!("http://127.0.0.1:{port}"))
        .success();
    finished.json();
    assert_eq!(pings(&server), ["/ping/s3cret-9f8e7d6c/start", "/ping/s3cret-9f8e7d6c"]);
    assert_eq!(tunnels.lock().unwrap().len(), 2);
}

#[test]
fn a_heartbeat_to_a_self_signed_server_comes_with_ssl_cert_file() {
    let env = TestEnv::new();
    env.config("");
    let server = Server::self_signed(vec![ok("OK")]);
    beating(&env, &server.url("/x1y2z3w4"));
    let disk = || env.taskmon(["disk", "--alert", "--warning", "100", "--critical", "100"]);
    disk().success().stderr_contains("it is self-signed").json();
    assert_eq!(pings(&server), [""; 0]);
    let certificate = crate::support::certificates::file("self.crt");
    disk().env("SSL_CERT_FILE", certificate).success().json();
    assert_eq!(pings(&server), ["/x1y2z3w4/start", "/x1y2z3w4"]);
}

/// Nor does the log of the library that sends it, by `POST` or by `GET`.
#[test]
fn no_log_shows_the_url() {
    for style in ["healthchecks", "uptime_kuma", "cronitor", "better_stack", "sentry", "plain"] {
        let env = TestEnv::new();
        let server = Server::plain(vec![ok("OK"), status(404)]);
        let url = server.url("/ping/s3cret-9f8e7d6c?key=s3cret-1a2b3c");
        env.config(&format!("[heartbeat]\nstyle = \"{style}\"\ndisk = \"{url}\"\n"));
        let finished = env
            .taskmon([
                "disk",
                "--alert",
                "--warning",
                "100",
                "--critical",
                "100",
                "--log-file",
                "taskmon.log",
            ])
            .env("RUST_LOG", "trace")
            .success();
        finished.json();
        assert!(!finished.stderr().is_empty(), "the library says something");
        let bodies: String = server.requests().into_iter().map(|request| request.body).collect();
        let log = env.read("taskmon.log");
        assert!(log.contains("the heartbeat of the"), "{log}");
        for text in [finished.stderr(), &log, &bodies] {
            assert!(!text.contains("9f8e7d6c") && !text.contains("1a2b3c"), "{style}: {text}");
        }
    }
}

#[test]
fn the_body_is_the_end_of_a_long_log() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![ok("OK")]);
    beating(&env, &server.url("/x1y2z3w4"));
    let text = env.read("taskmon.toml");
    env.write("taskmon.toml", &text.replace("[cleanup]", "[cleanup]\nclock_gap_days = 0"));
    env.insert((1..=200).map(|n| {
        let path = format!("/outside/{}/{n}.png", "x".repeat(60));
        Task::new(n).at(&long_ago()).with("image_path", path)
    }));
    // Every statement.
    let finished = env.taskmon(["cleanup", "--only", "tasks", "-vv"]).exits(1);
    finished.json();
    let lines = finished.stderr().lines().count();
    let body = server.requests().pop().unwrap().body;
    assert!(body.len() > 8 * 1024 && body.len() <= 10 * 1024, "{}", body.len());
    assert!(lines >= 200 && body.lines().count() < 200, "{lines}");
    assert!(body.starts_with("20"), "{}", &body[..80]);
}

/// As cron runs it: without `-v`, and with nothing to mail.
#[test]
fn the_body_says_what_a_clean_run_did_and_standard_error_stays_empty() {
    for (job, parts) in [
        (
            "cleanup",
            &["expired tasks: 2 tasks, 0 receipts, 0 files", "deleted: 2 tasks", "tasks.db"][..],
        ),
        ("stats", &["0 tasks", "daily_report_", "tasks.db"]),
        ("disk", &["% used", "GiB free"]),
        ("alert", &["1 tasks pending", "alerts: "]),
    ] {
        let env = TestEnv::sqlite();
        let server = Server::plain(vec![ok("OK")]);
        beating(&env, &server.url("/x1y2z3w4"));
        let text = env.read("taskmon.toml");
        let calm =
            "[alerts]\nno_tasks = false\n[disk]\nwarning_percent = 100\ncritical_percent = 100\n";
        env.write("taskmon.toml", &format!("{text}\n{calm}"));
        for root in ["uploads/x", "static/x"] {
            env.write(root, "");
        }
        env.insert([Task::new(1).at(&long_ago()), Task::new(2).at(&long_ago())]);
        let now = chrono::Utc::now() + chrono::TimeDelta::hours(8);
        let now = now.format("%Y-%m-%d %H:%M:%S").to_string();
        env.insert([Task::new(3).at(&now).with("status", "PENDING")]);
        // What it says on standard error would fail the test.
        env.taskmon([job]).success().json();
        let body = server.requests().pop().unwrap().body;
        for part in parts.iter().chain(&["taskmon.toml", "lock"]) {
            assert!(body.contains(part), "{part} in {body}");
        }
        assert!(
            body.contains(&format!("{job} ended after")) && body.contains("with exit code 0"),
            "{body}"
        );
        // With -v the same is on standard error.
        let verbose = env.taskmon([job, "-v"]).success();
        verbose.json();
        for part in ["taskmon.toml", "lock", "with exit code 0", "heartbeat", "recorded"] {
            verbose.stderr_contains(part);
        }
    }
}
