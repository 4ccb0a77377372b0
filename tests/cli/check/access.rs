//! Who else may change what a job goes by, or read its secrets.

use crate::support::env::TestEnv;
use rustix::fs::{AtFlags, CWD, Gid, Uid, chownat};
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A user who is not the one of these tests, and whose group has others in it.
const OTHER: u32 = 65534;

fn mode(env: &TestEnv, path: &str, bits: u32) {
    std::fs::set_permissions(env.path(path), std::fs::Permissions::from_mode(bits)).unwrap();
}

fn own(env: &TestEnv, path: &str, user: Option<u32>, group: Option<u32>) {
    let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
    chownat(CWD, env.path(path), user, group, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A folder that others can get to, with a configuration in it that all may read and none but root write.
fn open_to_others(config: &str) -> TestEnv {
    let env = TestEnv::new();
    mode(&env, "", 0o755);
    env.write("conf/taskmon.toml", &format!("language = 'en'\n{config}"));
    mode(&env, "conf", 0o755);
    mode(&env, "conf/taskmon.toml", 0o644);
    env
}

/// The warnings of the check of the configuration.
#[track_caller]
fn warnings(env: &TestEnv) -> Vec<String> {
    let result = env.taskmon(["-q", "-q", "-c", "conf/taskmon.toml", "check"]).run().json();
    let checks = result["checks"].as_array().unwrap();
    let config = checks.iter().find(|check| check["name"] == "config").unwrap();
    let text = |finding: &Value| finding["message"].as_str().unwrap().to_owned();
    let findings = config["findings"].as_array().map_or_else(|| vec![config.clone()], Vec::clone);
    findings.iter().filter(|finding| finding["status"] == "warning").map(text).collect()
}

#[track_caller]
fn assert_warns(env: &TestEnv, parts: &[&str]) {
    let found = warnings(env);
    let fits = |warning: &String| parts.iter().all(|part| warning.contains(part));
    assert!(found.iter().any(fits), "{parts:?} in {found:#?}");
}

#[track_caller]
fn assert_quiet(env: &TestEnv) {
    assert_eq!(warnings(env), [""; 0]);
}

#[test]
fn a_configuration_that_others_may_change_is_a_warning() {
    let env = open_to_others("");
    assert_quiet(&env);
    mode(&env, "conf/taskmon.toml", 0o646);
    assert_warns(&env, &["the configuration: everybody may change", "conf/taskmon.toml"]);
    // Nobody else gets there.
    mode(&env, "conf", 0o700);
    assert_quiet(&env);
    mode(&env, "conf/taskmon.toml", 0o644);
    // The folder, in which it may be replaced; not where that takes its owner.
    mode(&env, "conf", 0o777);
    assert_warns(&env, &["everybody may change", "/conf"]);
    mode(&env, "conf", 0o1777);
    assert_quiet(&env);
    mode(&env, "conf", 0o755);
    own(&env, "conf", Some(OTHER), None);
    assert_warns(&env, &["user 65534 may change", "/conf"]);
    own(&env, "conf", Some(0), None);
    own(&env, "conf/taskmon.toml", Some(OTHER), None);
    assert_warns(&env, &["user 65534 may change", "conf/taskmon.toml"]);
    own(&env, "conf/taskmon.toml", Some(0), Some(OTHER));
    mode(&env, "conf/taskmon.toml", 0o664);
    assert_warns(&env, &["the group 65534 may change", "conf/taskmon.toml"]);
    // A group of root's alone.
    own(&env, "conf/taskmon.toml", None, Some(0));
    assert_quiet(&env);
}

#[test]
fn a_configuration_with_a_password_that_others_may_read_is_a_warning() {
    for secret in [
        "[database]\nurl = 'postgresql://u:hunter2@127.0.0.1:1/db'",
        "[broker]\nurl = 'redis://:hunter2@127.0.0.1:1/0'",
        "[[alerts.channels]]\ntype = 'webhook'\nurl = 'http://127.0.0.1:1/hunter2'",
    ] {
        let env = open_to_others(secret);
        assert_warns(&env, &["conf/taskmon.toml holds a password", "everybody may read it"]);
        mode(&env, "conf/taskmon.toml", 0o640);
        assert_quiet(&env);
        own(&env, "conf/taskmon.toml", None, Some(OTHER));
        assert_warns(&env, &["holds a password", "the group 65534 may read it"]);
        mode(&env, "conf/taskmon.toml", 0o600);
        assert_quiet(&env);
    }
    let env = open_to_others("[database]\nurl = 'postgresql://u@127.0.0.1:1/db'");
    assert_quiet(&env);
}

#[test]
fn a_secret_file_or_a_program_that_others_may_change_is_a_warning() {
    let env = open_to_others(
        "[[alerts.channels]]\ntype = 'webhook'\nurl_file = 'hook/url'\n[[alerts.channels]]\ntype = 'command'\ncommand = ['conf/send']",
    );
    env.write("conf/hook/url", "http://127.0.0.1:1/");
    env.write("conf/send", "#!/bin/sh\n");
    mode(&env, "conf/hook/url", 0o600);
    mode(&env, "conf/send", 0o755);
    assert_quiet(&env);
    mode(&env, "conf/send", 0o777);
    assert_warns(&env, &["command", "everybody may change", "conf/send"]);
    mode(&env, "conf/send", 0o755);
    mode(&env, "conf/hook", 0o777);
    assert_warns(&env, &["url_file", "everybody may change", "conf/hook"]);
    mode(&env, "conf/hook", 0o755);
    // By a link, both ways count.
    std::fs::rename(env.path("conf/hook"), env.path("hook")).unwrap();
    symlink("../hook", env.path("conf/hook")).unwrap();
    assert_quiet(&env);
    own(&env, "conf/hook", Some(OTHER), None);
    assert_warns(&env, &["url_file", "user 65534 may change", "conf/hook"]);
    own(&env, "conf/hook", Some(0), None);
    mode(&env, "hook/url", 0o602);
    assert_warns(&env, &["url_file", "everybody may change", "/hook/url"]);
}

#[test]
fn root_goes_by_no_configuration_of_another_user_that_it_only_found() {
    for place in ["taskmon.toml", "home/.config/taskmon/taskmon.toml"] {
        let env = TestEnv::new();
        env.write(place, "timezone = 'Asia/Kolkata'\n");
        env.taskmon(["config"]).success().json();
        own(&env, place, Some(OTHER), None);
        let refused = env.taskmon(["-q", "-q", "disk", "/"]).exits(2);
        let error = refused.failure("config_unreadable", &[place, "user 65534"]);
        let hint = error["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("--config") && hint.contains("chown root"), "{hint}");
        // Whoever names it means it.
        let named = env.taskmon(["-c", place, "config"]).success().json();
        assert_eq!(named["timezone"], "Asia/Kolkata");
        env.taskmon(["config"]).env("TASKMON_CONFIG", env.path(place)).success().json();
        // Another user's link to a file of root's.
        std::fs::rename(env.path(place), env.path("other.toml")).unwrap();
        own(&env, "other.toml", Some(0), None);
        symlink(env.path("other.toml"), env.path(place)).unwrap();
        env.taskmon(["config"]).success().json();
        own(&env, place, Some(OTHER), None);
        let refused = env.taskmon(["-q", "-q", "disk", "/"]).exits(2);
        refused.failure("config_unreadable", &[place, "symbolic link of user 65534"]);
        // That user itself is free to.
        mode(&env, "", 0o755);
        mode(&env, "home", 0o755);
        let words = [
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            env!("CARGO_BIN_EXE_taskmon"),
            "config",
        ];
        env.program("/usr/bin/setpriv", words).success().json();
    }
}
