//! The test environment: a folder, a clean environment and a database for each test.

use crate::support::finished::tree;
use crate::support::rows::Task;
use crate::support::run::Run;
use crate::support::wait_until;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The password of the roles `locked` and `tlsonly`; no run may ever print it.
pub const PASSWORD: &str = "s3cret:p@ss";
/// The same as a URL has to write it.
pub const PASSWORD_IN_URL: &str = "s3cret%3Ap%40ss";

/// A folder that is the working directory, `home` in it, and perhaps a database.
pub struct TestEnv {
    folder: TempDir,
    database: Database,
}

enum Database {
    None,
    Sqlite(PathBuf),
    Postgres(PostgresDatabase),
}

/// A database of the test server, dropped at the end with the roles that were made for it.
struct PostgresDatabase {
    name: String,
    roles: Mutex<Vec<String>>,
}

impl TestEnv {
    /// A folder, and no database.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("taskmon-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let database = Database::None;
        Self { folder, database }
    }

    /// With the preset's tables, empty, in a database of the test server, and a `taskmon.toml` that names it.
    pub fn postgres() -> Self {
        let name = format!("taskmon_{}_{}", std::process::id(), unique());
        // Copying the files takes half the time of making the tables, and less than writing the copy to the log.
        let copy = format!("CREATE DATABASE {name} TEMPLATE taskmon_template STRATEGY file_copy");
        server("postgres", "postgres").batch_execute(&copy).unwrap();
        let roles = Default::default();
        let env =
            Self { database: Database::Postgres(PostgresDatabase { name, roles }), ..Self::new() };
        env.config("");
        env
    }

    /// With the preset's tables, empty, in `tasks.db`, and a `taskmon.toml` that names it.
    pub fn sqlite() -> Self {
        let mut env = Self::new();
        env.database = Database::Sqlite(env.path("tasks.db"));
        env.sql(include_str!("../fixtures/taskmon_sqlite.sql"));
        env.config("");
        env
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, relative: impl AsRef<Path>) -> String {
        let path = self.path(relative);
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", path.display(), self.tree()))
    }

    pub fn tree(&self) -> String {
        tree(self.folder.path())
    }

    /// Writes `taskmon.toml` with the database, days in Shanghai and English; `more` goes on in `[database]`.
    pub fn config(&self, more: &str) {
        self.config_in("Asia/Shanghai", more);
    }

    /// The same with days in another zone. A test can set a file's mtime back, and nothing else: temp files are judged by that.
    pub fn config_in(&self, zone: &str, more: &str) {
        let by_mtime = "[cleanup]\ntemp_age_by = \"mtime\"";
        let more = if more.contains("[cleanup]") {
            more.replacen("[cleanup]", by_mtime, 1)
        } else {
            format!("{more}\n{by_mtime}")
        };
        let database = match &self.database {
            Database::None => String::new(),
            _ => format!("url = \"{}\"\n", self.url()),
        };
        let text =
            format!("timezone = \"{zone}\"\nlanguage = \"en\"\n\n[database]\n{database}{more}\n");
        self.write("taskmon.toml", &text);
    }

    /// The database's URL: the superuser on 127.0.0.1, or the SQLite file.
    pub fn url(&self) -> String {
        match &self.database {
            Database::None => panic!("this environment has no database"),
            Database::Sqlite(path) => format!("sqlite:{}", path.display()),
            Database::Postgres(_) => self.url_of("postgres"),
        }
    }

    /// The URL for another user, perhaps with its password, on 127.0.0.1: `locked:PASSWORD`.
    pub fn url_of(&self, user: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{}", route(), self.name())
    }

    /// The name of the PostgreSQL database.
    pub fn name(&self) -> &str {
        match &self.database {
            Database::Postgres(database) => &database.name,
            _ => panic!("this environment has no PostgreSQL database"),
        }
    }

    /// A connection to the PostgreSQL database as the superuser.
    pub fn client(&self) -> postgres::Client {
        server("postgres", self.name())
    }

    /// A connection to the PostgreSQL server as the superuser, to another database.
    pub fn server(&self) -> postgres::Client {
        server("postgres", "postgres")
    }

    /// A connection to the SQLite file.
    pub fn connection(&self) -> rusqlite::Connection {
        match &self.database {
            Database::Sqlite(path) => rusqlite::Connection::open(path).unwrap(),
            _ => panic!("this environment has no SQLite file"),
        }
    }

    /// Makes a role that logs in without a password and may read the tables; it goes with the database.
    pub fn role(&self, options: &str) -> String {
        let Database::Postgres(database) = &self.database else {
            panic!("only PostgreSQL has roles");
        };
        let role = format!("{}_{}", database.name, unique());
        database.roles.lock().unwrap().push(role.clone());
        self.sql(&format!(
            "CREATE ROLE {role} LOGIN {options}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
        ));
        role
    }

    /// Waits until at least so many runs wait for the table that [`lock_tasks`] has locked.
    #[track_caller]
    pub fn wait_until_blocked(&self, runs: usize) {
        let waiting = "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
                       WHERE datname = current_database() AND NOT granted AND relation IS NOT NULL";
        let mut observer = self.client();
        wait_until("a run waits for the table", || {
            observer.query(waiting, &[]).unwrap().len() >= runs
        });
    }

    /// Runs statements on the database, as one transaction.
    pub fn sql(&self, statements: &str) {
        match &self.database {
            Database::None => panic!("this environment has no database"),
            Database::Sqlite(_) => {
                let batch = format!("BEGIN;\n{statements};\nCOMMIT;");
                self.connection().execute_batch(&batch).unwrap();
            }
            Database::Postgres(_) => self.client().batch_execute(statements).unwrap(),
        }
    }

    pub fn insert(&self, tasks: impl IntoIterator<Item = Task>) {
        let statements: String = tasks.into_iter().map(|task| task.insert()).collect();
        self.sql(&statements);
    }

    /// The binary with arguments, in the folder.
    pub fn taskmon<A: Into<OsString>>(&self, arguments: impl IntoIterator<Item = A>) -> Run<'_> {
        self.program(env!("CARGO_BIN_EXE_taskmon"), arguments)
    }

    /// Another program under the same conditions; the binary is on its PATH.
    pub fn program<A: Into<OsString>>(
        &self,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run<'_> {
        Run::new(self, program.into(), arguments.into_iter().map(Into::into).collect())
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let mut client = server("postgres", "postgres");
        let mut run = |statement: String| {
            if let Err(error) = client.batch_execute(&statement) {
                // A second panic would abort and hide the first.
                eprintln!("{statement}: {error}");
            }
        };
        run(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        for role in self.roles.lock().unwrap().iter() {
            run(format!("DROP ROLE {role}"));
        }
    }
}

/// Where the test server is, by the variables that `scripts/test.sh` exports.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: the tests need their servers, run scripts/test.sh")
    })
}

pub fn port() -> u16 {
    variable("TASKMON_TEST_PG_PORT").parse().unwrap()
}

/// The variable that leads the programs to the test server on another way: through what listens on this port.
pub const ROUTE: &str = "TASKMON_TEST_PG_ROUTE";

/// Where the programs find the test server.
fn route() -> u16 {
    std::env::var(ROUTE).map_or_else(|_| port(), |port| port.parse().unwrap())
}

/// The hot standby, which has no TLS.
pub fn plain_port() -> u16 {
    variable("TASKMON_TEST_PG_PLAIN_PORT").parse().unwrap()
}

fn server(user: &str, database: &str) -> postgres::Client {
    let place = format!("host=127.0.0.1 port={} user={user} dbname={database}", port());
    postgres::Client::connect(&place, postgres::NoTls).unwrap()
}

/// On the way to the standby: waits until it has all that the test has written.
pub fn wait_for_standby() {
    if std::env::var(ROUTE).is_err() || route() != plain_port() {
        return;
    }
    let written: String = server("postgres", "postgres")
        .query_one("SELECT pg_current_wal_insert_lsn()::text", &[])
        .unwrap()
        .get(0);
    let place = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", plain_port());
    let mut standby = postgres::Client::connect(&place, postgres::NoTls).unwrap();
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    wait_until("the standby has replayed it", || standby.query_one(&replayed, &[]).unwrap().get(0));
}

/// Locks `tasks` against readers too, until the transaction ends.
pub fn lock_tasks(client: &mut postgres::Client) -> postgres::Transaction<'_> {
    let mut held = client.transaction().unwrap();
    held.batch_execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE").unwrap();
    held
}

fn unique() -> u32 {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

/// The variable that puts a program under the clock of `scripts/test.sh --at`; none without it.
pub fn clock() -> Option<(&'static str, OsString)> {
    std::env::var_os("LD_PRELOAD").map(|library| ("LD_PRELOAD", library))
}
