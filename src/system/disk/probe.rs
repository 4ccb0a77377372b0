//! Asks the file systems, so that one that hangs (a network file system whose server is gone, a FUSE program that is stuck) costs one deadline and not
//! the figures of the others.
//!
//! What waits inside the kernel for such a file system may not even be killed, and a process does not end before its threads do. So a child of this
//! process asks, a copy of the program, which can be left behind. Only what lies on disks of this host, and is reached without a link, is asked
//! directly: that takes no longer than it does with `df`.

use super::mounts::{self, Mount};
use super::usage::Answer;
use crate::deadline::{self, Pending};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The first argument of the child; the second is the path.
pub const ARGUMENT: &str = "--ask-file-system";

pub struct Probed {
    /// Without links.
    pub real_path: PathBuf,
    pub answer: Answer,
}

/// What came of asking about a path.
pub enum Outcome {
    Answered(Probed),
    Failed(io::Error),
    /// No answer within the deadline.
    Late,
    /// A process that an earlier run has left behind still waits: none is added to it.
    StillHangs {
        process: u32,
    },
}

/// Asks about every path at the same time, and waits no longer than `limit` in all. `program`: what is run as the child.
pub fn probe_all(paths: &[&Path], program: &Path, limit: Duration) -> Vec<Outcome> {
    let end = deadline::end(limit);
    let mounts = mounts::read().unwrap_or_default();
    let asked: Vec<Asked> = paths.iter().map(|path| ask(path, &mounts, program, limit)).collect();
    asked.into_iter().map(|asked| asked.wait(end)).collect()
}

enum Asked {
    Ended(Outcome),
    Pending { child: Option<Child>, answer: Pending<io::Result<Probed>> },
}

impl Asked {
    fn wait(self, end: Instant) -> Outcome {
        let (mut child, answer) = match self {
            Asked::Ended(outcome) => return outcome,
            Asked::Pending { child, answer } => (child, answer),
        };
        let Some(answered) = answer.wait(end.saturating_duration_since(Instant::now())) else {
            // It may outlive even this, and is nobody's any more then.
            child.as_mut().map(Child::kill);
            return Outcome::Late;
        };
        // It has closed its output, and ends.
        child.as_mut().map(Child::wait);
        answered.map_or_else(Outcome::Failed, Outcome::Answered)
    }
}

fn ask(path: &Path, mounts: &[Mount], program: &Path, limit: Duration) -> Asked {
    if let Some(answer) = ask_local(path, mounts) {
        return Asked::Ended(answer.map_or_else(Outcome::Failed, Outcome::Answered));
    }
    if let Some(process) = left_behind(path, limit) {
        return Asked::Ended(Outcome::StillHangs { process });
    }
    let asked = ask_in_child(path, program).or_else(|error| {
        log::debug!("{} is asked by this process itself: {error}", path.display());
        let path = path.to_owned();
        let answer = deadline::start(move || probe(&path))?;
        Ok::<_, io::Error>(Asked::Pending { child: None, answer })
    });
    asked.unwrap_or_else(|error| Asked::Ended(Outcome::Failed(error)))
}

/// File systems that answer by themselves: no server and no other program is asked.
const LOCAL: [&str; 21] = [
    "bcachefs", "btrfs", "cgroup2", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs",
    "iso9660", "jfs", "ntfs3", "proc", "ramfs", "squashfs", "sysfs", "tmpfs", "vfat", "xfs", "zfs",
];

/// `None`: there may be something else than a local disk on the way.
fn ask_local(path: &Path, mounts: &[Mount]) -> Option<io::Result<Probed>> {
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let mut above = mounts.iter().filter(|mount| path.starts_with(&mount.point)).peekable();
    above.peek()?;
    if !above.all(|mount| LOCAL.contains(&mount.fs_type.as_str())) {
        return None;
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(opened) => {
            let real_path = path.components().collect();
            let answer = rustix::fs::fstatvfs(opened).map(Into::into);
            Some(answer.map(|answer| Probed { real_path, answer }).map_err(Into::into))
        }
        // A link; or the call is not to be had: the kernel is old, or a container forbids it.
        Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => None,
        Err(error) => Some(Err(error.into())),
    }
}

fn ask_in_child(path: &Path, program: &Path) -> io::Result<Asked> {
    let mut child = Command::new(program)
        .arg(ARGUMENT)
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let answer = deadline::start(move || {
        let mut said = Vec::new();
        output.read_to_end(&mut said)?;
        read_answer(&said)
    })?;
    Ok(Asked::Pending { child: Some(child), answer })
}

/// What the child does: asks, and writes the answer.
///
/// # Errors
/// Nobody reads it.
pub fn answer(path: &OsStr) -> io::Result<()> {
    let asked = probe(Path::new(path));
    let real_path = asked.as_ref().map_or(OsStr::new(""), |probed| probed.real_path.as_os_str());
    let line = asked.as_ref().map(|probed| probed.answer);
    let mut said = serde_json::to_vec(&line.map_err(io::Error::raw_os_error))?;
    said.push(b'\n');
    said.extend_from_slice(real_path.as_bytes());
    io::stdout().write_all(&said)
}

/// Either call may hang: the first already looks into the mount.
fn probe(path: &Path) -> io::Result<Probed> {
    let real_path = path.canonicalize()?;
    let answer = rustix::fs::statvfs(&real_path)?.into();
    Ok(Probed { real_path, answer })
}

/// What a child wrote: a line with the answer or the number of the error, then the path without links.
fn read_answer(said: &[u8]) -> io::Result<Probed> {
    let broken = || io::Error::other("the process that asked it ended without an answer");
    let end = said.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
    let (line, path) = said.split_at(end);
    let answer: Result<Answer, Option<i32>> = serde_json::from_slice(line).map_err(|_| broken())?;
    match answer {
        Ok(answer) => {
            let path = path.get(1..).unwrap_or_default().to_vec();
            Ok(Probed { real_path: OsString::from_vec(path).into(), answer })
        }
        Err(error) => Err(error.map_or_else(broken, io::Error::from_raw_os_error)),
    }
}

/// A process that has asked about this path for longer than `limit`.
fn left_behind(path: &Path, limit: Duration) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let asks = [ARGUMENT.as_bytes(), path.as_os_str().as_bytes()];
    numbers.find(|number| {
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let mut arguments = line.split(|byte| *byte == 0).skip(1);
        asks.iter().all(|asked| arguments.next() == Some(asked)) && age(*number) > Some(limit)
    })
}

/// How long a process has been there; proc(5) has the start in ticks since the host was booted.
fn age(process: u32) -> Option<Duration> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: 22 is the start, 3 the first that comes.
    let (_, fields) = line.rsplit_once(')')?;
    let ticks: f64 = fields.split_ascii_whitespace().nth(22 - 3)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let started = ticks / rustix::param::clock_ticks_per_second() as f64;
    Duration::try_from_secs_f64(uptime - started).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_s_words_come_back_as_they_were() {
        let answer = Answer::filled(7, 10, 3, 4);
        let mut said = serde_json::to_vec(&Ok::<_, Option<i32>>(answer)).unwrap();
        said.extend_from_slice(b"\n/a\nb\xff");
        let probed = read_answer(&said).unwrap();
        assert_eq!(probed.answer, answer);
        assert_eq!(probed.real_path.as_os_str().as_bytes(), b"/a\nb\xff");
        let missing = serde_json::to_string(&Err::<Answer, _>(Some(2))).unwrap() + "\n";
        let error = read_answer(missing.as_bytes()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        for broken in ["", "{}\n", "{\"Err\":null}\n"] {
            let error = read_answer(broken.as_bytes()).err().unwrap();
            assert!(error.to_string().contains("without an answer"), "{error}");
        }
    }

    #[test]
    fn a_process_s_age_is_that_of_its_start() {
        let age = age(std::process::id()).unwrap();
        assert!(age < Duration::from_secs(3600), "{age:?}");
        assert_eq!(left_behind(Path::new("/"), Duration::ZERO), None);
    }
}
