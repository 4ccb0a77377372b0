//! The password of the database, in success and in each failure.

use super::*;

/// Every way to give a password, in success and in each failure, with all the log there is. The harness fails any run
/// whose output holds it.
#[test]
fn a_password_never_appears() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1)]);
    let pgpass = env.path("home/.pgpass");
    env.write("home/.pgpass", &format!("*:*:*:*:{}\n", PASSWORD.replace(':', "\\:")));
    std::fs::set_permissions(&pgpass, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let with = env.url_of(&format!("locked:{PASSWORD_IN_URL}"));
    let without = env.url_of("locked");
    let place = format!("127.0.0.1:{}", port());
    let elsewhere = |url: &str| url.replace(&place, "127.0.0.1:1");
    let failing = [
        ("unreachable", elsewhere(&with), elsewhere(&without), ""),
        ("no such database", with.clone() + "_none", without.clone() + "_none", ""),
        ("no such table", with.clone(), without.clone(), "[database.tasks]\nfrom = \"missing\"\n"),
        ("bad key", with.clone(), without.clone(), "[stats]\nreport_dir = \"x\"\n"),
        (
            "bad mode",
            with.clone() + "?sslmode=sometimes",
            without.clone() + "?sslmode=sometimes",
            "",
        ),
        (
            "wrong authority",
            format!(
                "{with}?sslmode=verify-ca&sslrootcert={}",
                variable("TASKMON_TEST_PG_WRONG_CA")
            ),
            format!(
                "{without}?sslmode=verify-ca&sslrootcert={}",
                variable("TASKMON_TEST_PG_WRONG_CA")
            ),
            "",
        ),
        ("success", with.clone(), without.clone(), ""),
    ];
    for (case, with, without, more) in failing {
        env.write("taskmon.toml", &format!("[database]\nurl = \"{with}\"\n{more}"));
        let check = |finished: crate::support::finished::Finished| {
            finished.stderr();
            let success = finished.json()["success"] == Value::Bool(true);
            assert_eq!(success, case == "success", "{case}: {}", finished.stdout());
        };
        check(env.taskmon(STATS).arg("-vv").run());
        env.write("taskmon.toml", more);
        check(env.taskmon(STATS).arg("-vv").arg("--database-url").arg(&with).run());
        check(env.taskmon(STATS).arg("-vv").env("TASKMON_DATABASE_URL", &with).run());
        check(env.taskmon(STATS).env("RUST_LOG", "trace").env("DATABASE_URL", &with).run());
        check(
            env.taskmon(STATS)
                .arg("-vv")
                .env("DATABASE_URL", &without)
                .env("PGPASSWORD", PASSWORD)
                .run(),
        );
        check(env.taskmon(STATS).arg("-vv").env("DATABASE_URL", &without).run());
    }
}

#[test]
fn the_effective_configuration_masks_the_password() {
    let env = TestEnv::new();
    let url =
        format!("postgresql://locked:{PASSWORD_IN_URL}@db.example:5433/app?application_name=x");
    env.write("taskmon.toml", &format!("[database]\nurl = \"{url}\"\n"));
    let finished = env.taskmon(["config"]).success();
    finished.stdout_contains("locked").stdout_contains("db.example");
}
