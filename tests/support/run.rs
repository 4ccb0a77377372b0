//! Runs of programs in a test's folder.

use crate::support::env::{TestEnv, clock};
use crate::support::finished::Finished;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No run takes this long; one that does is killed, and its test fails.
const DEADLINE: Duration = Duration::from_secs(90);

/// A run that is being put together.
#[must_use]
pub struct Run<'e> {
    env: &'e TestEnv,
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    input: Option<String>,
}

impl<'e> Run<'e> {
    pub fn new(env: &'e TestEnv, program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self { env, program, arguments, variables: Vec::new(), input: None }
    }

    /// The text of standard input.
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
            .current_dir(self.env.path(""))
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
            // What a test gives is shorter than a pipe holds; a program that does not read it has closed it.
            let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        }
        Running {
            stdout: collect(child.stdout.take().unwrap()),
            stderr: collect(child.stderr.take().unwrap()),
            child,
            command: self.describe(),
            folder: self.env.path(""),
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
        let (stdout, stderr) = (text(&mut self.stdout), text(&mut self.stderr));
        let finished = Finished::new(
            self.command.clone(),
            self.folder.clone(),
            status.code(),
            took,
            [stdout, stderr],
        );
        if late {
            finished.fail("it was killed for taking too long");
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
