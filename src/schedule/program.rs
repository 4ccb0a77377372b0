//! The `crontab` program on PATH, through which a user's crontab is read and written.

use crate::deadline::{self, Pending};
use crate::outcome::{Failure, Kind};
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that the program may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whose crontab; `None`: that of the user who runs this.
#[derive(Debug, Clone, Default)]
pub struct Program {
    pub user: Option<String>,
}

impl Program {
    /// The crontab; `None`: the user has none.
    ///
    /// # Errors
    /// [`Kind::CrontabUnavailable`] without such a program; [`Kind::CrontabRefused`] for any answer but the crontab or that there is none. A
    /// crontab that could not be read must not count as an empty one: the next write would replace it.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Failure> {
        let output = self.run(&["-l"], None)?;
        if output.status.success() {
            return self.as_it_is(output.stdout).map(Some);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if output.stdout.is_empty() && says_none(&said) {
            Ok(None)
        } else {
            Err(self.refused("-l", &output))
        }
    }

    /// Debian's `crontab -l` shows a carriage return as the two characters `\r`, which would be written back. An editor is given the file itself: this one,
    /// `cat`, prints it, and `crontab -e` then finds nothing to change.
    fn as_it_is(&self, listed: Vec<u8>) -> Result<Vec<u8>, Failure> {
        if !listed.windows(2).any(|pair| pair == b"\\r") {
            return Ok(listed);
        }
        let output = self.run(&["-e"], None)?;
        let shown = output.stdout.split(|byte| *byte == b'\r');
        let shown: Vec<&[u8]> = shown.collect();
        if output.status.success() && (output.stdout == listed || shown.join(&b"\\r"[..]) == listed)
        {
            Ok(output.stdout)
        } else {
            Err(Failure::new(
                Kind::CrontabRefused,
                "the crontab holds `\\r`, and whether that is a carriage return cannot be found out",
            )
            .hint("nothing was changed; take the carriage returns out with `crontab -e`"))
        }
    }

    /// Replaces the crontab, and reads it back.
    ///
    /// # Errors
    /// As [`Program::read`]; also where what was written is not what is there.
    pub fn write(&self, text: &[u8]) -> Result<(), Failure> {
        let output = self.run(&["-"], Some(text))?;
        if !output.status.success() {
            return Err(self.refused("-", &output));
        }
        match self.read()? {
            Some(written) if written == text => Ok(()),
            _ => Err(Failure::new(
                Kind::CrontabRefused,
                "`crontab -` was given the new crontab, and `crontab -l` shows another one",
            )
            .hint("somebody may be editing it; look at it with `crontab -l`")),
        }
    }

    /// Removes the whole crontab.
    ///
    /// # Errors
    /// As [`Program::read`].
    pub fn clear(&self) -> Result<(), Failure> {
        let output = self.run(&["-r"], None)?;
        if output.status.success() { Ok(()) } else { Err(self.refused("-r", &output)) }
    }

    fn run(&self, arguments: &[&str], input: Option<&[u8]>) -> Result<Output, Failure> {
        let mut command = Command::new("crontab");
        if let Some(user) = &self.user {
            command.args([OsStr::new("-u"), OsStr::new(user)]);
        }
        command
            .args(arguments)
            // Its messages are parsed below. With CRONTAB_NOHEADER=N Debian's would list its own heading as part of the crontab.
            .env("LC_ALL", "C")
            .env("EDITOR", "cat")
            .env("VISUAL", "cat")
            .env_remove("LANGUAGE")
            .env_remove("CRONTAB_NOHEADER")
            .stdin(match input {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let unavailable = |error: std::io::Error| {
            let failure = match error.kind() {
                ErrorKind::NotFound => {
                    Failure::new(Kind::CrontabUnavailable, "there is no program `crontab` on PATH")
                }
                _ => Failure::new(
                    Kind::CrontabUnavailable,
                    format!("the program `crontab` cannot be run: {error}"),
                ),
            };
            failure.hint("install cron (Debian: cron; Fedora: cronie), or use timers of systemd: taskmon schedule install --systemd")
        };
        let mut child = command.spawn().map_err(unavailable)?;
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), input) {
            let text = text.to_vec();
            // A `crontab` that refuses at once does not read; its answer says more than the broken pipe.
            thread::spawn(move || drop(pipe.write_all(&text)));
        }
        let stdout = child.stdout.take().map(read_to_end).transpose().map_err(unavailable)?;
        let stderr = child.stderr.take().map(read_to_end).transpose().map_err(unavailable)?;
        let begin = Instant::now();
        let status = loop {
            match child.try_wait().map_err(unavailable)? {
                Some(status) => break status,
                None if begin.elapsed() > TIMEOUT => {
                    // The failure is the same if it cannot be killed.
                    let _ = child.kill().and_then(|()| child.wait().map(drop));
                    return Err(self.hangs(arguments));
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        let wait = |text: Option<Pending<Vec<u8>>>| match text {
            Some(text) => text
                .wait(TIMEOUT.saturating_sub(begin.elapsed()))
                .ok_or_else(|| self.hangs(arguments)),
            None => Ok(Vec::new()),
        };
        Ok(Output { status, stdout: wait(stdout)?, stderr: wait(stderr)? })
    }

    fn hangs(&self, arguments: &[&str]) -> Failure {
        let words = arguments.join(" ");
        let seconds = TIMEOUT.as_secs();
        Failure::new(
            Kind::CrontabTimeout,
            format!("`crontab{} {words}` has not come to an end within {seconds} s and was given up", self.for_user()),
        )
        .hint("run it by hand: whatever it waits for (a mount, a directory of users) keeps everybody from their crontab")
    }

    fn for_user(&self) -> String {
        let user = self.user.as_ref();
        user.map_or(String::new(), |user| format!(" -u {user}"))
    }

    fn refused(&self, arguments: &str, output: &Output) -> Failure {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.split_whitespace().collect();
        let said = if said.is_empty() { output.status.to_string() } else { said.join(" ") };
        let user = self.for_user();
        Failure::new(
            Kind::CrontabRefused,
            format!("`crontab{user} {arguments}` refuses: {said}"),
        )
        .hint("nothing was changed; /etc/cron.allow and /etc/cron.deny say who may have a crontab")
    }
}

/// No crontab is longer, in bytes; whoever prints more waits in vain for a reader.
const LONGEST: u64 = 16 << 20;

/// Reads a pipe to its end, in a thread of its own: a pipe that hangs must not keep the other one from being read.
fn read_to_end(pipe: impl Read + Send + 'static) -> io::Result<Pending<Vec<u8>>> {
    deadline::start(move || {
        let mut text = Vec::new();
        // If the pipe breaks, what was read before is the answer.
        let _ = pipe.take(LONGEST).read_to_end(&mut text);
        text
    })
}

/// "no crontab for ann" (Debian's cron, cronie, dcron), "crontab: can't open 'ann': No such file or directory" (busybox).
fn says_none(said: &str) -> bool {
    let said = said.trim();
    let is_one_line = !said.contains('\n');
    let said = said.strip_prefix("crontab: ").unwrap_or(said);
    let is_busybox =
        said.starts_with("can't open '") && said.ends_with("No such file or directory");
    is_one_line && (said.starts_with("no crontab for ") || is_busybox)
}

#[cfg(test)]
mod tests {
    use super::says_none;

    #[test]
    fn only_the_known_answers_say_that_there_is_no_crontab() {
        for (said, is_none) in [
            ("no crontab for ann\n", true),
            ("crontab: can't open 'ann': No such file or directory\n", true),
            (
                "You (ann) are not allowed to use this program (crontab)\nSee crontab(1) for more information\n",
                false,
            ),
            ("crontab: can't open 'ann': Permission denied\n", false),
            ("crontabs/ann/: fopen: Permission denied\n", false),
            (
                "crontab: can't change directory to '/var/spool/cron/crontabs': No such file or directory\n",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(says_none(said), is_none, "{said}");
        }
    }
}
