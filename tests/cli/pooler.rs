//! Behind a pooler that has one connection to the server for all clients.

use crate::cli::cleanup::AS_OF;
use crate::cli::stats::DAY;
use crate::support::env::TestEnv;
use crate::support::finished::Finished;
use crate::support::proxy::{Freeze, Proxy};
use crate::support::rows::{Task, long_ago};
use crate::support::server::dead_port;
use crate::support::wait_until;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

/// PgBouncer before the test server.
pub struct Pooler {
    process: Child,
    pub port: u16,
}

impl Pooler {
    /// `mode`: what clients take turns by, `transaction` or `session`; `connections`: how many it has to each database.
    pub fn start(env: &TestEnv, mode: &str, connections: usize) -> Self {
        let port = dead_port();
        let server = crate::support::env::port();
        env.write(
            "pooler/pgbouncer.ini",
            &format!(
                "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = {connections}\n",
                env.path("pooler/users").display()
            ),
        );
        env.write("pooler/users", "\"postgres\" \"\"\n");
        // It becomes another user.
        let readable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(env.path("."), readable).unwrap();
        let mut command = Command::new("pgbouncer");
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let process = command
            .args(["-q", env.path("pooler/pgbouncer.ini").to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer is missing: run scripts/test.sh");
        let pooler = Self { process, port };
        wait_until("the pooler listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        pooler
    }

    /// The binary with the database behind the pooler.
    fn run(&self, env: &TestEnv, words: &[&str]) -> Finished {
        let url = format!("postgresql://postgres@127.0.0.1:{}/{}", self.port, env.name());
        let run = env.taskmon(words.iter().copied()).arg("-qq");
        run.env("TASKMON_DATABASE_URL", url.as_str()).run()
    }
}

const JOBS: [&[&str]; 4] = [
    &["stats", "--date", DAY],
    &["alert"],
    &["cleanup", "--dry-run", "--only", "tasks", "--as-of", AS_OF],
    &["cleanup", "--only", "tasks", "--as-of", AS_OF],
];

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_job_works_where_a_pooler_has_one_connection_for_all() {
    std::thread::scope(|scope| {
        for mode in ["transaction", "session"] {
            scope.spawn(move || {
                let env = TestEnv::postgres();
                env.config("[database.tasks]\nqueue = 'courier_company'\nname = 'remarks'");
                env.insert([Task::new(1), Task::new(2).at(&long_ago())]);
                env.write("uploads/keep", "");
                env.write("static/keep", "");
                let pooler = Pooler::start(&env, mode, 1);
                for words in JOBS.iter().copied().chain([&["check"][..]]) {
                    let finished = pooler.run(&env, words);
                    let result = finished.json();
                    finished.stderr();
                    let is_done = if words[0] == "check" {
                        result["checks"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .any(|check| check["name"] == "mapping" && check["status"] == "ok")
                    } else {
                        matches!(finished.code, Some(0 | 1)) && result["success"] == true
                    };
                    assert!(is_done, "{mode}: {words:?}: {result:#}");
                    assert!(
                        finished.took.as_secs() < 30,
                        "{mode}: {words:?} took {:?}",
                        finished.took
                    );
                }
                let left = env.client().query("SELECT id FROM tasks", &[]).unwrap();
                assert_eq!(left.len(), 1, "{mode}");
            });
        }
    });
}

/// The lock is the only statement that is never answered.
#[test]
fn a_lock_among_hosts_that_does_not_answer_is_given_up_within_seconds() {
    for words in [&["stats", "--date", DAY][..], &["alert"]] {
        let env = TestEnv::postgres();
        env.insert([Task::new(1)]);
        let proxy = Proxy::new("pg_try_advisory_xact_lock", Freeze::Connection);
        let url = proxy.url(env.name());
        let run = env.taskmon(words.iter().copied()).arg("-qq");
        let finished = run.env("TASKMON_DATABASE_URL", url.as_str()).run();
        assert_eq!(finished.json()["success"], true);
        finished.stderr();
        assert!(proxy.is_frozen());
        assert!(finished.took.as_secs() < 20, "{words:?} took {:?}", finished.took);
    }
}

/// It takes no transactions at all.
#[test]
fn a_pooler_between_statements_is_named_as_the_cause() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1), Task::new(2).at(&long_ago())]);
    env.write("uploads/keep", "");
    env.write("static/keep", "");
    let pooler = Pooler::start(&env, "statement", 20);
    for words in JOBS {
        let finished = pooler.run(&env, words);
        let said = finished.json().to_string();
        assert_eq!(finished.code, Some(3), "{words:?}: {said}");
        assert!(
            said.contains("statement pooling") && said.contains("pool_mode"),
            "{words:?}: {said}"
        );
    }
    assert_eq!(env.client().query("SELECT id FROM tasks", &[]).unwrap().len(), 2);
}
