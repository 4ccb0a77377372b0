//! The jobs as timers of systemd: a service and a timer for each, `taskmon-NAME.service` and `taskmon-NAME.timer`.

use super::installed::{Installation, Installed};
use super::job::CronJob;
use super::on_calendar::on_calendar;
use std::io;
use std::path::{Path, PathBuf};

const OWN: &str = "# Written by `taskmon schedule install --systemd`; `taskmon schedule remove --systemd` takes it away. Changes are lost. 由 taskmon 写入，请勿手工修改。\n";
const JOB: &str = "# taskmon job ";
const CONFIG: &str = "# taskmon config ";

/// A file of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    pub name: String,
    pub text: String,
}

/// The service and the timer of a job. `old` is what is installed already; `label` is a part of their names, if other configurations have units of
/// the usual names.
///
/// # Errors
/// The expression cannot be said as `OnCalendar=`: a sentence.
pub fn units(
    job: &CronJob,
    label: Option<&str>,
    old: &[Installed],
    installation: &Installation,
) -> Result<[Unit; 2], String> {
    let calendar = on_calendar(&job.times);
    if calendar.is_empty() {
        return Err(format!(
            "the job \"{}\" has the expression \"{}\", which a timer of systemd cannot be given as a time of the calendar",
            job.name,
            job.cron.trim()
        ));
    }
    let comment = |mark: &str, value: serde_json::Result<String>| {
        format!("{mark}{}\n", value.unwrap_or_default())
    };
    let heading = OWN.to_owned()
        + &comment(CONFIG, serde_json::to_string(&installation.config))
        + &comment(JOB, serde_json::to_string(&Installed::of(job, old, installation.now)));
    let name = unit_name(label, &job.name);
    let words = [
        installation.binary.display().to_string(),
        "-c".to_owned(),
        installation.config.display().to_string(),
    ];
    let words: Vec<String> = words.iter().chain(&job.words).map(|word| quoted(word)).collect();
    let class = match job.priority {
        ..=3 => "idle",
        _ => "best-effort",
    };
    // A run that a lock skips is no failure.
    let service = format!(
        "{heading}[Unit]\nDescription=taskmon: {}\n\n[Service]\nType=oneshot\nExecStart={}\nStandardOutput=null\nSuccessExitStatus=75\nNice={}\nIOSchedulingClass={class}\n",
        described(&job.name),
        words.join(" "),
        job.nice(),
    );
    let lines: String = calendar.iter().map(|line| format!("OnCalendar={line}\n")).collect();
    let timer = format!(
        "{heading}[Unit]\nDescription=taskmon: {}\n\n[Timer]\n{lines}Persistent=true\n\n[Install]\nWantedBy=timers.target\n",
        described(&job.name)
    );
    Ok([
        Unit { name: format!("{name}.service"), text: service },
        Unit { name: format!("{name}.timer"), text: timer },
    ])
}

/// A word of `ExecStart=`: `%` and `$` mean something to systemd, and its quotes are like C's.
fn quoted(word: &str) -> String {
    let mut text = String::new();
    for letter in word.chars() {
        match letter {
            '%' => text += "%%",
            '$' => text += "$$",
            '"' => text += "\\\"",
            '\\' => text += "\\\\",
            letter => text.push(letter),
        }
    }
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:=@%$".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("\"{text}\"") }
}

/// The words that [`quoted`] has written.
fn unquoted_words(text: &str) -> Vec<String> {
    // In quotes and out of them a backslash is before the letter that is meant, which a shell has alike in double quotes.
    let words = shlex::split(text).unwrap_or_default();
    let plain = |word: String| word.replace("%%", "%").replace("$$", "$");
    words.into_iter().map(plain).collect()
}

fn described(name: &str) -> String {
    name.replace('%', "%%").replace('\\', "\\\\")
}

/// Letters that a unit's name may have stay, others become `\xNN`, as systemd-escape(1) writes them.
fn unit_name(label: Option<&str>, job: &str) -> String {
    let mut name = "taskmon-".to_owned();
    let label = label.map(|label| format!("{label}-")).unwrap_or_default();
    for byte in label.bytes().chain(job.bytes()) {
        if byte.is_ascii_alphanumeric() || b"_.-".contains(&byte) {
            name.push(char::from(byte))
        } else {
            name += &format!("\\x{byte:02x}")
        }
    }
    name
}

/// What taskmon has written into a folder of units.
#[derive(Debug, Default)]
pub struct Written {
    /// By their paths, which are absolute.
    pub files: Vec<WrittenFile>,
    /// By their timers.
    pub jobs: Vec<WrittenJob>,
}

/// A file of a unit that taskmon has written.
#[derive(Debug, Clone)]
pub struct WrittenFile {
    pub path: PathBuf,
    /// The configuration that it is for; `None`: it does not say so.
    pub config: Option<PathBuf>,
}

/// A job that is written in a folder of units.
#[derive(Debug)]
pub struct WrittenJob {
    /// The timer's file.
    pub timer: PathBuf,
    /// The configuration that it is for.
    pub config: PathBuf,
    pub job: Installed,
    /// What its service starts: the program and its arguments.
    pub words: Vec<String>,
}

impl WrittenJob {
    /// The timer's name.
    pub fn unit(&self) -> String {
        let name = self.timer.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Whether `systemctl enable` was run for the timer: then a link is in `timers.target.wants`, beside it or in one of these folders.
    pub fn is_enabled(&self, others: &[PathBuf]) -> bool {
        let folders = self.timer.parent().into_iter().chain(others.iter().map(PathBuf::as_path));
        let mut links = folders.map(|folder| folder.join("timers.target.wants").join(self.unit()));
        links.any(|link| link.symlink_metadata().is_ok())
    }
}

/// Finds taskmon's own units by their first line; a folder that is missing has none.
///
/// # Errors
/// The folder cannot be read.
pub fn read(folder: &Path) -> io::Result<Written> {
    let mut written = Written::default();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(written),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_timer = name.ends_with(".timer");
        let is_named = name.starts_with("taskmon-") && (is_timer || name.ends_with(".service"));
        // What cannot be read is not taken for one's own.
        let text =
            if is_named { std::fs::read_to_string(&path).unwrap_or_default() } else { continue };
        if !text.starts_with(OWN) {
            continue;
        }
        let value = |mark: &str| text.lines().find_map(|line| line.strip_prefix(mark));
        let config: Option<PathBuf> =
            value(CONFIG).and_then(|text| serde_json::from_str(text).ok());
        let job = value(JOB).and_then(|text| serde_json::from_str(text).ok());
        if let (true, Some(config), Some(job)) = (is_timer, config.clone(), job) {
            let service = std::fs::read_to_string(path.with_extension("service"));
            let service = service.unwrap_or_default();
            let start = service.lines().find_map(|line| line.strip_prefix("ExecStart="));
            written.jobs.push(WrittenJob {
                words: unquoted_words(start.unwrap_or_default()),
                timer: path.clone(),
                config,
                job,
            });
        }
        written.files.push(WrittenFile { path, config });
    }
    written.files.sort_by(|one, other| one.path.cmp(&other.path));
    written.jobs.sort_by(|one, other| one.job.name.cmp(&other.job.name));
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_are_written_as_systemd_reads_them() {
        assert_eq!(unit_name(None, "daily-stats_2.x"), "taskmon-daily-stats_2.x");
        assert_eq!(unit_name(None, "a b/c@统"), "taskmon-a\\x20b\\x2fc\\x40\\xe7\\xbb\\x9f");
        for (word, expected) in [
            ("--only", "--only"),
            ("temp,logs", "temp,logs"),
            ("a b", "\"a b\""),
            ("50%", "50%%"),
            ("$HOME", "$$HOME"),
            ("say \"\\\"", "\"say \\\"\\\\\\\"\""),
            ("", "\"\""),
            ("it's", "\"it's\""),
        ] {
            assert_eq!(quoted(word), expected);
            assert_eq!(unquoted_words(expected), [word]);
        }
    }
}
