//! Asks the file systems, each in a thread of its own, so that one mount that hangs (a network file system whose server is gone) costs one
//! deadline and not the figures of the others.

use super::usage::Usage;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

pub struct Probed {
    /// Without links.
    pub real_path: PathBuf,
    pub usage: Usage,
}

/// Asks about every path at the same time; `None` for those that did not answer in time.
///
/// A thread that hangs is left behind. It waits inside the kernel, where nothing but the end of the process reaches it. That
/// end it does not hold up as long as the wait can be killed, as those of NFS and FUSE can.
pub fn probe_all(paths: &[PathBuf], deadline: Duration) -> Vec<Option<io::Result<Probed>>> {
    ask_all(paths, deadline, probe)
}

fn ask_all(
    paths: &[PathBuf],
    deadline: Duration,
    ask: fn(&Path) -> io::Result<Probed>,
) -> Vec<Option<io::Result<Probed>>> {
    let start = Instant::now();
    let mut answers: Vec<Option<io::Result<Probed>>> = paths.iter().map(|_| None).collect();
    let (sender, receiver) = mpsc::channel();
    let mut awaited = 0;
    for (index, path) in paths.iter().enumerate() {
        let (path, sender) = (path.clone(), sender.clone());
        let answer = move || {
            // The receiver is gone once the deadline has passed.
            let _ = sender.send((index, ask(&path)));
        };
        match thread::Builder::new().spawn(answer) {
            Ok(_) => awaited += 1,
            Err(error) => answers[index] = Some(Err(error)),
        }
    }
    while awaited > 0 {
        let left = deadline.saturating_sub(start.elapsed());
        let Ok((index, answer)) = receiver.recv_timeout(left) else {
            break;
        };
        answers[index] = Some(answer);
        awaited -= 1;
    }
    answers
}

/// Either call may hang: the first already looks into the mount.
fn probe(path: &Path) -> io::Result<Probed> {
    let real_path = path.canonicalize()?;
    let usage = rustix::fs::statvfs(&real_path)?.into();
    Ok(Probed { real_path, usage })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_trickle_in_do_not_put_the_deadline_off() {
        // The n-th path answers after n times 0.1 s.
        fn slowly(path: &Path) -> io::Result<Probed> {
            let tenths = path.as_os_str().len() as u32;
            thread::sleep(Duration::from_millis(100) * tenths);
            Err(io::ErrorKind::NotFound.into())
        }
        let paths: Vec<PathBuf> = (1..=20).map(|tenths| "x".repeat(tenths).into()).collect();
        let answers = ask_all(&paths, Duration::from_secs(1), slowly);
        assert!(answers[0].is_some());
        assert!(answers[19].is_none());
    }
}
