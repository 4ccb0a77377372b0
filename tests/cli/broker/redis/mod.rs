//! The broker's figures in a report: a real Redis, filled by a real Celery and emptied by its real worker.

mod connection;
mod keys;

use super::{PASSWORD, Worker, configure, free_port, queue, stats};
use crate::support::certificates;
use crate::support::env::TestEnv;
use crate::support::rows::Task;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A Redis server of this test's own, and Celery's idea of it.
pub struct Redis {
    server: Child,
    port: u16,
    tls: u16,
    options: Value,
}

impl Redis {
    pub fn start(env: &TestEnv, options: Value) -> Self {
        let (port, tls) = (free_port(), free_port());
        let certificate = |name: &str| certificates::file(name).display().to_string();
        let log = std::fs::File::create(env.path("redis.log")).unwrap();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--requirepass", PASSWORD, "--save", ""])
            .args(["--tls-port", &tls.to_string(), "--tls-auth-clients", "no"])
            .args(["--tls-cert-file", &certificate("server.crt")])
            .args(["--tls-key-file", &certificate("server.key")])
            .args(["--tls-ca-cert-file", &certificate("ca.crt")])
            .arg("--unixsocket")
            .arg(env.path("redis.sock"))
            .arg("--dir")
            .arg(env.path("."))
            .stdout(log)
            .spawn()
            .expect("redis-server is missing: run scripts/test.sh");
        let redis = Self { server, port, tls, options };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "redis-server");
            std::thread::sleep(Duration::from_millis(20));
        }
        redis
    }

    pub fn url(&self) -> String {
        let password = PASSWORD.replace(':', "%3A");
        format!("redis://:{password}@127.0.0.1:{}/3", self.port)
    }

    fn celery(&self, arguments: &[&str]) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/celery_app.py");
        let mut celery = Command::new("/usr/bin/python3");
        celery
            .arg(script)
            .args(arguments)
            .env("TEST_BROKER", self.url())
            .env("TEST_TRANSPORT_OPTIONS", self.options.to_string())
            .env("C_FORCE_ROOT", "1")
            .stdin(Stdio::null());
        celery
    }

    /// What redis-cli prints, as the administrator in Celery's database.
    fn cli(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string(), "-n", "3"])
            .args(["-a", PASSWORD, "--no-auth-warning"])
            .args(command)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn send(&self, arguments: &[&str]) {
        let output = self.celery(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn queues_of_a_real_celery_with_priorities_and_a_worker() {
    let env = TestEnv::sqlite();
    // Three tasks more than the broker will hold.
    env.insert((1..=38).map(|n| Task::new(n).with("status", "PENDING")));
    let redis = Redis::start(&env, json!({"priority_steps": [0, 3, 6, 9]}));
    for (name, priority, count) in
        [("receipt", "0", "20"), ("receipt", "3", "3"), ("receipt", "9", "2"), ("file", "6", "10")]
    {
        redis.send(&["send", name, priority, count]);
    }
    configure(&env, &redis.url(), "queues = []");
    let before = stats(&env);
    assert_eq!(before["queues"], json!({"file": 10, "receipt": 25}), "{before:#}");
    assert_eq!(before["total_pending"], 35);
    assert_eq!(before["reserved_tasks"], 0);
    assert_eq!(before["lost_tasks"], 3);
    assert_eq!(before["source"], "redis");

    let worker = Worker::start(redis.celery(&["work", "receipt"]));
    let began = Instant::now();
    let held = loop {
        let figures = stats(&env);
        if figures["reserved_tasks"] == 4 {
            break figures;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{figures:#}");
        std::thread::sleep(Duration::from_millis(100));
    };
    // It works on one and holds the next three; nothing is counted twice, or lost on the way.
    assert_eq!(held["unacknowledged"], json!({"file": 0, "receipt": 4}));
    assert_eq!(held["queues"], json!({"file": 10, "receipt": 21}));
    assert_eq!(held["lost_tasks"], 3);
    assert_eq!(held["overdue_tasks"], 0);
    for key in ["active_tasks", "scheduled_tasks"] {
        assert!(held[key].is_null());
        assert!(held["reasons"][key].is_string(), "{held:#}");
    }
    drop(worker);

    // Nobody acknowledges them any more.
    std::thread::sleep(Duration::from_millis(1500));
    configure(
        &env,
        &redis.url(),
        "queues = ['receipt', 'file', 'celery']\nvisibility_timeout_seconds = 1",
    );
    let overdue = stats(&env);
    assert_eq!(overdue["overdue_tasks"], 4);
    assert_eq!(overdue["queues"], json!({"celery": null, "file": 10, "receipt": 21}));
    let why = overdue["reasons"]["queues.celery"].as_str().unwrap();
    assert!(why.contains("no queue of this name"), "{overdue:#}");
    // Only some of the queues: what waits in the others is not lost.
    configure(&env, &redis.url(), "queues = ['receipt']");
    let some = stats(&env);
    assert_eq!(some["queues"], json!({"receipt": 21}));
    assert!(some["lost_tasks"].is_null() && some["reasons"]["lost_tasks"].is_string());

    configure(&env, &redis.url(), "queues = []");
    redis.send(&["send", "file", "0", "1"]);
    redis.send(&["copy", "file", "100000"]);
    let full = env.taskmon(["stats", "--no-save", "--no-alert"]).success();
    assert_eq!(queue(&full)["queues"]["file"], 100_011);
    assert!(full.took < Duration::from_secs(10), "{:?}", full.took);
}

#[test]
fn the_prefix_and_the_separator_of_celery_are_used() {
    let env = TestEnv::sqlite();
    let options = json!({"global_keyprefix": "shop[1]:", "sep": ":", "priority_steps": [0, 5]});
    let redis = Redis::start(&env, options);
    redis.send(&["send", "mail", "5", "2"]);
    redis.send(&["send", "mail", "0", "1"]);
    configure(
        &env,
        &redis.url(),
        "queues = []\nglobal_keyprefix = 'shop[1]:'\nseparator = ':'\npriority_steps = [0, 5]",
    );
    assert_eq!(stats(&env)["queues"], json!({"mail": 3}));
    // Without the prefix nothing of Celery's is there, which is not the same as that nothing waits.
    for queues in ["['mail']", "[]"] {
        configure(&env, &redis.url(), &format!("queues = {queues}"));
        let figures = stats(&env);
        for key in ["total_pending", "reserved_tasks", "lost_tasks", "overdue_tasks"] {
            assert_eq!(figures[key], Value::Null, "{figures:#}");
            let why = figures["reasons"][key].as_str().unwrap();
            assert!(why.contains("broker.global_keyprefix"), "{figures:#}");
        }
    }
    let checked = env.taskmon(["check"]).run();
    let broker = checked.json()["checks"].to_string();
    checked.stderr();
    assert!(broker.contains("Celery has bound none of the queues here"), "{broker}");
}

/// The six queues are the preset taskmon's own.
#[test]
fn queues_are_discovered_with_another_preset() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, json!({}));
    redis.send(&["send", "mail", "0", "3"]);
    let printed = |preset: &str| {
        env.write(
            "taskmon.toml",
            &format!(
                "language = 'en'\n[database]\nurl = '{}'\n{preset}\n[broker]\nurl = '{}'\n",
                env.url(),
                redis.url()
            ),
        );
        env.taskmon(["config"]).success().json()["broker"]["queues"].clone()
    };
    assert_eq!(printed("")[0], "high_priority");
    let figures = stats(&env);
    assert_eq!(figures["queues"].as_object().unwrap().len(), 6, "{figures:#}");
    assert_eq!(printed("preset = 'celery'"), json!([]));
    env.sql("CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, task_id text, status text, result blob, date_done text, traceback text, name text, queue text, retries integer)");
    assert_eq!(stats(&env)["queues"], json!({"mail": 3}));
}

#[test]
fn a_page_for_people_shows_what_the_broker_holds_and_what_is_not_known() {
    let env = TestEnv::sqlite();
    env.insert((1..=6).map(|n| Task::new(n).with("status", "PENDING")));
    let redis = Redis::start(&env, json!({}));
    redis.send(&["send", "mail", "0", "3"]);
    redis.send(&["send", "file", "0", "1"]);
    for (language, lines) in [
        ("en", ["mail: 3", "file: 1", "lost  ", "? active: Redis does not know"]),
        ("zh", ["mail: 3", "file: 1", "丢失", "? 处理中: Redis does not know"]),
    ] {
        configure(&env, &redis.url(), "queues = []");
        let config = env.read("taskmon.toml").replace("'en'", &format!("'{language}'"));
        env.write("taskmon.toml", &config);
        let finished =
            env.taskmon(["stats", "--no-save", "--no-alert", "--output", "text"]).success();
        let page = finished.stdout();
        for line in lines {
            assert!(page.contains(line), "{line} in {page}");
        }
        let lost =
            page.lines().find(|line| line.contains("lost  ") || line.contains("丢失")).unwrap();
        assert!(lost.ends_with(" 2"), "{page}");
    }
}
