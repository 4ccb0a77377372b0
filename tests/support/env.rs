//! The test environment: a folder of its own, a clean environment, a database of its own, and runs of the binary
//! that are held to what the test states. What a test does not state about an output stream must be empty.

use crate::support::rows::Task;
use serde_json::Value;
use std::cell::Cell;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The password of the roles `locked` and `tlsonly`; no run may ever print it.
pub const PASSWORD: &str = "s3cret:p@ss";
/// The same as a URL has to write it.
pub const PASSWORD_IN_URL: &str = "s3cret%3Ap%40ss";
/// What every spelling of it has in common.
const SECRET: &str = "s3cret";

/// No run takes this long; one that does is killed, and its test fails.
const DEADLINE: Duration = Duration::from_secs(90);

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

    /// Writes `taskmon.toml` with the database, days in Shanghai and Chinese; `more` goes on in `[database]`.
    pub fn config(&self, more: &str) {
        self.config_in("Asia/Shanghai", more);
    }

    /// The same with days in another zone.
    pub fn config_in(&self, zone: &str, more: &str) {
        let database = match &self.database {
            Database::None => String::new(),
            _ => format!("url = \"{}\"\n", self.url()),
        };
        let text =
            format!("timezone = \"{zone}\"\nlanguage = \"zh\"\n\n[database]\n{database}{more}\n");
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
        format!("postgresql://{user}@127.0.0.1:{}/{}", port(), self.name())
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
        Run {
            env: self,
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
            input: None,
        }
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

/// The hot standby, which has no TLS.
pub fn plain_port() -> u16 {
    variable("TASKMON_TEST_PG_PLAIN_PORT").parse().unwrap()
}

fn server(user: &str, database: &str) -> postgres::Client {
    let place = format!("host=127.0.0.1 port={} user={user} dbname={database}", port());
    postgres::Client::connect(&place, postgres::NoTls).unwrap()
}

fn unique() -> u32 {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

/// The variable that puts a program under the clock of `scripts/test.sh --at`; none without it.
pub fn clock() -> Option<(&'static str, OsString)> {
    std::env::var_os("LD_PRELOAD").map(|library| ("LD_PRELOAD", library))
}

/// A run that is being put together.
#[must_use]
pub struct Run<'e> {
    env: &'e TestEnv,
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    input: Option<String>,
}

impl Run<'_> {
    /// What stands on standard input.
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The command as it would be run, its streams not yet set.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        let binary = Path::new(env!("CARGO_BIN_EXE_taskmon")).parent().unwrap();
        command
            .args(&self.arguments)
            .current_dir(self.env.folder.path())
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", binary.display()),
            )
            .env("HOME", self.env.path("home"))
            .envs(clock())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it and does not wait.
    pub fn spawn(&self) -> Running {
        let mut command = self.command();
        command
            .stdin(match self.input {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        if let Some(text) = &self.input {
            // What a test gives is shorter than a pipe holds; whoever does not read it has hung up.
            let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        }
        Running {
            stdout: collect(child.stdout.take().unwrap()),
            stderr: collect(child.stderr.take().unwrap()),
            child,
            command: self.describe(),
            folder: self.env.folder.path().into(),
        }
    }

    /// Runs it to its end, whatever its exit code.
    #[track_caller]
    pub fn run(self) -> Finished {
        self.spawn().wait()
    }

    #[track_caller]
    pub fn success(self) -> Finished {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Finished {
        let finished = self.run();
        if finished.code != Some(code) {
            finished.fail(&format!("expected exit code {code}"));
        }
        finished
    }

    fn describe(&self) -> String {
        let mut words: Vec<String> =
            self.variables.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        words.push(self.program.display().to_string());
        words.extend(self.arguments.iter().map(|word| format!("{word:?}")));
        words.join(" ")
    }
}

/// A process that was started; it is killed if the test ends without waiting for it.
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    command: String,
    folder: PathBuf,
}

type Stream = Option<std::thread::JoinHandle<Vec<u8>>>;

fn collect(mut stream: impl Read + Send + 'static) -> Stream {
    Some(std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    }))
}

impl Running {
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and kills it when it takes far too long.
    #[track_caller]
    pub fn wait(mut self) -> Finished {
        let start = Instant::now();
        let (status, late) = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break (status, false),
                None if start.elapsed() > DEADLINE => {
                    self.child.kill().unwrap();
                    break (self.child.wait().unwrap(), true);
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let took = start.elapsed();
        let text = |stream: &mut Stream| {
            String::from_utf8(stream.take().unwrap().join().unwrap()).expect("output is UTF-8")
        };
        let finished = Finished {
            command: self.command.clone(),
            folder: self.folder.clone(),
            code: status.code(),
            stdout: text(&mut self.stdout),
            stderr: text(&mut self.stderr),
            took,
            stdout_stated: Cell::new(false),
            stderr_stated: Cell::new(false),
        };
        if late {
            finished.fail("it was killed for taking too long");
        }
        if finished.stdout.contains(SECRET) || finished.stderr.contains(SECRET) {
            finished.fail("it printed a password");
        }
        if finished.stderr.contains("panicked at") {
            finished.fail("it panicked");
        }
        finished
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already waited for in the ordinary case; then this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a run ended. A stream that the test does not ask for must be empty.
pub struct Finished {
    command: String,
    folder: PathBuf,
    pub code: Option<i32>,
    stdout: String,
    stderr: String,
    pub took: Duration,
    stdout_stated: Cell<bool>,
    stderr_stated: Cell<bool>,
}

impl Finished {
    /// The one JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.stdout_stated.set(true);
        match serde_json::from_str(&self.stdout) {
            Ok(value) => {
                self.hints(&value);
                value
            }
            Err(error) => self.fail(&format!("standard output is not one JSON document: {error}")),
        }
    }

    /// What `taskmon check` warns of or fails on says what to do about it, in any test that sees it.
    #[track_caller]
    fn hints(&self, result: &Value) {
        let checks = result["checks"].as_array().into_iter().flatten();
        let all = checks.flat_map(|check| {
            let findings = check["findings"].as_array().into_iter().flatten();
            std::iter::once(check).chain(findings)
        });
        for entry in all {
            let is_well = entry["status"] == "ok" || entry["status"] == "skipped";
            if !is_well && entry["hint"].as_str().unwrap_or_default().is_empty() {
                self.fail(&format!("this has no hint: {entry:#}"));
            }
        }
    }

    pub fn stdout(&self) -> &str {
        self.stdout_stated.set(true);
        &self.stdout
    }

    pub fn stderr(&self) -> &str {
        self.stderr_stated.set(true);
        &self.stderr
    }

    #[track_caller]
    pub fn stdout_contains(&self, part: &str) -> &Self {
        if !self.stdout().contains(part) {
            self.fail(&format!("standard output lacks {part:?}"));
        }
        self
    }

    #[track_caller]
    pub fn stderr_contains(&self, part: &str) -> &Self {
        if !self.stderr().contains(part) {
            self.fail(&format!("standard error lacks {part:?}"));
        }
        self
    }

    /// The error document: its kind is this, its message names each of these. A person gets the message on
    /// standard error, or nothing.
    #[track_caller]
    pub fn failure(&self, kind: &str, names: &[&str]) -> Value {
        let document = self.json();
        let message = document["error"]["message"].as_str().unwrap_or_default();
        if document["success"] != Value::Bool(false)
            || document["error"]["kind"] != kind
            || message.is_empty()
        {
            self.fail(&format!("expected an error document of the kind {kind}"));
        }
        for name in names {
            if !message.contains(name) {
                self.fail(&format!("the error's message does not name {name:?}"));
            }
        }
        let spoken = self.stderr().trim();
        if !spoken.is_empty() && !spoken.contains(message) {
            self.fail("standard error says something else than the error document");
        }
        document
    }

    #[track_caller]
    pub fn fail(&self, why: &str) -> ! {
        panic!(
            "{why}\ncommand: {}\nexit code: {:?} after {:?}\n--- standard output\n{}\n--- standard error\n{}\n--- folder\n{}",
            self.command,
            self.code,
            self.took,
            self.stdout,
            self.stderr,
            tree(&self.folder)
        )
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if !self.stdout_stated.get() && !self.stdout.is_empty() {
            self.fail("standard output should be empty");
        }
        if !self.stderr_stated.get() && !self.stderr.is_empty() {
            self.fail("standard error should be empty");
        }
    }
}

fn tree(folder: &Path) -> String {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let lines = entries.map(|entry| {
        let length = entry.metadata().map(|data| data.len()).unwrap_or_default();
        format!("{:>9}  {}\n", length, entry.path().display())
    });
    lines.collect()
}

/// Declares tests that run once on each database, under a name of its own on each: `on_postgres::…`, `on_sqlite::…`. Another database
/// is one more line here.
#[macro_export]
macro_rules! on_each_database {
    ($(fn $name:ident($env:ident) $body:block)*) => {
        $(fn $name($env: $crate::support::env::TestEnv) $body)*
        $crate::on_database! { on_postgres: postgres, $($name)* }
        $crate::on_database! { on_sqlite: sqlite, $($name)* }
    };
}

/// The tests of one database: the module that they stand in, and the constructor of [`TestEnv`] that makes the database.
#[macro_export]
macro_rules! on_database {
    ($module:ident: $make:ident, $($name:ident)*) => {
        mod $module {
            $(#[test] fn $name() { super::$name($crate::support::env::TestEnv::$make()) })*
        }
    };
}
