//! The Debian package: built from the binary of the tests, and installed, upgraded, removed and purged in a Debian.

use crate::cli::debian::Debian;
use crate::support::env::TestEnv;
use serde_json::json;

const CONFIG: &str = "/etc/taskmon/taskmon.toml";
const AS_TASKMON: &str =
    "cd /root; setpriv --reuid taskmon --regid taskmon --init-groups env HOME=/var/lib/taskmon";

/// A Debian with the package at `/taskmon.deb`, and a later one at `/later.deb` whose configuration has one more line.
fn with_packages() -> Debian {
    let debian = Debian::new();
    let builder = TestEnv::new();
    let mut build = builder
        .program(
            format!("{}/scripts/deb.sh", env!("CARGO_MANIFEST_DIR")),
            ["--fast", "--output", "out"],
        )
        .arg("--binary")
        .arg(env!("CARGO_BIN_EXE_taskmon"));
    // cargo is the caller's.
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"] {
        if let Some(value) = std::env::var_os(name) {
            build = build.env(name, value);
        }
    }
    let built = build.success();
    built.stderr();
    std::fs::copy(built.stdout().trim(), debian.path("/taskmon.deb")).unwrap();
    debian.printed(
        "dpkg-deb -R taskmon.deb later && sed -i 's/^Version: .*/Version: 99/' later/DEBIAN/control &&
         echo '# later' >> later/etc/taskmon/taskmon.toml && dpkg-deb -b -Znone later && rm -r later",
    );
    debian
}

/// Installs without a question, and shows what it said only if it fails.
fn install(debian: &Debian, package: &str) {
    let installed = debian
        .shell(&format!("DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i {package}"))
        .success();
    installed.stdout();
    installed.stderr();
}

fn mode(debian: &Debian, path: &str) -> String {
    let mode = debian.printed(&format!("stat -c '%U:%G %a' {path}"));
    mode.trim().to_owned()
}

#[test]
fn the_package_is_installed_used_upgraded_removed_and_purged() {
    let debian = with_packages();
    let before = debian.printed("getent passwd; cat /etc/group | cut -d: -f1");
    assert!(!before.contains("taskmon"));
    install(&debian, "/taskmon.deb");

    // What is there.
    for file in [
        "/usr/share/bash-completion/completions/taskmon",
        "/usr/share/zsh/vendor-completions/_taskmon",
        "/usr/share/fish/vendor_completions.d/taskmon.fish",
        "/usr/share/man/zh_CN/man1/taskmon-cleanup.1.gz",
        "/usr/share/man/zh_CN/man7/taskmon-rules.7.gz",
        "/usr/share/doc/taskmon/crontab.example",
        "/usr/share/doc/taskmon/copyright",
    ] {
        assert!(debian.path(file).is_file(), "{file}");
    }
    assert_eq!(
        debian.read("/usr/share/doc/taskmon/crontab.example"),
        include_str!("../../crontab.example").replace("/usr/local/bin/taskmon", "/usr/bin/taskmon")
    );
    for (page, part) in [
        ("taskmon", "SYNOPSIS"),
        ("taskmon-cleanup", "SYNOPSIS"),
        ("taskmon-schedule", "SYNOPSIS"),
        ("taskmon-rules", "high_failure_rate"),
    ] {
        let text = debian.printed(&format!("MANPAGER=cat MANWIDTH=80 man {page} | col -b"));
        assert!(text.contains(part), "{page}: {text}");
    }
    debian.printed("bash -n /usr/share/bash-completion/completions/taskmon");

    // The user: not root, no login, no password; it owns its folders, and others cannot read the configuration.
    let user = debian
        .printed("id -u taskmon; id -Gn taskmon; getent passwd taskmon; getent shadow taskmon");
    let lines: Vec<&str> = user.lines().collect();
    assert!((100..1000).contains(&lines[0].parse::<u32>().unwrap()), "{user}");
    assert_eq!(lines[1], "taskmon");
    assert!(lines[2].ends_with(":/var/lib/taskmon:/usr/sbin/nologin"), "{user}");
    assert!(lines[3].starts_with("taskmon:!"), "{user}");
    assert_eq!(mode(&debian, CONFIG), "root:taskmon 640");
    assert_eq!(mode(&debian, "/var/lib/taskmon"), "taskmon:taskmon 750");
    assert_eq!(mode(&debian, "/var/log/taskmon"), "taskmon:adm 2750");
    debian
        .shell(&format!("setpriv --reuid nobody --regid nogroup --clear-groups cat {CONFIG}"))
        .exits(1)
        .stderr_contains("Permission denied");

    // Nothing runs by itself.
    assert_eq!(
        debian.printed("ls /etc/cron.d /var/spool/cron/crontabs | grep -c taskmon; true").trim(),
        "0"
    );
    let as_user = |words: &str| debian.shell(&format!("{AS_TASKMON} taskmon {words}"));
    let version = as_user("--version").success().stdout().to_owned();
    assert_eq!(version, format!("taskmon {}\n", env!("CARGO_PKG_VERSION")));
    let config = as_user("config").success().json();
    assert_eq!(
        json!([
            config["file"],
            config["base_dir"],
            config["stats"]["reports_dir"],
            config["alerts"]["records_dir"],
            config["alerts"]["logs_dir"],
            config["cleanup"]["log_dirs"]
        ]),
        json!([
            CONFIG,
            "/var/lib/taskmon",
            "/var/lib/taskmon/reports/daily",
            "/var/lib/taskmon/reports/alerts",
            "/var/log/taskmon",
            ["/var/lib/taskmon/logs"]
        ])
    );
    let checked = as_user("check").run().json();
    assert!(checked["checks"][0].to_string().contains(CONFIG), "{checked:#}");
    let permissions =
        checked["checks"].as_array().unwrap().iter().find(|check| check["name"] == "permissions");
    assert!(!permissions.unwrap().to_string().contains("failed"), "{checked:#}");
    let installed = as_user("schedule install").success().json();
    assert!(
        installed["block"]
            .as_str()
            .unwrap()
            .contains(&format!("/usr/bin/taskmon -c {CONFIG} stats > /dev/null")),
        "{installed:#}"
    );
    debian.printed("(crontab -u taskmon -l; echo '1 1 * * * true') | crontab -u taskmon -");
    as_user("disk / --alert --warning 0.001 --critical 99.9 -qq").success().json();
    let logs = debian.printed("stat -c '%n %U:%G' /var/log/taskmon/*");
    assert!(logs.contains("/var/log/taskmon/warning_alerts.log taskmon:adm"), "{logs}");
    // The rotation that comes along works as root runs it, and the next line begins a new file.
    debian.printed("logrotate --force /etc/logrotate.d/taskmon");
    assert_eq!(mode(&debian, "/var/log/taskmon/warning_alerts.log"), "taskmon:adm 640");
    assert!(debian.path("/var/log/taskmon/warning_alerts.log.1").is_file());

    // An upgrade: an unchanged configuration is replaced, and stays as private.
    install(&debian, "/later.deb");
    assert!(debian.read(CONFIG).ends_with("# later\n"));
    assert_eq!(mode(&debian, CONFIG), "root:taskmon 640");
    install(&debian, "/taskmon.deb");
    // One that was changed stays.
    let changed = debian.read(CONFIG) + "# mine\n";
    debian.write(CONFIG, &changed);
    debian.printed("chown taskmon:root /etc/taskmon/taskmon.toml; chmod 700 /var/lib/taskmon");
    install(&debian, "/later.deb");
    assert_eq!(debian.read(CONFIG), changed);
    assert_eq!(mode(&debian, CONFIG), "taskmon:root 640");
    assert_eq!(mode(&debian, "/var/lib/taskmon"), "taskmon:taskmon 700");
    assert_eq!(as_user("schedule install").success().json()["changed"], false);

    // Removing takes the program and its jobs away, although the configuration cannot be read, and leaves the rest.
    debian.write(CONFIG, "broken = [");
    debian.printed("dpkg -r taskmon > /dev/null");
    assert!(!debian.path("/usr/bin/taskmon").exists());
    assert_eq!(debian.read(CONFIG), "broken = [");
    assert!(debian.path("/var/log/taskmon/warning_alerts.log").is_file());
    assert_eq!(debian.printed("crontab -u taskmon -l"), "1 1 * * * true\n");

    debian.printed("dpkg -P taskmon > /dev/null");
    for gone in ["/etc/taskmon", "/etc/logrotate.d/taskmon", "/var/lib/taskmon", "/var/log/taskmon"]
    {
        assert!(!debian.path(gone).exists(), "{gone}");
    }
    // The user is left, without anything of the package's; what others keep (cron, man, locks until the next boot) is not its.
    let left = debian.printed(
        "find / -xdev '(' -user taskmon -o -name '*taskmon*' ')' | grep -v -e '^/tmp/taskmon-[0-9]*$' -e '^/tmp/taskmon-[0-9]*/[.]taskmon-schedule-.*[.]lock$' -e '^/var/cache/man/' -e '^/root/.cache/crontab/' \
           -e '^/var/spool/cron/crontabs/taskmon$' -e '^/[a-z]*[.]deb$'
         dpkg-query -W taskmon 2>&1; true",
    );
    assert_eq!(left, "dpkg-query: no packages found matching taskmon\n");
}
