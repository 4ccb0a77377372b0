//! A program of the operator's: it gets the alerts as JSON on standard input.

use super::common::secrets;
use super::redact::Redactor;
use super::{Built, Channel, Destination, Grouping, Machine, SendError, message};
use crate::alert::Notification;
use crate::deadline;
use crate::values;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How much of the end of standard error is kept, in bytes.
const KEPT_STDERR: usize = 2048;

/// How long the end of standard error is waited for once the program has ended: a child of its own may hold it open for good.
const STDERR_PATIENCE: Duration = Duration::from_millis(200);

/// The exit code of a program that may succeed another time (`EX_TEMPFAIL` of sysexits.h).
const TEMPORARY_FAILURE: i32 = 75;

/// `type = "command"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    /// A program and its arguments.
    #[serde(deserialize_with = "values::command")]
    pub command: Vec<String>,
}

secrets!(Config:);

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let mut redactor = Redactor::default();
    for secret in machine.inherited.iter() {
        redactor.add(secret.expose());
        redactor.add_url(secret);
    }
    Ok(Box::new(Program { command: config.command.clone(), timeout, redactor }))
}

struct Program {
    /// The program and its arguments. An argument may be a secret, so messages name the program alone.
    command: Vec<String>,
    timeout: Duration,
    redactor: Redactor,
}

impl Channel for Program {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let (name, arguments) = self.command.split_first().ok_or_else(|| {
            SendError::permanent("the command is empty: it has to name a program")
        })?;
        let mut child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            // Standard output carries taskmon's result and nothing else.
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // So that the time limit also ends whatever it has started.
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_start(name, &error))?;
        let stderr = child.stderr.take().map(StderrEnd::read);
        feed(&mut child, message::document(notification));
        match self.wait(&mut child) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(SendError {
                permanent: status.code() != Some(TEMPORARY_FAILURE),
                ..SendError::permanent(format!("{name} {}{}", ended(status), self.quote(&stderr)))
            }),
            Ok(None) => Err(SendError::transient(format!(
                "{name} did not end within {} s and was killed{}",
                self.timeout.as_secs_f32(),
                self.quote(&stderr)
            ))),
            Err(error) => {
                Err(SendError::transient(format!("{name} cannot be waited for: {error}")))
            }
        }
    }

    fn destination(&self) -> Destination {
        Destination::Program(self.command.first().cloned().unwrap_or_default())
    }

    fn grouping(&self) -> Grouping {
        Grouping::Run
    }
}

impl Program {
    /// The end of what it printed on standard error, for an error.
    fn quote(&self, stderr: &Option<StderrEnd>) -> String {
        match stderr.as_ref().map(StderrEnd::wait).unwrap_or_default().trim() {
            "" => String::new(),
            text => format!(": {}", self.redactor.quote_end(text)),
        }
    }

    /// How it ended; `None`: it was killed with its process group at the time limit.
    fn wait(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let deadline = deadline::end(self.timeout);
        let mut pause = Duration::from_millis(1);
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        // It has not been waited for yet, so its number, which is the group's, cannot be another process's.
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        child.wait()?;
        Ok(None)
    }
}

fn cannot_start(name: &str, error: &io::Error) -> SendError {
    let message = format!("{name} cannot be started: {error}");
    match error.kind() {
        // Memory and processes may be short for a while.
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory => SendError::transient(message),
        _ => SendError::permanent(message),
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Writes the JSON from a thread of its own: a program that reads nothing must not hold up the time limit.
///
/// A program that does not read everything closes its input early, which is fine: its exit code says how it went.
fn feed(child: &mut Child, json: String) {
    let Some(mut input) = child.stdin.take() else {
        return;
    };
    thread::spawn(move || {
        let _ = input.write_all(json.as_bytes());
    });
}

/// Reads standard error to its end, so that the program never waits for a reader, and keeps the end of it.
struct StderrEnd {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl StderrEnd {
    fn read(mut stream: ChildStderr) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let end = kept.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
                end.extend_from_slice(&buffer[..count]);
                let surplus = end.len().saturating_sub(KEPT_STDERR);
                end.drain(..surplus);
            }
        });
        Self { kept, reader }
    }

    fn wait(&self) -> String {
        let deadline = deadline::end(STDERR_PATIENCE);
        while !self.reader.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}
