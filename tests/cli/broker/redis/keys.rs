//! Keys that are not Celery's, too many keys, and keys that are too large.

use super::*;

#[test]
fn a_server_with_millions_of_keys_does_not_keep_the_report() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1).with("status", "PENDING")]);
    let redis = Redis::start(&env, json!({}));
    redis.send(&["send", "mail", "0", "3"]);
    let fill = "for first = 1, 6000000, 2000 do local keys = {}
                for n = first, first + 1999 do keys[#keys + 1] = n keys[#keys + 1] = '' end
                redis.call('MSET', unpack(keys)) end";
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

/// Each key affects the figure that is read from it, and no other.
#[test]
fn a_key_that_is_not_celerys_spoils_one_figure_alone() {
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

/// The application's `priority_steps` may be others than those of this configuration; and a list that is named as one of a step may be a queue.
#[test]
fn messages_of_every_priority_count_whatever_steps_are_configured() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, json!({"priority_steps": [0, 5, 7]}));
    for (priority, count) in [("0", "1"), ("5", "2"), ("8", "4")] {
        redis.send(&["send", "receipt", priority, count]);
    }
    assert_eq!(redis.cli(&["LLEN", "receipt\u{6}\u{16}7"]).trim(), "4");
    configure(&env, &redis.url(), "queues = ['receipt']");
    assert_eq!(stats(&env)["queues"], json!({"receipt": 7}));
    configure(&env, &redis.url(), r#"queues = ["receipt", "receipt\u0006\u00165"]"#);
    let figures = stats(&env);
    assert_eq!(figures["queues"]["receipt"], 5, "{figures:#}");
}
