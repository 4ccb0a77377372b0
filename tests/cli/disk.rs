//! `taskmon disk` against `df`.

use crate::support::env::TestEnv;
use serde_json::{Value, json};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// One line of `df`, in bytes and inodes.
#[derive(Debug, PartialEq, Clone)]
struct Df {
    size: f64,
    used: f64,
    available: f64,
    percent: Option<f64>,
    inodes: f64,
    inodes_used: f64,
    fs_type: String,
    target: String,
}

/// What `df` says of a path; `None` where `df` itself fails.
fn df(env: &TestEnv, path: &str) -> Option<Df> {
    let columns = "--output=size,used,avail,pcent,itotal,iused,fstype,target";
    let finished = env.program("df", ["-B1", columns, path]).run();
    finished.stderr();
    if finished.code != Some(0) {
        finished.stdout();
        return None;
    }
    let line = finished.stdout().lines().nth(1).unwrap();
    let mut words = line.split_whitespace();
    let mut next = || words.next().unwrap().to_owned();
    let number = |word: String| word.trim_end_matches('%').parse::<f64>();
    Some(Df {
        size: number(next()).unwrap(),
        used: number(next()).unwrap(),
        available: number(next()).unwrap(),
        percent: number(next()).ok(),
        inodes: number(next()).unwrap_or(0.0),
        inodes_used: number(next()).unwrap_or(0.0),
        fs_type: next(),
        target: next(),
    })
}

/// The mounts that `df` lists, less those whose name would need quoting.
fn mounts(env: &TestEnv) -> Vec<String> {
    let finished = env.program("df", ["--output=target"]).run();
    finished.stderr();
    let lines = finished.stdout().lines().skip(1).map(str::to_owned);
    lines.filter(|target| target.starts_with('/') && !target.contains(' ')).collect()
}

/// Measures between two looks of `df`, and gives what `df` may have shown at that moment: others write to the disk all the time, so that each
/// figure may lie anywhere between the two, and where it lies outside, something else happened in between and it is looked at again.
fn measure(env: &TestEnv, path: &str) -> Option<(Df, Value)> {
    for attempt in 0..20 {
        // Whoever writes much at once pauses sooner or later.
        std::thread::sleep(std::time::Duration::from_millis(50 * attempt));
        let before = df(env, path)?;
        let finished = env.taskmon(["disk", path, "--no-alert"]).success();
        let result = finished.json();
        let after = df(env, path)?;
        if let Some(between) = between(&before, after, &result["disks"][0]) {
            return Some((between, result));
        }
    }
    panic!("{path}: what was measured never lay between two looks of df");
}

/// The `Df` between two that is nearest to what was measured; `None`: what was measured lies outside.
fn between(before: &Df, after: Df, disk: &Value) -> Option<Df> {
    let nearest = |measured: Option<f64>, one: f64, other: f64, rounding: f64| {
        let (low, high) = (one.min(other), one.max(other));
        let measured = measured.unwrap_or(high);
        let is_within = (low - rounding..=high + rounding).contains(&measured);
        is_within.then(|| measured.clamp(low, high))
    };
    let bytes = |key: &str| disk[key].as_f64().map(|gib| gib * GIB);
    let inodes = disk["inodes_usage_percent"].as_f64();
    let inodes = inodes.map(|percent| percent / 100.0 * after.inodes);
    let rounding = 0.006 * GIB;
    Some(Df {
        used: nearest(bytes("used_gb"), before.used, after.used, rounding)?,
        available: nearest(bytes("free_gb"), before.available, after.available, rounding)?,
        inodes_used: nearest(
            inodes,
            before.inodes_used,
            after.inodes_used,
            0.006 / 100.0 * after.inodes,
        )?,
        percent: after.percent.filter(|_| before.percent == after.percent),
        ..after
    })
}

#[track_caller]
fn assert_close(what: &str, value: &Value, expected: f64) {
    let value = value.as_f64().unwrap_or_else(|| panic!("{what} is {value}"));
    assert!((value - expected).abs() <= 0.011, "{what}: {value}, df has {expected}");
}

#[test]
fn every_mount_is_what_df_says_it_is() {
    let env = TestEnv::new();
    let mut compared = 0;
    for mount in mounts(&env) {
        let Some((df, result)) = measure(&env, &mount) else {
            continue;
        };
        let disk = &result["disks"][0];
        assert_close(&format!("total of {mount}"), &disk["total_gb"], df.size / GIB);
        assert_close(&format!("used of {mount}"), &disk["used_gb"], df.used / GIB);
        assert_close(&format!("free of {mount}"), &disk["free_gb"], df.available / GIB);
        if df.used + df.available > 0.0 {
            assert_close(
                &format!("usage of {mount}"),
                &disk["usage_percent"],
                df.used / (df.used + df.available) * 100.0,
            );
        }
        if let Some(percent) = df.percent {
            // df rounds up to a whole percent.
            let usage = disk["usage_percent"].as_f64().unwrap();
            assert!(
                usage > percent - 1.02 && usage < percent + 0.02,
                "{mount}: {usage}, df shows {percent}%"
            );
        }
        if df.inodes > 0.0 && disk["read_only"] == false && !df.fs_type.starts_with("fuse") {
            assert_close(
                &format!("inodes of {mount}"),
                &disk["inodes_usage_percent"],
                df.inodes_used / df.inodes * 100.0,
            );
        }
        assert_eq!(disk["path"], json!(mount));
        assert_eq!(disk["mount"], json!(df.target), "{mount}");
        assert_eq!(disk["fs_type"], json!(df.fs_type), "{mount}");
        for key in ["total_gb", "used_gb", "free_gb", "usage_percent"] {
            assert_eq!(result["disk_info"][key], disk[key], "{mount}: {key}");
        }
        compared += 1;
    }
    assert!(compared > 0, "df lists no mount");
}

#[test]
fn a_folder_belongs_to_the_mount_with_the_longest_prefix() {
    let env = TestEnv::new();
    let folder = env.path("home").display().to_string();
    let (df, result) = measure(&env, &folder).unwrap();
    assert_eq!(result["disks"][0]["path"], json!(folder));
    assert_eq!(result["disks"][0]["mount"], json!(df.target));
    if mounts(&env).contains(&"/dev/shm".to_owned()) {
        let result = env.taskmon(["disk", "/dev/shm", "--no-alert"]).run().json();
        assert_eq!(result["disks"][0]["mount"], "/dev/shm");
    }
}

fn statuses(env: &TestEnv, warning: &str, critical: &str) -> (Value, Value) {
    let result = env
        .taskmon(["disk", "/", "--no-alert", "--warning", warning, "--critical", critical])
        .success()
        .json();
    (result["disk_info"]["status"].clone(), result["disks"][0]["status"].clone())
}

#[test]
fn the_thresholds_of_the_flags_decide_the_status() {
    let env = TestEnv::new();
    assert_eq!(statuses(&env, "100", "100"), (json!("normal"), json!("normal")));
    assert_eq!(statuses(&env, "0", "100"), (json!("warning"), json!("warning")));
    assert_eq!(statuses(&env, "0", "0"), (json!("critical"), json!("critical")));
}

#[test]
fn fail_on_turns_a_state_into_an_exit_code() {
    let env = TestEnv::new();
    let limits = ["disk", "/", "--no-alert", "--warning", "0", "--critical", "100"];
    let exits = |severity: &str, code: i32| {
        let finished = env.taskmon(limits).arg("--fail-on").arg(severity).exits(code);
        assert_eq!(finished.json()["success"], true);
    };
    exits("warning", 4);
    exits("critical", 0);
}

#[test]
fn the_thresholds_of_the_file_decide_where_no_flag_does() {
    let env = TestEnv::new();
    env.write(
        "taskmon.toml",
        "[disk]\npaths = [\"/\"]\nwarning_percent = 0\ncritical_percent = 100\n",
    );
    let disk = || env.taskmon(["disk", "--no-alert"]);
    let result = disk().success().json();
    assert_eq!(result["disk_info"]["status"], "warning");
    let result = disk().arg("--warning").arg("100").success().json();
    assert_eq!(result["disk_info"]["status"], "normal");
}

#[test]
fn without_a_path_it_is_the_root_and_needs_no_database() {
    let env = TestEnv::new();
    let result = env.taskmon(["disk", "--warning", "100", "--critical", "100"]).success().json();
    assert_eq!(result["success"], true);
    assert_eq!(result["disks"].as_array().unwrap().len(), 1);
    assert_eq!(result["disks"][0]["path"], "/");
    assert_eq!(result["alerts"], json!([]));
}

#[test]
fn several_paths_are_all_measured_and_the_worst_is_disk_info() {
    let env = TestEnv::new();
    let folder = env.path("home").display().to_string();
    let result = env.taskmon(["disk", "/", &folder, "/dev", "--no-alert"]).run();
    assert_eq!(result.code, Some(0));
    let result = result.json();
    let disks = result["disks"].as_array().unwrap();
    let paths: Vec<&Value> = disks.iter().map(|disk| &disk["path"]).collect();
    assert_eq!(paths, ["/", folder.as_str(), "/dev"]);
    let rank = |status: &Value| {
        ["normal", "warning", "critical"].iter().position(|name| status == name).unwrap()
    };
    let worst = disks.iter().map(|disk| rank(&disk["status"])).max().unwrap();
    assert_eq!(rank(&result["disk_info"]["status"]), worst);
    assert!(disks.iter().any(|disk| disk["usage_percent"] == result["disk_info"]["usage_percent"]));
}

#[test]
fn a_path_that_is_missing_is_an_error_entry_and_the_others_are_measured() {
    let env = TestEnv::new();
    let finished = env.taskmon(["disk", "/", "/no/such/place", "--no-alert"]).exits(1);
    // A cron line throws standard output away.
    finished.stderr_contains("/no/such/place does not exist");
    let result = finished.json();
    assert_eq!(result["success"], true);
    assert_eq!(result["disks"].as_array().unwrap().len(), 1);
    assert_eq!(result["disks"][0]["path"], "/");
    let errors = result["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["path"], "/no/such/place");
}

#[test]
fn nothing_measured_is_a_failure() {
    let env = TestEnv::new();
    let finished = env.taskmon(["disk", "/no/such/place"]).exits(3);
    finished.failure("nothing_measured", &["/no/such/place"]);
}

#[test]
fn a_relative_path_starts_in_the_working_directory() {
    let env = TestEnv::new();
    let result = env.taskmon(["disk", "home", "--no-alert"]).run();
    let mount = df(&env, "home").unwrap().target;
    assert_eq!(result.json()["disks"][0]["mount"], json!(mount));
}

#[test]
fn thresholds_that_are_no_percentage_are_wrong_usage() {
    let env = TestEnv::new();
    for value in ["101", "-1", "many", "NaN"] {
        let flag = format!("--warning={value}");
        let finished = env.taskmon(["disk", "/", &flag]).exits(2);
        if finished.stdout().is_empty() {
            finished.stderr_contains(value);
        } else {
            finished.failure("usage", &[value]);
        }
    }
}

#[test]
fn as_text_it_names_each_path_and_its_status() {
    let env = TestEnv::new();
    let page = env
        .taskmon([
            "disk",
            "/",
            "--no-alert",
            "--output",
            "text",
            "--warning",
            "0",
            "--critical",
            "100",
        ])
        .success();
    page.stdout_contains("/").stdout_contains("%");
    assert!(serde_json::from_str::<Value>(page.stdout()).is_err());
}
