//! RabbitMQ's figures in a report: a real node with its management API, and what may answer in its place.

use super::{PASSWORD, Worker, configure, free_port, queue, stats};
use crate::support::certificates;
use crate::support::env::{TestEnv, variable};
use crate::support::rows::Task;
use crate::support::server::{Answer, Server, ok, status};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Anything may answer in the management API's place.
#[test]
fn answers_that_are_not_those_of_a_management_api() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1).with("status", "PENDING")]);
    let queues = r#"[{"name": "mail", "messages_ready": 3, "messages_unacknowledged": 1, "consumers": 1}, {"name": "new"}]"#;
    let html = "<html>Please log in</html>";
    let redirect = vec![("Location", "http://127.0.0.1:1/".to_owned())];
    let ask = |server: &Server| {
        let api =
            format!("queues = []\ntimeout_seconds = 1\nmanagement_url = '{}'", server.url("/mq/"));
        configure(&env, "pyamqp://u:s3cret@127.0.0.1:1/team%2Fshop", &api);
        let arguments = ["-q", "-q", "stats", "--no-save", "--no-alert"];
        let finished =
            env.taskmon(arguments).env("SSL_CERT_FILE", certificates::file("ca.crt")).success();
        assert!(finished.took < Duration::from_secs(4), "{:?}", finished.took);
        queue(&finished)
    };
    for (answer, error) in [
        (ok(html), "not that of RabbitMQ's management API"),
        (ok("{}"), "not that of RabbitMQ's management API"),
        (Answer::Http(302, redirect, String::new()), "status 302"),
        (status(401), "refuses the user or the password"),
        (status(404), "no such virtual host"),
        (status(503), "status 503"),
        (Answer::Hangup, "cannot be asked"),
        (Answer::Trickle, "does not answer in time"),
        (Answer::Silence, "does not answer in time"),
    ] {
        let figures = ask(&Server::plain(vec![answer]));
        let message = figures["error"].as_str().unwrap();
        assert!(message.contains(error), "{error}: {message}");
        assert!(figures["queues"].is_null() && figures["total_pending"].is_null());
    }
    for server in [Server::tls(vec![ok(queues)]), Server::plain(vec![ok(queues)])] {
        let figures = ask(&server);
        let asked = server.only().target;
        assert!(asked.starts_with("/mq/api/queues/team%2Fshop?"), "{asked}");
        // A queue that has not said how much it holds holds something, for all one knows.
        assert_eq!(figures["queues"], json!({"mail": 3, "new": null}), "{figures:#}");
        for key in ["total_pending", "reserved_tasks", "lost_tasks"] {
            assert!(figures[key].is_null(), "{figures:#}");
            let reason = figures["reasons"][key].as_str().unwrap();
            assert!(reason.contains("new"), "{reason}");
        }
    }
}

#[test]
fn queues_of_celery_itself_and_an_empty_virtual_host_do_not_count_as_zero() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1).with("status", "PENDING")]);
    let ask = |answer: &str, queues: &str| {
        let server = Server::plain(vec![ok(answer)]);
        let url = server.url("/");
        configure(
            &env,
            "amqp://u:p@127.0.0.1:1//",
            &format!("queues = {queues}\nmanagement_url = '{url}'"),
        );
        stats(&env)
    };
    let others = r#"{"name": "celery@a.celery.pidbox", "messages_ready": 1, "messages_unacknowledged": 0},
        {"name": "celeryev.0a1b", "messages_ready": 1, "messages_unacknowledged": 0},
        {"name": "reply", "messages_ready": 1, "messages_unacknowledged": 0, "exclusive": true},
        {"name": "0f8fad5b-d9cb-469f-a165-70867728950e", "messages_ready": 1, "messages_unacknowledged": 0, "auto_delete": true}"#;
    let mail = r#"{"name": "mail", "messages_ready": 4, "messages_unacknowledged": 0}"#;
    let figures = ask(&format!("[{others}, {mail}]"), "[]");
    assert_eq!(figures["queues"], json!({"mail": 4}), "{figures:#}");
    for (answer, queues) in [
        ("[]".to_owned(), "[]"),
        (format!("[{others}]"), "[]"),
        (format!("[{mail}]"), "['male']"),
        ("[]".to_owned(), "['mail']"),
    ] {
        let figures = ask(&answer, queues);
        for key in ["total_pending", "reserved_tasks", "lost_tasks"] {
            assert!(
                figures[key].is_null() && figures["reasons"][key].is_string(),
                "{key}: {figures:#}"
            );
        }
    }
}

/// A RabbitMQ node of this test's own, with its management API.
struct Rabbit {
    node: Child,
    port: u16,
    api: u16,
}

impl Rabbit {
    fn start(env: &TestEnv) -> Self {
        let (port, api) = (free_port(), free_port());
        env.write(
            "rabbit.conf",
            &format!(
                "listeners.tcp.default = 127.0.0.1:{port}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {api}\n\
                 collect_statistics_interval = 500\ndefault_user = shop\ndefault_pass = {PASSWORD}\n"
            ),
        );
        // Quorum queues have a pace of their own.
        env.write("rabbit.config", "[{rabbit, [{quorum_tick_interval, 500}]}].");
        env.write("plugins", "[rabbitmq_management].");
        let program = [
            "/usr/lib/rabbitmq/bin/rabbitmq-server",
            "/usr/lib/rabbitmq/lib/rabbitmq-server/sbin/rabbitmq-server",
        ]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .expect("rabbitmq-server is missing: run scripts/test.sh");
        let log = std::fs::File::create(env.path("rabbit.log")).unwrap();
        let node = Command::new(program)
            .env("RABBITMQ_NODENAME", format!("taskmon{port}@localhost"))
            .env("RABBITMQ_CONFIG_FILE", env.path("rabbit.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", env.path("rabbit.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", env.path("plugins"))
            .env("RABBITMQ_MNESIA_BASE", env.path("rabbit"))
            .env("RABBITMQ_LOG_BASE", env.path("rabbit"))
            .env("RABBITMQ_LOGS", "-")
            .env("HOME", env.path("home"))
            // Distribution: the node has no peers.
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let rabbit = Self { node, port, api };
        let began = Instant::now();
        for port in [port, api] {
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(began.elapsed() < Duration::from_secs(120), "{}", env.read("rabbit.log"));
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        rabbit
    }

    pub fn url(&self) -> String {
        let password = PASSWORD.replace(':', "%3A");
        format!("amqp://shop:{password}@127.0.0.1:{}//", self.port)
    }

    fn celery(&self, arguments: &[&str]) -> Command {
        self.celery_of("/usr/bin/python3", arguments)
    }

    fn celery_of(&self, python: &str, arguments: &[&str]) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/celery_app.py");
        let mut celery = Command::new(python);
        celery
            .arg(script)
            .args(arguments)
            .env("TEST_BROKER", self.url())
            .env("TEST_TRANSPORT_OPTIONS", "{}")
            .env("C_FORCE_ROOT", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        celery
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        let group = format!("-{}", self.node.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.node.wait();
        // Erlang's own daemon outlives the node; it refuses to end while another node is there.
        let _ = Command::new("epmd").arg("-kill").output();
    }
}

fn see_done(mut celery: Command) {
    let output = celery.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Queues report their figures now and then: waits until they say what is expected.
fn awaited(env: &TestEnv, expected: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let figures = stats(env);
        if expected(&figures) {
            return figures;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{figures:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn queues_of_a_real_rabbitmq_and_a_worker() {
    let env = TestEnv::sqlite();
    env.insert((1..=32).map(|n| Task::new(n).with("status", "PENDING")));
    let rabbit = Rabbit::start(&env);
    for arguments in [
        ["send", "mail", "0", "20"],
        ["send", "file", "0", "7"],
        ["send", "celery_delayed_3", "0", "2"],
    ] {
        see_done(rabbit.celery(&arguments));
    }
    let api = format!("queues = []\nmanagement_url = 'http://127.0.0.1:{}'", rabbit.api);
    configure(&env, &rabbit.url(), &api);
    let before =
        awaited(&env, |figures| figures["total_pending"] == 27 && figures["scheduled_tasks"] == 2);
    assert_eq!(before["source"], "rabbitmq");
    // Scheduled tasks are counted apart.
    assert_eq!(before["queues"], json!({"file": 7, "mail": 20}));
    assert_eq!(before["lost_tasks"], 3);
    assert!(before["active_tasks"].is_null() && before["reasons"]["active_tasks"].is_string());

    let worker = Worker::start(rabbit.celery(&["work", "mail"]));
    let held = awaited(&env, |figures| figures["reserved_tasks"] == 4);
    assert_eq!(held["queues"], json!({"file": 7, "mail": 16}));
    assert_eq!(held["unacknowledged"], json!({"file": 0, "mail": 4}));
    assert_eq!(held["consumers"], json!({"file": 0, "mail": 1}));
    drop(worker);

    configure(&env, &rabbit.url(), &api.replace("[]", "['mail', 'nobody']"));
    let some = stats(&env);
    assert_eq!(some["queues"]["nobody"], Value::Null);
    assert!(some["reasons"]["queues.nobody"].is_string(), "{some:#}");
    assert!(some["lost_tasks"].is_null());

    configure(&env, &rabbit.url().replace("s3cret", "wr0ng"), &api);
    let refused = env.taskmon(["stats", "--no-save", "--no-alert", "-q"]).success();
    let error = queue(&refused)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("refuses the user or the password"), "{error}");
}

/// Celery 5.5 and later leave tasks with a time to RabbitMQ where the queues are quorum queues.
#[test]
fn tasks_that_rabbitmq_itself_holds_until_their_time_stand_apart() {
    let env = TestEnv::sqlite();
    env.insert((1..=8).map(|n| Task::new(n).with("status", "PENDING")));
    let rabbit = Rabbit::start(&env);
    let api = format!("queues = []\nmanagement_url = 'http://127.0.0.1:{}'", rabbit.api);
    configure(&env, &rabbit.url(), &api);
    let python = format!("{}/python/bin/python", variable("TASKMON_TEST_LIBRARIES"));
    let celery = |arguments: &[&str]| {
        let mut celery = rabbit.celery_of(&python, arguments);
        celery.env("TEST_QUORUM", "1");
        celery
    };
    let _worker = Worker::start(celery(&["work", "mail"]));
    let idle = awaited(&env, |figures| figures["consumers"] == json!({"mail": 1}));
    assert_eq!(idle["scheduled_tasks"], 0, "{idle:#}");

    see_done(celery(&["delay", "mail", "86400", "4"]));
    see_done(celery(&["delay", "mail", "15", "2"]));
    see_done(celery(&["send", "mail", "0", "1"]));
    let scheduled =
        awaited(&env, |figures| figures["scheduled_tasks"] == 6 && figures["reserved_tasks"] == 1);
    assert_eq!(scheduled["queues"], json!({"mail": 0}));
    assert_eq!(scheduled["lost_tasks"], 1);
    // Their time comes, and the worker takes them.
    let due = awaited(&env, |figures| figures["reserved_tasks"] == 3);
    assert_eq!(due["scheduled_tasks"], 4, "{due:#}");
    assert_eq!(due["lost_tasks"], 1);
}
