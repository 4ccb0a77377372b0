//! Asks the file systems, each in a thread of its own, so that one mount that hangs (a network file system whose server is gone) costs one
//! deadline and not the figures of the others.

use super::usage::Usage;
use crate::deadline::{self, Pending};
use std::io;
use std::path::{Path, PathBuf};
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
pub fn probe_all(paths: &[PathBuf], limit: Duration) -> Vec<Option<io::Result<Probed>>> {
    ask_all(paths, limit, probe)
}

fn ask_all(
    paths: &[PathBuf],
    limit: Duration,
    ask: fn(&Path) -> io::Result<Probed>,
) -> Vec<Option<io::Result<Probed>>> {
    let end = deadline::end(limit);
    let answers: Vec<io::Result<Pending<io::Result<Probed>>>> = paths
        .iter()
        .map(|path| {
            let path = path.clone();
            deadline::start(move || ask(&path))
        })
        .collect();
    let wait = |answer: io::Result<Pending<io::Result<Probed>>>| match answer {
        Ok(answer) => answer.wait(end.saturating_duration_since(Instant::now())),
        Err(error) => Some(Err(error)),
    };
    answers.into_iter().map(wait).collect()
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
            std::thread::sleep(Duration::from_millis(100) * tenths);
            Err(io::ErrorKind::NotFound.into())
        }
        let paths: Vec<PathBuf> = (1..=20).map(|tenths| "x".repeat(tenths).into()).collect();
        let answers = ask_all(&paths, Duration::from_secs(1), slowly);
        assert!(answers[0].is_some());
        assert!(answers[19].is_none());
    }
}
