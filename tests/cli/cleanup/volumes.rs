//! Volumes that are missing, full or read-only, and power that goes.

use super::*;

/// Set in the second run of a test.
const INSIDE: &str = "CLEANUP_TEST_HAS_ITS_OWN_MOUNTS";

fn with_own_mounts(name: &str, body: impl FnOnce()) {
    in_own_mounts(&format!("volumes::{name}"), body);
}

/// Runs the body in a mount namespace of its own, which the kernel takes down with its last process; `name` is the test's own name.
pub fn in_own_mounts(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let output = command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("cli::cleanup::{name}"), "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("1 passed"), "{name} is not this test's name: {said}");
}

pub fn mount(arguments: &[&str], point: &Path) {
    std::fs::create_dir_all(point).unwrap();
    let status = Command::new("mount").args(arguments).arg(point).status().unwrap();
    assert!(status.success(), "mount {arguments:?} {}: needs root", point.display());
}

/// A small disk in a file, with an ext4.
fn make_disk(image: &Path, features: &str) {
    std::fs::File::create(image).and_then(|file| file.set_len(16 << 20)).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-O", features]).arg(image).status();
    assert!(made.unwrap().success(), "mkfs.ext4 is missing or failed");
}

fn unmount(point: &Path) {
    let status = Command::new("umount").arg(point).status().unwrap();
    assert!(status.success(), "umount {}", point.display());
}

/// Writes all of a file system to its disk.
fn sync(point: &Path) {
    let status = Command::new("sync").arg("-f").arg(point).status().unwrap();
    assert!(status.success(), "sync -f {}", point.display());
}

/// Fills the file system to the last byte.
fn fill(folder: &Path) {
    use std::io::Write;
    let mut filler = std::fs::File::create(folder.join("filler")).unwrap();
    for size in [4096, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
}

/// The kernel goes on writing to the disk while it is read: read twice the same, it was that between the two readings.
fn content_at_one_moment(image: &Path) -> Vec<u8> {
    let mut content = std::fs::read(image).unwrap();
    loop {
        let again = std::fs::read(image).unwrap();
        if again == content {
            return content;
        }
        content = again;
    }
}

on_each_database! {
    fn a_volume_that_is_not_mounted_holds_its_rows_back(env) {
        let tasks = [old(1), old(2).without("image_path")];
        prepare(&env, &tasks);
        std::fs::rename(env.path("uploads"), env.path("elsewhere")).unwrap();
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(kinds(&result), ["root_unavailable"]);
        assert_eq!(ids(&env), ["1"]);
        std::fs::create_dir(env.path("uploads")).unwrap();
        assert_eq!(kinds(&cleanup(&env, 1, &["--only", "tasks"])), ["root_unavailable"]);
        env.write("uploads/something", "");
        env.config("[cleanup]\nroot_marker = '.mounted'");
        assert_eq!(kinds(&cleanup(&env, 1, &["--only", "tasks"]))[0], "root_unavailable");
        assert_eq!(ids(&env), ["1"]);
        std::fs::remove_dir_all(env.path("uploads")).unwrap();
        cleanup(&env, 0, &["--only", "tasks", "--force"]);
        assert!(ids(&env).is_empty());
    }

    fn a_volume_within_another_root_holds_its_rows_back_too(env) {
        prepare(&env, &[old(1).with("image_path", "uploads/volume/a.png"), old(2)]);
        std::fs::remove_file(env.path("uploads/volume/a.png")).unwrap();
        env.config("[cleanup]\nstorage_roots = ['uploads', 'uploads/volume', 'static']");
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(kinds(&result), ["root_unavailable"]);
        assert_eq!(ids(&env), ["1"]);
    }
}

#[test]
fn files_on_a_read_only_file_system_keep_their_rows() {
    with_own_mounts("files_on_a_read_only_file_system_keep_their_rows", || {
        let env = TestEnv::sqlite();
        let tasks = [
            old(1).with("image_path", "uploads/volume/1.png"),
            old(2).with("image_path", "uploads/volume/2.png"),
            old(3),
        ];
        let volume = env.path("uploads/volume");
        mount(&["-t", "tmpfs", "none"], &volume);
        prepare(&env, &tasks);
        mount(&["-o", "remount,ro"], &volume);
        let dry_run = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(dry_run["errors"], result["errors"]);
        assert_eq!(kinds(&result), ["not_removable"; 2]);
        let text = result["errors"].to_string();
        assert!(text.contains("read-only") && text.contains("uploads/volume/2.png"), "{text}");
        assert_eq!(ids(&env), ["1", "2"]);
        assert!(
            has_files(&env, &tasks[0]) && has_files(&env, &tasks[1]) && !has_files(&env, &tasks[2])
        );
        mount(&["-o", "remount,rw"], &volume);
        assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 2);
    });
}

/// What a disk held is what it holds when it has power again: a copy of it, made the moment the run is killed, takes its place.
#[test]
fn power_that_goes_at_any_moment_leaves_no_row_without_its_file_nor_a_file_for_ever() {
    let name = "power_that_goes_at_any_moment_leaves_no_row_without_its_file_nor_a_file_for_ever";
    with_own_mounts(name, || {
        for features in ["has_journal", "^has_journal"] {
            let env = TestEnv::sqlite();
            let path = |id: u32| format!("uploads/volume/{}/{id}.png", id % 9);
            let task = |id: u32| old(id).with("image_path", path(id));
            let (image, copy) = (env.path("disk.img"), env.path("copy.img"));
            make_disk(&image, features);
            let volume = env.path("uploads/volume");
            mount(&["-o", "loop", image.to_str().unwrap()], &volume);
            // The journal is on the disk that loses its power.
            env.config("[cleanup]\nstorage_roots = ['uploads/volume', 'uploads', 'static']");
            prepare(&env, &(1..=1000).map(task).collect::<Vec<_>>());
            sync(&volume);
            let mut met = 0;
            for moment in 0..12 {
                let before = ids(&env).len();
                if before < 100 {
                    break;
                }
                let mut run = env
                    .taskmon(arguments(&["--batch-size", "5", "-q", "-q"]))
                    .command()
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                while ids(&env).len() == before {
                    assert!(run.try_wait().unwrap().is_none(), "it ended by itself");
                }
                std::thread::sleep(Duration::from_millis(3 * (moment % 4)));
                run.kill().unwrap();
                run.wait().unwrap();
                std::fs::write(&copy, content_at_one_moment(&image)).unwrap();
                unmount(&volume);
                std::fs::rename(&copy, &image).unwrap();
                mount(&["-o", "loop", image.to_str().unwrap()], &volume);
                let left = ids(&env);
                met += before - left.len();
                for id in (1..=1000).filter(|id| left.contains(&id.to_string())) {
                    assert!(env.path(path(id)).exists(), "{features}: the row {id} lacks its file");
                }
            }
            assert!(met > 30, "{features}: {met} rows went");
            cleanup(&env, 0, &["--only", "tasks"]);
            assert!(ids(&env).is_empty());
            let back = (1..=1000).map(path).filter(|path| env.path(path).exists());
            assert_eq!(back.collect::<Vec<_>>(), Vec::<String>::new(), "{features}");
            assert_eq!(journals(&env), Vec::<String>::new());
            unmount(&volume);
        }
    });
}

/// The storage root has no room for a journal, and the database lies elsewhere.
#[test]
fn a_full_storage_root_is_cleared_all_the_same() {
    with_own_mounts("a_full_storage_root_is_cleared_all_the_same", || {
        let env = TestEnv::sqlite();
        let volume = env.path("uploads/volume");
        mount(&["-t", "tmpfs", "-o", "size=2m", "none"], &volume);
        env.config("[cleanup]\nstorage_roots = ['uploads/volume', 'uploads', 'static']");
        let task = |n| {
            let task = old(n).with("image_path", format!("uploads/volume/{n}.png"));
            task.without("document_path").without("screenshot_path")
        };
        prepare(&env, &(1..=20).map(task).collect::<Vec<_>>());
        fill(&volume);
        // Nor do the other roots take one.
        let chattr = |flag: &str| {
            for folder in ["uploads", "static"] {
                let folder = env.path(folder);
                let status = Command::new("chattr").arg(flag).arg(&folder).status();
                assert!(status.unwrap().success(), "{}", folder.display());
            }
        };
        chattr("+i");
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        chattr("-i");
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(20), &json!(20)));
        unmount(&volume);
    });
}

#[test]
fn a_full_disk_under_sqlite_is_reported_before_any_file_is_deleted() {
    with_own_mounts("a_full_disk_under_sqlite_is_reported_before_any_file_is_deleted", || {
        for journal in ["delete", "wal"] {
            let env = TestEnv::sqlite();
            let tasks: Vec<Task> = (1..=300).map(old).collect();
            prepare(&env, &tasks);
            let (small, url) = (env.path("small"), "sqlite:small/tasks.db");
            mount(&["-t", "tmpfs", "-o", "size=2m", "none"], &small);
            std::fs::copy(env.path("tasks.db"), small.join("tasks.db")).unwrap();
            let other = rusqlite::Connection::open(small.join("tasks.db")).unwrap();
            let set = format!("PRAGMA journal_mode = {journal}");
            other.query_row(&set, [], |_| Ok(())).unwrap();
            // With a write-ahead log: its index is there already, so that only the writing itself needs space.
            let count = || -> i64 {
                other.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap()
            };
            assert_eq!(count(), 300);
            fill(&small);
            let full = env.taskmon(arguments(&["--database-url", url])).exits(3);
            full.failure("database_unavailable", &["small/tasks.db", "full"]);
            assert_eq!(count(), 300, "{journal}");
            assert!(tasks.iter().all(|task| has_files(&env, task)), "{journal}");
            std::fs::remove_file(small.join("filler")).unwrap();
            let result = env.taskmon(arguments(&["--database-url", url])).exits(0).json();
            assert_eq!((result["tasks_cleaned"].as_i64(), count()), (Some(300), 0), "{journal}");
            assert_nothing_lost(&env, &tasks, &[], &[]);
        }
    });
}

/// Logs and temp files that are old lie on the same disk: the sweep makes the room that the rows need.
#[test]
fn on_a_full_disk_the_sweep_makes_room_for_the_rows() {
    with_own_mounts("on_a_full_disk_the_sweep_makes_room_for_the_rows", || {
        for key in ["log_dirs", "temp_dirs"] {
            let env = TestEnv::sqlite();
            let tasks: Vec<Task> = (1..=300).map(old).collect();
            prepare(&env, &tasks);
            let small = env.path("small");
            mount(&["-t", "tmpfs", "-o", "size=2m", "none"], &small);
            std::fs::copy(env.path("tasks.db"), small.join("tasks.db")).unwrap();
            env.write("small/logs/app.log.1", "0");
            fill(&small);
            std::fs::rename(small.join("filler"), small.join("logs/app.log.1")).unwrap();
            age(&small.join("logs/app.log.1"), 50_000);
            env.config(&format!("[cleanup]\n{key} = ['small/logs']"));
            let result = cleanup(&env, 0, &["--database-url", "sqlite:small/tasks.db"]);
            assert_eq!(result["tasks_cleaned"], 300, "{key}");
            assert_nothing_lost(&env, &tasks, &[], &[]);
        }
    });
}

/// Nobody has the database open, so that the index of its write-ahead log is not there either.
#[test]
fn on_a_full_disk_a_write_ahead_log_keeps_no_temp_folder_from_being_swept() {
    with_own_mounts(
        "on_a_full_disk_a_write_ahead_log_keeps_no_temp_folder_from_being_swept",
        || {
            let env = TestEnv::sqlite();
            let named = Task::new(900).with("image_path", "uploads/temp/named.png");
            let tasks: Vec<Task> = (1..=300).map(old).chain([named]).collect();
            env.insert(tasks.iter().cloned());
            let small = env.path("uploads");
            mount(&["-t", "tmpfs", "-o", "size=4m", "none"], &small);
            make_files(&env, &tasks);
            let other = rusqlite::Connection::open(env.path("tasks.db")).unwrap();
            other.query_row("PRAGMA journal_mode = wal", [], |_| Ok(())).unwrap();
            drop(other);
            std::fs::copy(env.path("tasks.db"), small.join("tasks.db")).unwrap();
            fill(&small);
            std::fs::rename(small.join("filler"), small.join("temp/filler")).unwrap();
            for name in ["filler", "named.png"] {
                age(&small.join("temp").join(name), 50_000);
            }
            let url = "sqlite:uploads/tasks.db";
            let stats = env.taskmon(["stats", "--no-alert", "--database-url", url]).exits(3);
            let document = stats.failure("database_unavailable", &["uploads/tasks.db"]);
            assert!(document["error"]["hint"].as_str().unwrap().contains("full"));
            let result = cleanup(&env, 0, &["--only", "tasks,temp", "--database-url", url]);
            assert_eq!(
                (&result["tasks_cleaned"], &result["files_cleaned"]),
                (&json!(300), &json!(901))
            );
            assert!(small.join("temp/named.png").exists() && !small.join("temp/filler").exists());
            env.taskmon(["stats", "--no-alert", "--database-url", url]).success().json();
        },
    );
}

/// The rows that go are written to an archive by a trigger, and there is no room for it.
#[test]
fn a_full_disk_under_postgresql_is_reported_before_any_file_is_deleted() {
    with_own_mounts("a_full_disk_under_postgresql_is_reported_before_any_file_is_deleted", || {
        let tasks: Vec<Task> = (1..=300).map(old).collect();
        let (cluster, env) = on_a_server_of_its_own(&tasks);
        let small = cluster.folder.path().join("small");
        let owner = std::fs::metadata(cluster.folder.path()).unwrap().uid();
        let options = format!("size=1m,uid={owner}");
        mount(&["-t", "tmpfs", "-o", &options, "none"], &small);
        let mut client = cluster.client();
        client
            .batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", small.display()))
            .unwrap();
        client.batch_execute(
            "CREATE TABLE archive TABLESPACE small AS SELECT * FROM tasks WHERE false; \
             CREATE FUNCTION archive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO archive SELECT old.*; RETURN old; END $$; \
             CREATE TRIGGER archive BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION archive()",
        ).unwrap();
        fill(&small);
        let full = env.taskmon(arguments(&[])).exits(3);
        full.failure("query_failed", &["deleting from tasks", "No space left on device"]);
        assert!(full.json()["error"]["hint"].as_str().unwrap().contains("disk"));
        assert_eq!(cluster.ids().len(), 300);
        assert!(tasks.iter().all(|task| has_files(&env, task)));
        std::fs::remove_file(small.join("filler")).unwrap();
        env.taskmon(arguments(&[])).exits(0).json();
        assert!(cluster.ids().is_empty());
        assert_nothing_lost(&env, &tasks, &[], &[]);
    });
}

#[test]
fn a_read_only_sqlite_file_is_named_and_nothing_is_deleted() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::sqlite();
    let tasks = [old(1)];
    prepare(&env, &tasks);
    let mode = |path: &str, bits| {
        std::fs::set_permissions(env.path(path), std::fs::Permissions::from_mode(bits)).unwrap();
    };
    for folder in ["uploads", "static"] {
        mode(folder, 0o777);
    }
    // The file, then its folder, which the journal goes to.
    for (file, folder) in [(0o444, 0o777), (0o666, 0o755)] {
        mode("tasks.db", file);
        mode(".", folder);
        let finished = if rustix::process::geteuid().is_root() {
            // Root may write everything.
            let words = ["--reuid=65534", "--regid=65534", "--clear-groups"];
            let words = words.into_iter().chain([env!("CARGO_BIN_EXE_taskmon")]);
            env.program("/usr/bin/setpriv", words.chain(arguments(&["--no-lock"]))).exits(3)
        } else {
            env.taskmon(arguments(&[])).exits(3)
        };
        finished.failure("permission_denied", &["tasks.db"]);
        assert!(has_files(&env, &tasks[0]));
    }
    mode("tasks.db", 0o666);
    let url = format!("{}?mode=ro", env.url());
    let refused = env.taskmon(arguments(&["--database-url", &url])).exits(2);
    refused.failure("config_invalid", &["mode=ro", "tasks.db"]);
    assert!(has_files(&env, &tasks[0]));
    assert_eq!(ids(&env), ["1"]);
}

/// No system call sets a ctime or a birth: the inodes of a disk that is not mounted are written.
#[test]
fn a_temp_file_goes_once_all_of_its_times_are_old() {
    with_own_mounts("a_temp_file_goes_once_all_of_its_times_are_old", || {
        let env = TestEnv::new();
        let (disk, temp) = (env.path("disk"), env.path("uploads/temp"));
        make_disk(&disk, "^has_journal");
        mount(&["-o", "loop", disk.to_str().unwrap()], &temp);
        let young = ["mtime", "ctime", "crtime"];
        for name in ["old", "mtime", "ctime", "crtime", "folder/old"] {
            env.write(&format!("uploads/temp/{name}"), "0123456789");
        }
        unmount(&temp);
        let long_ago = (chrono::Utc::now() - chrono::TimeDelta::days(2_000)).format("%Y%m%d");
        let fields = ["old", "mtime", "ctime", "crtime", "folder", "folder/old"].map(|name| {
            let old = young.iter().filter(|field| **field != name);
            old.map(|field| format!("set_inode_field /{name} {field} {long_ago}\n"))
                .collect::<String>()
        });
        env.write("fields", &fields.concat());
        let words = ["-w", "-f", "fields", disk.to_str().unwrap()];
        let written = env.program("debugfs", words).success();
        assert!(!written.stdout().is_empty() && written.stderr().starts_with("debugfs 1."));
        mount(&["-o", "loop", disk.to_str().unwrap()], &temp);
        let words = ["cleanup", "--only", "temp"];
        let dry_run = env.taskmon(words).arg("--dry-run").success().json();
        let result = env.taskmon(words).success().json();
        for result in [&dry_run, &result] {
            let counts = (&result["files_cleaned"], &result["folders_removed"]);
            assert_eq!(counts, (&json!(2), &json!(1)));
        }
        for name in young {
            assert!(temp.join(name).exists(), "{name} is young\n{}", env.tree());
        }
    });
}

/// The file system is the same, and the files are those of another folder.
#[test]
fn a_folder_that_is_mounted_within_a_temp_folder_is_not_swept() {
    with_own_mounts("a_folder_that_is_mounted_within_a_temp_folder_is_not_swept", || {
        let env = TestEnv::new();
        env.config("");
        for path in ["uploads/keep/old", "uploads/temp/file", "uploads/temp/old", "uploads/one"] {
            env.write(path, "1");
            age(&env.path(path), 50_000);
        }
        let bind = |from: &str, to: &str| {
            let status =
                Command::new("mount").arg("--bind").arg(env.path(from)).arg(env.path(to)).status();
            assert!(status.unwrap().success(), "mount --bind {from} {to}: needs root");
        };
        for folder in ["uploads/temp/bound", "uploads/temp/loop"] {
            std::fs::create_dir(env.path(folder)).unwrap();
        }
        bind("uploads/keep", "uploads/temp/bound");
        bind("uploads", "uploads/temp/loop");
        bind("uploads/one", "uploads/temp/file");
        let result = env.taskmon(["cleanup", "--only", "temp"]).success().json();
        assert_eq!(result["files_cleaned"], 1);
        for path in ["uploads/keep/old", "uploads/one", "uploads/temp/file"] {
            assert!(env.path(path).exists(), "{path}");
        }
    });
}

#[test]
fn a_sweep_that_cannot_see_what_is_in_use_says_so() {
    with_own_mounts("a_sweep_that_cannot_see_what_is_in_use_says_so", || {
        let env = TestEnv::new();
        env.config("");
        let sweep = || {
            let finished = env.taskmon(["cleanup", "--only", "temp"]).success();
            (finished.stderr().contains("/proc shows no process"), finished.json()["notes"].clone())
        };
        env.write("uploads/temp/1", "1");
        age(&env.path("uploads/temp/1"), 50_000);
        assert_eq!(sweep(), (false, json!([])));
        mount(&["-t", "tmpfs", "none"], Path::new("/proc"));
        // Nothing goes, and nothing is said.
        assert_eq!(sweep(), (false, json!([])));
        env.write("uploads/temp/2", "1");
        age(&env.path("uploads/temp/2"), 50_000);
        let (logged, notes) = sweep();
        assert!(logged && notes[0].as_str().unwrap().contains("in use"), "{notes}");
        assert!(!env.path("uploads/temp/2").exists());
    });
}
