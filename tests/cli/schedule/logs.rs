//! `schedule logs`.

use super::*;

#[test]
fn logs_shows_the_last_runs_and_skips_torn_lines() {
    let env = TestEnv::sqlite();
    let none = env.taskmon(["schedule", "logs"]).success().json();
    assert_eq!(none, json!({"success": true, "runs": []}));
    for path in ["/", "/tmp", "/usr"] {
        env.taskmon(["disk", path, "--no-alert"]).success().json();
    }
    let torn = env.read("logs/taskmon_runs.jsonl") + "{\"job\":\"sta";
    env.write("logs/taskmon_runs.jsonl", &torn);
    let shown = env.taskmon(["schedule", "logs", "--lines", "2"]).success().json();
    let paths: Vec<&str> = shown["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["arguments"][1].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/tmp", "/usr"]);
    let text = env.taskmon(["schedule", "logs", "--output", "text"]).success();
    text.stdout_contains("done (0").stdout_contains("disk /usr");
}

#[test]
fn a_record_with_the_keys_that_every_record_has_is_one() {
    let env = TestEnv::sqlite();
    let end = chrono::Utc::now();
    let start = end - chrono::TimeDelta::milliseconds(1_250);
    let record = json!({"job": "disk", "start": start.to_rfc3339(), "end": end.to_rfc3339(), "exit_code": 0, "skipped": false, "host": "box"});
    env.write("logs/taskmon_runs.jsonl", &format!("{record}\n"));
    let shown = env.taskmon(["schedule", "logs"]).success().json();
    assert_eq!(shown["runs"][0]["duration_seconds"], 1.25, "{shown:#}");
    let status = env.taskmon(["schedule", "status"]).success().json();
    let jobs = status["jobs"].as_array().unwrap();
    let disk = jobs.iter().find(|job| job["command"] == "disk").unwrap();
    assert_eq!(disk["last_run"]["duration_seconds"], 1.25, "{disk:#}");
}

#[test]
fn following_prints_each_run_as_it_ends_until_it_is_interrupted() {
    let env = TestEnv::sqlite();
    env.taskmon(["disk", "/tmp", "--no-alert"]).success().json();
    let output = std::fs::File::create(env.path("followed")).unwrap();
    let mut command = env.taskmon(["schedule", "logs", "--follow", "--lines", "1"]).command();
    let mut child = command.stdout(output).spawn().unwrap();
    let lines = |count: usize| {
        let begin = Instant::now();
        loop {
            let text = env.read("followed");
            if text.lines().count() >= count {
                return text;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    lines(1);
    env.taskmon(["disk", "/", "--no-alert"]).success().json();
    lines(2);
    std::fs::rename(env.path("logs/taskmon_runs.jsonl"), env.path("logs/taskmon_runs.jsonl.1"))
        .unwrap();
    env.taskmon(["disk", "/usr", "--no-alert"]).success().json();
    let text = lines(3);
    let paths: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["arguments"][1].clone())
        .collect();
    assert_eq!(paths, ["/tmp", "/", "/usr"]);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn following_ends_when_the_reader_is_gone() {
    let env = TestEnv::sqlite();
    env.taskmon(["disk", "/tmp", "--no-alert"]).success().json();
    let script = "taskmon schedule logs --follow | head -n 1";
    let mut following = env.program("sh", ["-c", script]).spawn();
    wait_until("writing to the closed pipe ends it", || {
        env.taskmon(["disk", "/tmp", "--no-alert"]).success().json();
        following.is_over()
    });
    assert!(following.wait().stdout().starts_with("{\"job\":\"disk\""));
}
