//! Whether a cron is running on this host.

use std::path::Path;

/// How the programs call themselves: Debian's cron and bcron, cronie, dcron and busybox, fcron.
const NAMES: [&str; 5] = ["cron", "crond", "bcron-sched", "fcron", "busybox-crond"];

/// Looks at the processes under `proc` (`/proc`), and for what systemd-cron, which has no process, generates. `None`: processes of others are
/// hidden here, so nobody knows.
pub fn is_running(proc: &Path, generated: &Path) -> Option<bool> {
    let entries = std::fs::read_dir(proc).ok()?;
    let processes = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.chars().all(|letter| letter.is_ascii_digit())
    });
    let is_found = processes.into_iter().any(|process| is_cron(&process).unwrap_or(false));
    if is_found || has_timers(generated) {
        return Some(true);
    }
    // Mounted with `hidepid`, /proc has only one's own processes: then process 1 is not there to be seen.
    proc.join("1/stat").is_file().then_some(false)
}

/// By the name in `stat`, which reads `123 (cron) S …`; a process that has ended and waits to be seen is none.
fn is_cron(process: &Path) -> Option<bool> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    let name = stat.split_once('(')?.1;
    let (name, rest) = name.rsplit_once(')')?;
    Some(NAMES.contains(&name) && !rest.trim_start().starts_with('Z'))
}

fn has_timers(generated: &Path) -> bool {
    let entries = std::fs::read_dir(generated).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("cron-") && name.ends_with(".timer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(proc: &Path, id: u32, stat: &str) {
        let folder = proc.join(id.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("stat"), format!("{id} {stat}")).unwrap();
    }

    #[test]
    fn a_cron_is_known_by_its_name_and_unknown_where_processes_are_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let (proc, none) = (folder.path().join("proc"), folder.path().join("none"));
        assert_eq!(is_running(&proc, &none), None);
        process(&proc, 70, "(taskmon) R 1");
        assert_eq!(is_running(&proc, &none), None);
        process(&proc, 1, "(init) S 0");
        assert_eq!(is_running(&proc, &none), Some(false));
        process(&proc, 71, "(cron) Z 1");
        process(&proc, 72, "(cronolog) S 1");
        assert_eq!(is_running(&proc, &none), Some(false));
        process(&proc, 73, "(crond) S 1");
        assert_eq!(is_running(&proc, &none), Some(true));
    }

    #[test]
    fn systemd_cron_is_known_by_its_timers() {
        let folder = tempfile::tempdir().unwrap();
        let generated = folder.path().join("generator");
        std::fs::create_dir(&generated).unwrap();
        process(folder.path(), 1, "(systemd) S 0");
        assert_eq!(is_running(folder.path(), &generated), Some(false));
        std::fs::write(generated.join("cron-ann-0.timer"), "").unwrap();
        assert_eq!(is_running(folder.path(), &generated), Some(true));
    }
}
