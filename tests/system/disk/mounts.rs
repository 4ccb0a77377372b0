//! Mounts of a test's own, and a folder that may not be entered.
//!
//! These tests run themselves again in a mount namespace of their own, which the kernel takes down with its last process: nothing that
//! they mount is seen outside or stays. They need root, or a kernel that lets users make namespaces; without either they fail.

use super::df::compare_with_df;
use super::*;

/// Set to the folder to mount in, in the second run of a test.
const INSIDE: &str = "TASKMON_TEST_MOUNTS_IN";

/// Runs `body` in a mount namespace of its own, with an empty folder; `name` is the test's own name.
fn with_own_mounts(name: &str, body: impl FnOnce(&Path)) {
    // A name with a blank and beyond ASCII: the kernel's list escapes the one and not the other.
    if let Some(folder) = std::env::var_os(INSIDE) {
        return body(Path::new(&folder));
    }
    let mut unshare = vec!["unshare", "--mount", "--propagation", "private"];
    if !rustix::process::geteuid().is_root() {
        unshare.push("--map-root-user");
    }
    run_again(name, &unshare);
}

/// Runs one test of this file again, under another program that executes its arguments.
fn run_again(name: &str, under: &[&str]) {
    let folder = tempfile::Builder::new().prefix("disk test 物流 ").tempdir().unwrap();
    let folder_path = folder.path().canonicalize().unwrap();
    let (_, module) = module_path!().split_once("::").unwrap();
    // A process that cannot end is the failure that one of these tests is about.
    let stdout = output(
        Command::new("timeout")
            .args(["--kill-after=5", "120"])
            .args(under)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::{name}"), "--nocapture"])
            .env(INSIDE, &folder_path),
    );
    assert!(stdout.contains("1 passed"), "{name} is not this test's name: {stdout}");
}

fn mount(options: &[&str], source: &Path, point: &Path) {
    fs::create_dir_all(point).unwrap();
    output(Command::new("mount").args(options).arg(source).arg(point));
}

fn mount_tmpfs(name: &str, options: &str, point: &Path) {
    mount(&["-t", "tmpfs", "-o", options], Path::new(name), point);
}

fn block_size(point: &Path) -> usize {
    let text = output(Command::new("stat").args(["-f", "-c", "%S"]).arg(point));
    text.trim().parse().unwrap()
}

/// A mount that never answers: a FUSE file system whose server reads no request. The server ends with the test, as its standard input does.
struct Hanging {
    _server: Child,
}

impl Hanging {
    fn mount(point: &Path) -> Self {
        fs::create_dir_all(point).unwrap();
        let script = "exec 3<>/dev/fuse && \
             mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hanging \"$1\" && \
             echo mounted && exec cat";
        let mut server = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(point)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n");
        Self { _server: server }
    }
}

#[test]
fn a_path_that_may_not_be_entered_is_an_entry_of_its_own_kind() {
    const NAME: &str = "a_path_that_may_not_be_entered_is_an_entry_of_its_own_kind";
    let inside = std::env::var_os(INSIDE);
    if inside.is_none() {
        // Root may enter everything unless it gives the right up.
        return if rustix::process::geteuid().is_root() {
            run_again(NAME, &["setpriv", "--bounding-set=-all"])
        } else {
            run_again(NAME, &["env"])
        };
    }
    let closed = Path::new(&inside.unwrap()).join("closed");
    let path = closed.join("within");
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let report = measured(&[&path, Path::new("/")]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(report.errors.len(), 1);
    assert_eq!(report.errors[0].kind, "path_unreadable");
    let message = &report.errors[0].message;
    assert!(message.contains("Permission denied"), "{message}");
    assert_eq!(report.disks.len(), 1);
}

#[test]
fn space_passes_a_threshold_one_block_above_it() {
    with_own_mounts("space_passes_a_threshold_one_block_above_it", |folder| {
        mount_tmpfs("small", "nr_blocks=1000", folder);
        let block = block_size(folder);
        let file = folder.join("filling");
        for (blocks, percent, status) in [
            (0, 0.0, Status::Normal),
            (800, 80.0, Status::Normal),
            (801, 80.1, Status::Warning),
            (900, 90.0, Status::Warning),
            (901, 90.1, Status::Critical),
            (1000, 100.0, Status::Critical),
        ] {
            fs::write(&file, vec![b'x'; blocks * block]).unwrap();
            let disk = only(folder);
            assert_eq!((disk.usage_percent, disk.status), (percent, status));
            compare_with_df(folder);
        }
    });
}

#[test]
fn inodes_pass_a_threshold_one_file_above_it() {
    with_own_mounts("inodes_pass_a_threshold_one_file_above_it", |folder| {
        mount_tmpfs("few", "nr_inodes=1000,nr_blocks=1000", folder);
        // The root folder is one.
        let mut made = 1;
        for (inodes, percent, status) in [
            (800, 80.0, Status::Normal),
            (801, 80.1, Status::Warning),
            (900, 90.0, Status::Warning),
            (901, 90.1, Status::Critical),
            (1000, 100.0, Status::Critical),
        ] {
            while made < inodes {
                fs::write(folder.join(made.to_string()), "").unwrap();
                made += 1;
            }
            let report = measured(&[Path::new("/proc"), folder]);
            let disk = &report.disks[1];
            assert_eq!(disk.usage_percent, 0.0);
            assert_eq!(disk.inodes_usage_percent, Some(percent));
            assert_eq!(disk.status, status);
            let worst = report.disk_info.unwrap();
            assert_eq!(worst.path, disk.path);
            assert_eq!(worst.status, status);
            assert_eq!(worst.inodes_usage_percent, Some(percent));
            compare_with_df(folder);
        }
    });
}

#[test]
fn a_file_system_that_counts_no_inodes_has_no_figure_for_them() {
    with_own_mounts("a_file_system_that_counts_no_inodes_has_no_figure_for_them", |folder| {
        mount_tmpfs("endless", "nr_inodes=0,nr_blocks=1000", folder);
        assert_eq!(only(folder).inodes_usage_percent, None);
        compare_with_df(folder);
    });
}

#[test]
fn a_path_belongs_to_the_mount_that_holds_it() {
    with_own_mounts("a_path_belongs_to_the_mount_that_holds_it", |folder| {
        let at = |path: &str| folder.join(path);
        let device = |path: &str| only(&at(path)).device.unwrap();
        mount_tmpfs("outer", "nr_blocks=1000", &at("data"));
        mount_tmpfs("second", "nr_blocks=2000", &at("data2"));
        mount_tmpfs("inner", "nr_blocks=3000", &at("data/in/one"));
        fs::create_dir_all(at("data/in/one/deep/er")).unwrap();
        fs::create_dir_all(at("data/in/one_more")).unwrap();
        mount(&["--bind"], &at("data/in"), &at("bound"));
        mount(&["--rbind"], &at("data/in"), &at("bound with all"));
        symlink(at("data/in/one/deep"), at("link")).unwrap();
        mount_tmpfs("a name", "nr_blocks=4000", &at("blank é\t#\\\n物流"));

        assert_eq!(device("data"), "outer");
        assert_eq!(device("data/in"), "outer");
        assert_eq!(device("data/in/one_more"), "outer");
        assert_eq!(device("data/in/one"), "inner");
        assert_eq!(device("data/in/one/deep/er"), "inner");
        assert_eq!(device("data2"), "second");
        assert_eq!(device("link/er"), "inner");
        assert_eq!(device("data2/../data/in/one/deep"), "inner");
        // A plain bind leaves the mounts inside behind.
        assert_eq!(device("bound/one"), "outer");
        assert_eq!(device("bound with all/one"), "inner");
        assert_eq!(device("blank é\t#\\\n物流"), "a name");
        for (path, expected) in [
            ("data/in/one_more", "data"),
            ("link/er", "data/in/one"),
            ("bound/one_more", "bound"),
            ("bound with all/one/deep", "bound with all/one"),
            ("blank é\t#\\\n物流", "blank é\t#\\\n物流"),
        ] {
            let mount = only(&at(path)).mount.unwrap();
            assert_eq!(mount.as_bytes(), at(expected).as_os_str().as_bytes());
        }
        for path in ["data", "data2", "data/in/one/deep"] {
            compare_with_df(&at(path));
        }
    });
}

#[test]
fn a_mount_hides_what_was_there_before_it() {
    with_own_mounts("a_mount_hides_what_was_there_before_it", |folder| {
        let at = |path: &str| folder.join(path);
        mount_tmpfs("below", "nr_blocks=1000", &at("a"));
        mount_tmpfs("deep", "nr_blocks=2000", &at("a/b"));
        mount_tmpfs("above", "nr_blocks=3000", &at("a"));
        fs::create_dir(at("a/b")).unwrap();
        // The list still has `a/b` from below, and its name is the longest.
        let disk = only(&at("a/b"));
        assert_eq!(disk.device.as_deref(), Some("above"));
        assert_eq!(disk.mount.as_deref(), at("a").to_str());
        compare_with_df(&at("a"));
    });
}

#[test]
fn without_a_list_of_mounts_the_figures_are_complete_and_an_error_names_the_unknown_ones() {
    with_own_mounts(
        "without_a_list_of_mounts_the_figures_are_complete_and_an_error_names_the_unknown_ones",
        |folder| {
            mount_tmpfs("known", "nr_blocks=1000", folder);
            let with_list = only(folder);
            mount_tmpfs("cover", "nr_blocks=1", Path::new("/proc"));
            let report = measured(&[folder]);
            let unknown = Disk { mount: None, device: None, fs_type: None, ..with_list };
            assert_eq!(report.disks, [unknown]);
            assert_eq!(report.errors.len(), 1);
            assert_eq!(report.errors[0].kind, "mounts_unreadable");
        },
    );
}

#[test]
fn mounts_that_hang_cost_one_deadline_and_no_other_figures() {
    with_own_mounts("mounts_that_hang_cost_one_deadline_and_no_other_figures", |folder| {
        let hanging: Vec<PathBuf> =
            ["one", "two/deep/er", "three"].map(|name| folder.join(name)).into();
        let _servers: Vec<Hanging> = hanging.iter().map(|at| Hanging::mount(at)).collect();
        let inside = hanging[1].join("a folder in it");

        // A mount that hangs does not affect the others.
        let start = Instant::now();
        assert_eq!(only(folder).path, folder.to_str().unwrap());
        assert!(start.elapsed() < Duration::from_secs(2));

        let deadline = Duration::from_secs(2);
        let missing = folder.join("missing");
        let [root, proc] = ["/", "/proc"].map(Path::new);
        let start = Instant::now();
        let report =
            measured_within(&[&hanging[0], root, &inside, &missing, &hanging[2], proc], deadline);
        let took = start.elapsed();
        assert!(took >= deadline && took < deadline * 2, "{took:?}");

        let entries: Vec<(&str, &str)> = report
            .errors
            .iter()
            .map(|error| (error.kind, error.path.as_deref().unwrap()))
            .collect();
        assert_eq!(
            entries,
            [
                ("disk_timeout", hanging[0].to_str().unwrap()),
                ("disk_timeout", inside.to_str().unwrap()),
                ("path_missing", missing.to_str().unwrap()),
                ("disk_timeout", hanging[2].to_str().unwrap()),
            ]
        );
        assert!(report.errors[0].message.contains("within 2 s"), "{:?}", report.errors[0]);
        let measured: Vec<&str> = report.disks.iter().map(|disk| disk.path.as_str()).collect();
        assert_eq!(measured, ["/", "/proc"]);
        assert_eq!(report.disk_info.unwrap().path, "/");
        // And now this process ends: `run_again` waits for that.
    });
}
