//! What jobs do not have of the environment that they are installed from.

use super::*;

/// The configuration that names variables, and a run that goes by some.
fn relying(env: &TestEnv) {
    let config = env.read("taskmon.toml");
    let database = "url = \"postgresql://app@127.0.0.1:1/app?sslmode=disable\"\n";
    let channels = "
[[alerts.channels]]
type = \"slack\"
url_env = \"SLACK_HOOK\"
[[alerts.channels]]
type = \"email\"
url = \"smtp://127.0.0.1:1\"
password_env = \"MAIL_PASSWORD\"
from = \"a@b.example\"
to = [\"c@d.example\"]
";
    let config = config.replace(&format!("url = \"{}\"\n", env.url()), database);
    env.write("taskmon.toml", &(config + channels));
}

#[test]
fn settings_that_only_the_environment_has_are_warned_of() {
    let env = environment();
    env.write("taskmon.toml", "");
    let finished = schedule(&env, &["install"])
        .env("TASKMON_DATABASE_URL", "sqlite:tasks.db")
        .env("LANG", "zh_CN.UTF-8")
        .success();
    let warnings = finished.json()["warnings"].to_string();
    assert!(warnings.contains("$TASKMON_DATABASE_URL") && warnings.contains("$LANG"), "{warnings}");
    finished.stderr_contains("$TASKMON_DATABASE_URL");
    // An empty variable counts as unset, in a crontab as anywhere.
    for (line, is_warned_of) in [("LANG=\"\"\n", true), ("LANG=zh_CN.UTF-8\n", false)] {
        schedule(&env, &["remove"]).success().json();
        put(&env, line);
        let finished = schedule(&env, &["install"]).env("LANG", "zh_CN.UTF-8").success();
        let warnings = finished.json()["warnings"].to_string();
        finished.stderr();
        assert_eq!(warnings.contains("$LANG"), is_warned_of, "{warnings}");
    }
}

#[test]
fn missing_variables_are_warned_of_each_with_what_to_do() {
    let env = environment();
    relying(&env);
    let install = |words: &[&str]| {
        let mut all = vec!["install"];
        all.extend(words);
        let finished = schedule(&env, &all)
            .env("PGPASSWORD", "s3cret")
            .env("PGPASSFILE", "/srv/pass")
            .env("PGSSLMODE", "require")
            .env("HTTPS_PROXY", "http://proxy:3128")
            .env("TASKMON_FAILED_TASKS_DAYS", "3")
            .success();
        let result = finished.json();
        let warnings: Vec<String> = result["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|warning| warning.as_str().unwrap().to_owned())
            .collect();
        for warning in &warnings {
            finished.stderr_contains(warning);
        }
        warnings
    };
    let warnings = install(&[]);
    for (name, todo) in [
        ("$SLACK_HOOK", "`alerts.channels[1].url_file`"),
        ("$MAIL_PASSWORD", "`alerts.channels[2].password_file`"),
        ("$PGPASSWORD", "~/.pgpass"),
        ("$HTTPS_PROXY", "HTTPS_PROXY=…"),
        ("$TASKMON_FAILED_TASKS_DAYS", "[cleanup]"),
    ] {
        let found: Vec<&String> =
            warnings.iter().filter(|warning| warning.contains(name)).collect();
        assert_eq!(found.len(), 1, "{name} in {warnings:#?}");
        assert!(found[0].contains(todo), "{todo} in {found:?}");
        assert!(found[0].contains("crontab above the block"), "{found:?}");
    }
    // The URL has its own mode, and a password that is there needs no file of passwords.
    for name in ["PGSSLMODE", "PGPASSFILE"] {
        assert!(!warnings.join("\n").contains(name), "{warnings:#?}");
    }
    // Variables above the block are set for the jobs.
    let text = crontab(&env);
    put(&env, &format!("SLACK_HOOK = https://hooks.example/x\n \"PGPASSWORD\"='x'\n{text}"));
    let warnings = install(&[]).join("\n");
    for name in ["SLACK_HOOK", "PGPASSWORD"] {
        assert!(!warnings.contains(name), "{warnings}");
    }
    assert!(warnings.contains("$MAIL_PASSWORD"), "{warnings}");
    let warnings = install(&["--systemd", "--unit-dir", "units"]).join("\n");
    assert!(warnings.contains("$SLACK_HOOK") && warnings.contains("Environment="), "{warnings}");
}
