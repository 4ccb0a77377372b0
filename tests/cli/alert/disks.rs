//! What `disk` raises by itself.

use super::*;
use crate::support::server::status;

/// Thresholds that make any disk warn, or not.
fn disks(env: &TestEnv, warning: u32, critical: u32, more: &str) {
    env.write(
        "taskmon.toml",
        &format!(
            "timezone = \"{}\"\n[disk]\npaths = [\"/\"]\nwarning_percent = {warning}\ncritical_percent = {critical}\n{more}",
            zone()
        ),
    );
}

#[test]
fn disk_notifies_the_higher_of_the_pair_and_its_end() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    let disk = |code: i32, more: &[&str]| {
        let run = env.taskmon(["disk"]);
        more.iter().fold(run, |run, word| run.arg(*word)).exits(code)
    };
    disks(&env, 0, 100, &webhook(&server));
    assert_eq!(kinds(&disk(0, &["--no-alert"]).json()), ["disk_space_warning"]);
    assert_eq!((notified(&server).len(), logged(&env).len(), records(&env).len()), (0, 0, 0));

    let result = disk(0, &[]);
    result.stderr_contains("WARN ] Disk space is low: /, ");
    let alert = &result.json()["alerts"][0];
    assert_eq!(alert["type"], "disk_space_warning");
    assert_eq!((&alert["subject"], &alert["threshold"]), (&json!("/"), &json!(0)));
    assert_eq!(kinds(&good_result(disk(0, &[]))), ["disk_space_warning"]);
    assert_eq!(notified(&server), [["disk_space_warning"]]);

    disks(&env, 0, 0, &webhook(&server));
    let worse = disk(4, &["--fail-on", "critical"]);
    worse.stderr_contains("ERROR] Disk space is critical: /, ");
    assert_eq!(kinds(&worse.json()), ["disk_space_critical"]);
    assert_eq!(notified(&server)[1], ["disk_space_critical"]);

    disks(&env, 100, 100, &webhook(&server));
    let resolved = disk(0, &[]);
    // A resolved alert is logged as INFO.
    resolved
        .stderr_contains("INFO ] Resolved: Disk space is critical: /, ")
        .stderr_contains("INFO ] Resolved: Disk space is low: /, ");
    assert_eq!(resolved.json()["alerts"], json!([]));
    assert_eq!(notified(&server)[2], ["-disk_space_critical", "-disk_space_warning"]);
    good_result(disk(0, &[]));
    assert_eq!(notified(&server).len(), 3);
}

#[test]
fn only_the_disks_that_were_measured_are_resolved() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    disks(&env, 0, 100, &webhook(&server));
    let home = env.path("home").display().to_string();
    let result = good_result(env.taskmon(["disk", "/", &home]).exits(0));
    assert_eq!(kinds(&result), ["disk_space_warning"; 2]);
    good_result(env.taskmon(["disk", "/", "--alert", "--warning", "100"]).exits(0));
    let resolved = server.requests()[1].json();
    assert_eq!(signed_types(&resolved), ["-disk_space_warning"]);
    assert_eq!(resolved["alerts"][0]["subject"], "/");
    // A path that cannot be measured is not resolved either.
    std::fs::remove_dir(env.path("home")).unwrap();
    let finished = env.taskmon(["disk", "/", &home, "--alert", "--warning", "100"]).exits(1);
    finished.stderr_contains("does not exist").json();
    assert_eq!(notified(&server)[2..], [["disk_unmeasured"]]);
    std::fs::create_dir(env.path("home")).unwrap();
    good_result(env.taskmon(["disk", "/", &home, "--alert", "--warning", "100"]).exits(0));
    let resolved = server.requests()[3].json();
    assert_eq!(signed_types(&resolved), ["-disk_space_warning", "-disk_unmeasured"]);
    assert_eq!(resolved["alerts"][0]["subject"], json!(home));
}

#[test]
fn a_disk_run_that_could_measure_nothing_is_notified() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    disks(&env, 100, 100, &webhook(&server));
    let finished = env.taskmon(["disk", "/no/such/place"]).exits(3);
    assert_eq!(finished.json()["error"]["kind"], "nothing_measured");
    finished.stderr_contains("/no/such/place does not exist");
    assert_eq!(notified(&server), [["job_failed"]]);
    env.taskmon(["disk", "/no/such/place", "--no-alert"]).exits(3).failure("nothing_measured", &[]);
    good_result(env.taskmon(["disk"]).exits(0));
    assert_eq!(notified(&server)[1], ["-job_failed"]);
}
