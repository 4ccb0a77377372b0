//! Servers that do not answer, and the ways to one: sockets, TLS, users with few rights.

use super::*;

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
    for (url, has, has_not) in [
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
        assert!(hint.contains(has) && !hint.contains(has_not), "{hint}");
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
                let message = figures["error"].as_str().unwrap();
                assert!(message.contains(error), "{url}: {message}");
                assert!(!message.contains("s3cret"), "{message}");
            }
        }
    }
}
