//! Volumes that are not mounted, were remounted read-only or hang, in a mount namespace of the test's own.

use crate::support::env::TestEnv;
use crate::support::finished::Finished;
use serde_json::{Value, json};

/// Runs a script among mounts of its own; `volume` is a tmpfs of 1000 pages, made by `mount_volume`, and `fstab` lies over the host's.
fn among_mounts(env: &TestEnv, script: &str) -> Finished {
    let prelude = "set -e; mkdir -p volume; touch fstab; [ -e /etc/fstab ] || touch /etc/fstab; \
        mount --bind fstab /etc/fstab; \
        mount_volume() { mount -t tmpfs -o nr_blocks=1000,\"$1\" volume \"$PWD/volume\"; }; ";
    let script = format!("cd \"$FOLDER\"; {prelude} {script}");
    let flags = ["--mount", "--propagation", "private", "timeout", "--kill-after=5", "120"];
    env.program("unshare", flags.into_iter().chain(["sh", "-c", &script]))
        .env("FOLDER", env.path(""))
        .run()
}

/// The results that a script printed, a line each.
fn results(finished: &Finished) -> Vec<Value> {
    let lines = finished.stdout().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn configure(env: &TestEnv, more: &str) {
    let volume = env.path("volume");
    env.write(
        "taskmon.toml",
        &format!(
            "[alerts]\nlogs_dir = 'logs'\n[disk]\ncritical_percent = 95\nwarning_percent = 95\n[[disk.paths]]\npath = '/proc'\n[[disk.paths]]\npath = '{}'\n{more}",
            volume.display()
        ),
    );
}

/// What went wrong in a result: the kinds of its errors, and of its alerts.
fn kinds(result: &Value) -> (Vec<&str>, Vec<&str>) {
    let texts = |list: &'static str, key: &'static str| {
        let entries = result[list].as_array().unwrap().iter();
        entries.map(|entry| entry[key].as_str().unwrap()).collect()
    };
    (texts("errors", "kind"), texts("alerts", "type"))
}

/// The status of each line of the alerts' records, with the type.
fn recorded(env: &TestEnv) -> Vec<(String, String)> {
    let folder = std::fs::read_dir(env.path("reports/alerts")).unwrap().flatten();
    let files = folder.map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let text: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = records.filter(|record| record.get("type").is_some());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    records.map(|record| (text(&record["type"]), text(&record["status"]))).collect()
}

fn entries(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect()
}

#[test]
fn a_volume_that_is_not_mounted_any_more_does_not_resolve_its_alert() {
    let env = TestEnv::new();
    configure(&env, "");
    let finished = among_mounts(
        &env,
        "mount_volume rw; head -c 3950000 /dev/zero >volume/full; \
         taskmon disk --compact; umount volume; taskmon disk --compact || true; \
         mount_volume rw; taskmon disk --compact",
    );
    finished.stderr_contains("should be a mount point as it was before");
    let results = results(&finished);
    assert_eq!(kinds(&results[0]), (vec![], vec!["disk_space_critical"]));
    assert_eq!(kinds(&results[1]), (vec!["disk_not_mounted"], vec!["disk_not_mounted"]));
    assert_eq!(results[1]["disks"].as_array().unwrap().len(), 1);
    assert_eq!(kinds(&results[2]), (vec![], vec![]));
    assert_eq!(
        recorded(&env),
        entries(&[
            ("disk_space_critical", "firing"),
            ("disk_not_mounted", "firing"),
            ("disk_not_mounted", "resolved"),
            ("disk_space_critical", "resolved"),
        ])
    );
}

#[test]
fn a_mount_is_expected_by_fstab_and_by_the_configuration() {
    let env = TestEnv::new();
    configure(&env, "");
    let script =
        "echo \"UUID=1 $PWD/volume ext4 defaults 0 2\" >fstab; taskmon disk --compact --no-alert";
    let finished = among_mounts(&env, script);
    finished.stderr_contains("should be a mount point by /etc/fstab");
    assert_eq!(kinds(&results(&finished)[0]).0, ["disk_not_mounted"]);

    configure(&env, "mount = false");
    assert_eq!(kinds(&results(&among_mounts(&env, script))[0]).0, [""; 0]);

    configure(&env, "mount = true");
    let script = "mkdir volume/in; taskmon disk --compact --no-alert || true; mount_volume rw; taskmon disk --compact --no-alert";
    let finished = among_mounts(&env, script);
    finished.stderr_contains("should be a mount point by the configuration");
    let results = results(&finished);
    assert_eq!(kinds(&results[0]).0, ["disk_not_mounted"]);
    assert_eq!(kinds(&results[1]).0, [""; 0]);
}

#[test]
fn a_file_system_that_was_remounted_read_only_is_said_until_it_can_be_written_to() {
    let env = TestEnv::new();
    configure(&env, "label = '照片'");
    let finished = among_mounts(
        &env,
        "mount_volume rw; taskmon disk --compact; mount -o remount,ro volume; \
         taskmon disk --compact; taskmon disk --compact; mount -o remount,rw volume; taskmon disk --compact",
    );
    finished.stderr_contains("ERROR] Disk is read-only").stderr_contains("Resolved: Disk is");
    let results = results(&finished);
    let read_only = |result: &Value| result["disks"][1]["read_only"].clone();
    assert_eq!(results.iter().map(read_only).collect::<Vec<_>>(), [false, true, true, false]);
    for (place, alerts) in [(0, 0), (1, 1), (2, 1), (3, 0)] {
        assert_eq!(results[place]["alerts"].as_array().unwrap().len(), alerts, "{place}");
    }
    let alert = &results[1]["alerts"][0];
    assert_eq!((&alert["type"], &alert["severity"]), (&json!("disk_read_only"), &json!("error")));
    let shown = format!("照片 ({})", env.path("volume").display());
    assert!(alert["message"].as_str().unwrap().contains(&shown), "{alert}");
    assert_eq!(recorded(&env).last(), entries(&[("disk_read_only", "resolved")]).last());
}

#[test]
fn a_path_that_cannot_be_measured_is_an_alert_until_it_can_be() {
    let env = TestEnv::new();
    configure(&env, "");
    let finished = env.taskmon(["disk", "--compact"]).exits(1);
    finished.stderr_contains("does not exist");
    assert_eq!(kinds(&finished.json()), (vec!["path_missing"], vec!["disk_unmeasured"]));
    std::fs::create_dir(env.path("volume")).unwrap();
    let resolved = env.taskmon(["disk"]).exits(0);
    resolved.stderr_contains("Resolved: Disk cannot be measured");
    assert_eq!(kinds(&resolved.json()), (vec![], vec![]));
    assert_eq!(
        recorded(&env),
        entries(&[("disk_unmeasured", "firing"), ("disk_unmeasured", "resolved")])
    );
}

/// The daemon takes each request and answers none: what waits for it cannot even be killed.
#[test]
fn a_run_ends_though_a_file_system_hangs_and_the_next_one_adds_no_process_to_it() {
    let env = TestEnv::new();
    configure(&env, "");
    // Of all requests it answers the first, by which the kernel begins.
    let daemon = "
import os, struct, sys
fd = os.open('/dev/fuse', os.O_RDWR)
os.set_inheritable(fd, True)
os.system(f'mount -i -t fuse -o fd={fd},rootmode=40000,user_id=0,group_id=0 hanging {sys.argv[1]}')
unique = struct.unpack('<Q', os.read(fd, 1 << 20)[8:16])[0]
init = struct.pack('<IIIIHHIIHHI7I', 7, 31, 65536, 0, 12, 9, 65536, 1, 16, 0, 0, *[0] * 7)
os.write(fd, struct.pack('<IiQ', 16 + len(init), 0, unique) + init)
print('mounted', flush=True)
while True:
    os.read(fd, 1 << 20)
";
    env.write("daemon.py", daemon);
    let script = "mkfifo mounted; python3 daemon.py \"$PWD/volume\" >mounted & \
        daemon=$!; read line <mounted; \
        taskmon disk --compact || true; taskmon disk --compact || true; \
        pgrep -c -f \"ask-file-system.$PWD/volume\" >&2; kill $daemon";
    let finished = among_mounts(&env, script);
    let results = results(&finished);
    assert_eq!(results.len(), 2, "{}", finished.stderr());
    for result in &results {
        assert_eq!(kinds(result), (vec!["disk_timeout"], vec!["disk_unmeasured"]), "{result}");
        assert_eq!(result["disks"][0]["path"], "/proc");
    }
    finished.stderr_contains("within 10 s").stderr_contains("still does not answer: process ");
    let processes = finished.stderr().lines().find_map(|line| line.parse::<u32>().ok());
    assert_eq!(processes, Some(1), "{}", finished.stderr());
}
