//! The broker's figures in a report: a real Redis, filled by a real Celery and emptied by its real worker.

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
fn a_prefix_and_another_separator_are_heeded() {
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

#[test]
fn a_broker_that_does_not_answer_never_breaks_the_report() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, json!({}));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let garbage = TcpListener::bind("127.0.0.1:0").unwrap();
    let garbled = garbage.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in garbage.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 64];
            let _ = stream.read(&mut asked);
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let wrong = redis.url().replace("s3cret", "wr0ng");
    for (url, says) in [
        (format!("redis://127.0.0.1:{}/0", free_port()), "cannot be asked: nothing listens there"),
        (format!("redis://{}/0", silent.local_addr().unwrap()), "does not answer in time"),
        (format!("redis://{garbled}/0"), "what answers there is no Redis"),
        ("redis://no-such-host.invalid/0".to_owned(), "there is no host of that name"),
        (wrong, "password"),
        (
            format!("redis://127.0.0.1:{}/3", redis.port),
            "it wants a password, and broker.url has none",
        ),
        ("amqp://guest:s3cret@127.0.0.1:1/".to_owned(), "nothing listens there"),
    ] {
        configure(&env, &url, "timeout_seconds = 1");
        let finished = env
            .taskmon(["stats", "--no-save", "--no-alert", "-vv"])
            .env("RUST_LOG", "trace")
            .success();
        let figures = queue(&finished);
        let error = figures["error"].as_str().unwrap();
        assert!(error.contains(says), "{url}: {error}");
        for key in ["active_tasks", "scheduled_tasks", "reserved_tasks", "total_pending", "queues"]
        {
            assert!(figures[key].is_null(), "{figures:#}");
        }
        for secret in ["s3cret", "wr0ng"] {
            assert!(!finished.stdout().contains(secret), "{url}");
            assert!(!finished.stderr().contains(secret), "{url}");
        }
        assert!(finished.took < Duration::from_secs(8), "{:?}", finished.took);
    }
}

/// Millions of keys of somebody else: to find the queues among them would take longer than a report may.
/// Each byte comes in time, and the answer never.
#[test]
fn a_broker_that_answers_byte_by_byte_does_not_keep_the_report() {
    let env = TestEnv::sqlite();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                while (&stream).write_all(b"+").is_ok() {
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
        }
    });
    configure(&env, &format!("redis://127.0.0.1:{port}/0"), "timeout_seconds = 1");
    let began = Instant::now();
    let finished = env.taskmon(["stats", "--no-save", "--no-alert"]).success();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let why = "does not answer in time";
    finished.stderr_contains(why);
    let figures = queue(&finished);
    assert!(figures["error"].as_str().unwrap().contains(why), "{figures:#}");
}

#[test]
fn a_server_with_millions_of_keys_does_not_keep_the_report() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1).with("status", "PENDING")]);
    let redis = Redis::start(&env, json!({}));
    redis.send(&["send", "mail", "0", "3"]);
    let fill = "for n = 1, 6000000 do redis.call('SET', n, '') end";
    redis.cli(&["EVAL", fill, "0"]);
    configure(&env, &redis.url(), "queues = []\ntimeout_seconds = 1");
    let finished = env.taskmon(["-q", "stats", "--no-save", "--no-alert"]).success();
    let figures = queue(&finished);
    let error = figures["error"].as_str().unwrap();
    assert!(error.contains("too many keys"), "{error}");
    assert!(figures["total_pending"].is_null() && figures["lost_tasks"].is_null());
    assert!(finished.took < Duration::from_secs(3), "{:?}", finished.took);

    configure(&env, &redis.url(), "queues = ['mail']\ntimeout_seconds = 1");
    let named = env.taskmon(["stats", "--no-save", "--no-alert"]).success();
    let figures = queue(&named);
    assert_eq!(figures["queues"], json!({"mail": 3}));
    assert_eq!(figures["reserved_tasks"], 0);
    assert!(figures["error"].is_null() && figures["lost_tasks"].is_null());
    let reason = figures["reasons"]["lost_tasks"].as_str().unwrap();
    assert!(reason.contains("too many keys"), "{reason}");
    assert!(named.took < Duration::from_secs(3), "{:?}", named.took);
}

#[test]
fn a_key_of_another_kind_under_a_queues_name_is_named() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, json!({}));
    redis.send(&["send", "file", "0", "1"]);
    assert_eq!(redis.cli(&["SET", "mail", "x"]).trim(), "OK");
    configure(&env, &redis.url(), "queues = ['mail', 'file']");
    let finished = env.taskmon(["-q", "stats", "--no-save", "--no-alert"]).success();
    let figures = queue(&finished);
    assert_eq!(figures["queues"], json!({"mail": null, "file": 1}));
    for key in ["queues.mail", "total_pending", "lost_tasks"] {
        let why = figures["reasons"][key].as_str().unwrap();
        assert!(why.contains("mail"), "{figures:#}");
    }
    assert_eq!(figures["reserved_tasks"], 0, "{figures:#}");
    assert_eq!(figures["error"], Value::Null);
}

/// Each of them spoils what it stands for, and nothing else.
#[test]
fn what_is_not_celerys_spoils_one_figure_alone() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, json!({}));
    redis.send(&["send", "file", "0", "2"]);
    configure(&env, &redis.url(), "queues = []");
    let figures_after = |commands: &[&[&str]]| {
        for command in commands {
            redis.cli(command);
        }
        stats(&env)
    };
    let figures = figures_after(&[&["SADD", "_kombu.binding.odd", "a\u{6}\u{16}\u{6}\u{16}b"]]);
    assert_eq!(figures["queues"], json!({"file": 2, "b": 0}));
    let not_utf8 = "redis.call('SADD', '_kombu.binding.odd', '\\255\\254')";
    let figures = figures_after(&[&["EVAL", not_utf8, "0"]]);
    assert_eq!(figures["queues"], json!({"file": 2, "b": 0}), "{figures:#}");
    assert_eq!(figures["total_pending"], 2);
    let why = figures["reasons"]["lost_tasks"].as_str().unwrap();
    assert!(why.contains("_kombu.binding.odd") && why.contains("UTF-8"), "{why}");
    let figures =
        figures_after(&[&["DEL", "_kombu.binding.odd"], &["SET", "_kombu.binding.odd", "x"]]);
    assert_eq!(figures["queues"], json!({"file": 2}), "{figures:#}");
    assert!(figures["reasons"]["lost_tasks"].as_str().unwrap().contains("no set"));
    let figures = figures_after(&[
        &["DEL", "_kombu.binding.odd"],
        &["SET", "unacked", "x"],
        &["SET", "unacked_index", "x"],
    ]);
    assert_eq!((&figures["total_pending"], &figures["error"]), (&json!(2), &Value::Null));
    for (key, name) in [
        ("reserved_tasks", "unacked"),
        ("lost_tasks", "unacked"),
        ("overdue_tasks", "unacked_index"),
    ] {
        assert_eq!(figures[key], Value::Null, "{figures:#}");
        assert!(figures["reasons"][key].as_str().unwrap().contains(name), "{figures:#}");
    }
}

/// Messages that would fill the memory are counted, and not read.
#[test]
fn a_delivery_of_many_megabytes_is_counted_and_not_read() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, json!({}));
    redis.send(&["send", "file", "0", "1"]);
    let fill = "for n = 1, 8 do redis.call('HSET', 'unacked', n, string.rep('x', 40000000)) redis.call('ZADD', 'unacked_index', n, n) end
        redis.call('HSET', 'unacked', 'small', '[{}, \"\", \"file\"]') redis.call('ZADD', 'unacked_index', 1, 'small')";
    redis.cli(&["EVAL", fill, "0"]);
    configure(&env, &redis.url(), "queues = []");
    let bounded = [
        "-c",
        "ulimit -v 400000; exec \"$0\" stats --no-save --no-alert",
        env!("CARGO_BIN_EXE_taskmon"),
    ];
    let figures = queue(&env.program("/bin/sh", bounded).success());
    assert_eq!(figures["unacknowledged"], json!({"?": 8, "file": 1}), "{figures:#}");
    assert_eq!(figures["reserved_tasks"], 9);
}

#[test]
fn a_broker_that_could_never_be_asked_is_an_error_of_the_configuration() {
    let env = TestEnv::sqlite();
    for (url, more, key) in [
        ("redis://:s3cret@a:6379/0;redis://:s3cret@b:6379/0", "", "broker.url"),
        ("redis://:s3cret@a/abc", "", "broker.url"),
        ("redis://a/0", "priority_steps = []", "broker.priority_steps"),
    ] {
        configure(&env, url, more);
        let finished = env.taskmon(["-q", "-q", "stats"]).exits(2);
        let message = finished.json()["error"]["message"].to_string();
        assert!(message.contains(key) && !message.contains("s3cret"), "{message}");
    }
}

#[test]
fn a_hint_is_for_the_broker_that_is_asked() {
    let env = TestEnv::sqlite();
    for (url, has, lacks) in [
        ("redis://127.0.0.1:1/0", "Redis", "rabbitmq_management"),
        ("amqp://127.0.0.1:1//", "rabbitmq_management", "does Redis run"),
    ] {
        configure(&env, url, "management_url = 'http://127.0.0.1:1'");
        let finished = env.taskmon(["check"]).exits(1);
        let result = finished.json();
        let mut all = result["checks"].as_array().unwrap().iter();
        let broker = all.find(|check| check["name"] == "broker").unwrap();
        let message = broker["message"].as_str().unwrap();
        assert!(
            message.contains("127.0.0.1:1") && message.contains("nothing listens there"),
            "{message}"
        );
        let hint = broker["hint"].as_str().unwrap();
        assert!(hint.contains(has) && !hint.contains(lacks), "{hint}");
    }
}

/// The six queues are the preset taskmon's own.
#[test]
fn queues_are_found_out_with_another_preset() {
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

/// Celery's own ways to say it: a socket, certificates, a user whom an access list allows no more than is asked.
#[test]
fn a_socket_tls_and_a_user_with_few_rights() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, json!({}));
    redis.send(&["send", "mail", "0", "2"]);
    let rights = "ACL SETUSER reader on >r3ad ~* -@all +select +llen +scan +sscan +zscan +zcount +hlen +hstrlen +hget";
    redis.cli(&rights.split(' ').collect::<Vec<_>>());
    redis.cli(&["ACL", "SETUSER", "poor", "on", ">r3ad", "~*", "-@all", "+select"]);
    let password = PASSWORD.replace(':', "%3A");
    let secure = format!("rediss://:{password}@localhost:{}/3", redis.tls);
    let authority = certificates::file("ca.crt").display().to_string();
    let socket = env.path("redis.sock").display().to_string();
    for (url, error) in [
        (format!("redis+socket://:{password}@{socket}?virtual_host=3"), ""),
        (format!("redis+socket://:{password}@{socket}.gone"), "No such file"),
        (format!("{secure}?ssl_cert_reqs=required&ssl_ca_certs={authority}"), ""),
        (format!("{secure}?ssl_cert_reqs=CERT_NONE"), ""),
        (secure.clone(), "invalid peer certificate"),
        (
            format!("{secure}?ssl_ca_certs=/nowhere/ca.crt"),
            "ssl_ca_certs of broker.url, /nowhere/ca.crt",
        ),
        (format!("redis://reader:r3ad@127.0.0.1:{}/3", redis.port), ""),
        (format!("redis://poor:r3ad@127.0.0.1:{}/3", redis.port), "permission"),
    ] {
        configure(&env, &url, "queues = ['mail']\ntimeout_seconds = 5");
        let arguments = ["-q", "-q", "stats", "--no-save", "--no-alert"];
        let figures = queue(&env.taskmon(arguments).success());
        match error {
            "" => assert_eq!(figures["queues"], json!({"mail": 2}), "{url}: {figures:#}"),
            error => {
                let told = figures["error"].as_str().unwrap();
                assert!(told.contains(error), "{url}: {told}");
                assert!(!told.contains("s3cret"), "{told}");
            }
        }
    }
}
