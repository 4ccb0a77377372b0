//! A program of the operator's own: it gets the alerts as JSON on its standard input.

use super::redact::Redactor;
use super::{Channel, ChannelConfig, SendError, message};
use crate::alert::Notification;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much of the end of standard error is kept, in bytes.
const LAST_WORDS: usize = 2048;

/// How long the last words are waited for once the program has ended: a child of its own may hold standard error open for good.
const PATIENCE: Duration = Duration::from_millis(200);

/// The exit code by which a program says that it may succeed another time (`EX_TEMPFAIL` of sysexits.h).
const TRY_AGAIN: i32 = 75;

pub fn build(command: &[String], config: &ChannelConfig) -> Box<dyn Channel + Send> {
    let mut redactor = Redactor::default();
    for secret in config.surroundings.secrets.iter() {
        redactor.add(secret.expose());
        redactor.add_url(secret);
    }
    Box::new(Program { command: command.to_vec(), timeout: config.timeout, redactor })
}

struct Program {
    /// The program and its arguments. An argument may be somebody's key, so messages name the program alone.
    command: Vec<String>,
    timeout: Duration,
    redactor: Redactor,
}

impl Channel for Program {
    fn send(&self, notice: &Notification) -> Result<(), SendError> {
        let (name, arguments) = self.command.split_first().ok_or_else(|| {
            SendError::permanent("the command is empty: it has to name a program")
        })?;
        let mut child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            // What it prints is nobody's: standard output carries taskmon's result and nothing else.
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // So that the time limit ends whatever it has started, too.
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_start(name, &error))?;
        let words = collect(child.stderr.take());
        feed(&mut child, message::document(notice));
        match self.wait(&mut child) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(SendError {
                permanent: status.code() != Some(TRY_AGAIN),
                ..SendError::permanent(format!("{name} {}{}", ended(status), self.said(&words)))
            }),
            Ok(None) => Err(SendError::transient(format!(
                "{name} did not end within {} s and was killed{}",
                self.timeout.as_secs_f32(),
                self.said(&words)
            ))),
            Err(error) => {
                Err(SendError::transient(format!("{name} cannot be waited for: {error}")))
            }
        }
    }
}

impl Program {
    /// The end of what it said on standard error.
    fn said(&self, words: &LastWords) -> String {
        match words.wait().trim() {
            "" => String::new(),
            text => format!(": {}", self.redactor.quote_end(text)),
        }
    }

    /// How it ended; `None`: it was killed at the time limit, and its process group with it.
    fn wait(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + self.timeout;
        let mut pause = Duration::from_millis(1);
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        // Nobody has waited for it yet, so its number, which is the group's, is still its own.
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
/// One that does not want to hear it all closes its input; that is its affair, and its exit code says how it went.
fn feed(child: &mut Child, json: String) {
    let Some(mut input) = child.stdin.take() else {
        return;
    };
    thread::spawn(move || {
        let _ = input.write_all(json.as_bytes());
    });
}

/// The end of standard error, as far as it has been read.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<Words>>);

#[derive(Default)]
struct Words {
    bytes: Vec<u8>,
    is_whole: bool,
}

impl LastWords {
    fn update(&self, change: impl FnOnce(&mut Words)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn wait(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (mut text, mut is_whole) = (String::new(), false);
            self.update(|words| {
                text = String::from_utf8_lossy(&words.bytes).into_owned();
                is_whole = words.is_whole;
            });
            if is_whole || Instant::now() >= deadline {
                return text;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Reads standard error to its end, so that the program never waits for a reader, and keeps the end of it.
fn collect(stream: Option<ChildStderr>) -> LastWords {
    let words = LastWords::default();
    let Some(mut stream) = stream else {
        return words;
    };
    let kept = words.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            kept.update(|words| {
                words.bytes.extend_from_slice(&buffer[..count]);
                let surplus = words.bytes.len().saturating_sub(LAST_WORDS);
                words.bytes.drain(..surplus);
            });
        }
        kept.update(|words| words.is_whole = true);
    });
    words
}
