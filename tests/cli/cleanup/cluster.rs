//! A PostgreSQL server of a test's own, which it stops, starts and fills up.

use super::*;
use std::sync::atomic::{AtomicU16, Ordering};

/// A PostgreSQL server of a test's own, which it can stop.
pub(super) struct Cluster {
    pub(super) folder: tempfile::TempDir,
    pub(super) port: u16,
}

impl Cluster {
    pub(super) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("taskmon-cluster-").tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            let owner = Command::new("id").args(["-u", Self::user()]).output().unwrap();
            let owner = String::from_utf8(owner.stdout).unwrap();
            std::os::unix::fs::chown(folder.path(), Some(owner.trim().parse().unwrap()), None)
                .unwrap();
        }
        // Not one that the kernel hands out: while the server is down, somebody's connection could start from it.
        let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        // Nor one that another case's server had, which may be down and waited for.
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        let first = 20_000 + (std::process::id() % 10_000) as u16;
        let next = || first + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = std::iter::repeat_with(next).find(is_free).unwrap();
        let cluster = Self { folder, port };
        cluster.program(
            "initdb",
            &["-U", "postgres", "-A", "trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"],
        );
        cluster.up();
        let mut client = cluster.client();
        client.batch_execute(include_str!("../../fixtures/taskmon_postgres.sql")).unwrap();
        cluster
    }

    pub(super) fn user() -> &'static str {
        if std::fs::read_to_string("/etc/passwd").unwrap().contains("\npostgres:") {
            "postgres"
        } else {
            "nobody"
        }
    }

    /// The server refuses to run as root.
    pub(super) fn program(&self, name: &str, arguments: &[&str]) {
        let program = Path::new(&variable("TASKMON_TEST_PG_PROGRAMS")).join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", Self::user(), "--"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        let log = std::fs::File::create(self.folder.path().with_extension("log")).unwrap();
        let status = command
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap();
        let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let said = read(self.folder.path().with_extension("log"));
        let server = read(self.folder.path().join("server.log"));
        assert!(status.success(), "{name} {arguments:?}: {said}\n{server}");
    }

    pub(super) fn up(&self) {
        let folder = self.folder.path().display();
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c logging_collector=off",
            self.port
        );
        let log = format!("{folder}/server.log");
        self.program("pg_ctl", &["start", "-s", "-w", "-t", "60", "-l", &log, "-o", &options]);
    }

    pub(super) fn down(&self) {
        self.program("pg_ctl", &["stop", "-s", "-m", "immediate"]);
    }

    pub(super) fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.url(), postgres::NoTls).unwrap()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let rows = self.client().query("SELECT id::text FROM tasks ORDER BY id", &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(super) fn insert(&self, tasks: &[Task]) {
        let statements: String = tasks.iter().map(Task::insert).collect();
        self.client().batch_execute(&statements).unwrap();
    }

    /// Waits until so many rows are left at most.
    pub(super) fn wait_for(&self, rows: usize) {
        let mut client = self.client();
        loop {
            let count: i64 = client.query_one("SELECT count(*) FROM tasks", &[]).unwrap().get(0);
            if count <= rows as i64 {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.down();
        }
        // It may not even have been made.
        let _ = std::fs::remove_file(self.folder.path().with_extension("log"));
    }
}

/// A server of its own with expired tasks alone, which neither the brake nor the check of the clock minds, and a folder with their files.
pub(super) fn on_a_server_of_its_own(tasks: &[Task]) -> (Cluster, TestEnv) {
    let cluster = Cluster::start();
    let env = TestEnv::new();
    env.write(
        "taskmon.toml",
        &format!(
            "timezone = 'Asia/Shanghai'\n[database]\nurl = '{}'\nconnect_timeout_seconds = 2\n\
             [cleanup]\nbrake_percent = 0\nclock_gap_days = 0",
            cluster.url()
        ),
    );
    make_files(&env, tasks);
    cluster.insert(tasks);
    (cluster, env)
}
