//! The block of lines that is taskmon's own in a crontab, as text.
//!
//! ```text
//! # BEGIN taskmon {"config":"/etc/taskmon/taskmon.toml"}
//! # taskmon job {"name":"generate-daily-statistics","cron":"0 2 * * *", … ,"installed":"2026-11-25T12:00:00Z"}
//! 0 2 * * * nice -n 12 /usr/local/bin/taskmon -c /etc/taskmon/taskmon.toml stats > /dev/null
//! # END taskmon
//! ```
//!
//! All other lines are somebody else's and kept to the byte: a crontab need not be text in any encoding.

use super::installed::{Installation, Installed};
use super::job::CronJob;
use super::shell::quoted_words;
use crate::outcome::{Failure, Kind};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const BEGIN: &str = "# BEGIN taskmon";
const END: &str = "# END taskmon";
const JOB: &str = "# taskmon job ";
const NOTE: &str = "# Written by `taskmon schedule install`";
const QUIET: &str = " > /dev/null";

/// The first line of a block, behind the marker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    config: PathBuf,
    /// The line before had no line feed, which the block had to add.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    newline_added: bool,
}

/// A crontab with the place of the block in it.
#[derive(Debug)]
pub struct Crontab<'t> {
    before: &'t [u8],
    block: Option<&'t [u8]>,
    after: &'t [u8],
}

/// Finds the block.
///
/// # Errors
/// [`Kind::CrontabDamaged`]: a beginning without an end, an end without a beginning, two blocks. It is not known what is whose.
pub fn read(text: &[u8]) -> Result<Crontab<'_>, Failure> {
    let mut begins = Vec::new();
    let mut ends = Vec::new();
    let mut at = 0;
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if is_marker(line, BEGIN) {
            begins.push((at, number + 1));
        } else if is_marker(line, END) {
            ends.push((at + line.len(), number + 1));
        }
        at += line.len();
    }
    match (begins.as_slice(), ends.as_slice()) {
        ([], []) => Ok(Crontab { before: text, block: None, after: &[] }),
        ([(from, _)], [(to, _)]) if from < to => Ok(Crontab {
            before: &text[..*from],
            block: Some(&text[*from..*to]),
            after: &text[*to..],
        }),
        _ => {
            let lines = |marks: &[(usize, usize)]| match marks {
                [] => "nowhere".to_owned(),
                marks => {
                    let lines: Vec<String> =
                        marks.iter().map(|(_, line)| line.to_string()).collect();
                    format!("in line {}", lines.join(" and "))
                }
            };
            let message = format!(
                "the crontab's block of taskmon is damaged: \"{BEGIN}\" is {}, \"{END}\" {}",
                lines(&begins),
                lines(&ends)
            );
            Err(Failure::new(Kind::CrontabDamaged, message)
                .hint("nothing was changed; put the markers right with `crontab -e`"))
        }
    }
}

/// The marker alone or followed by a blank; `# BEGIN taskmonitor` is somebody else's.
fn is_marker(line: &[u8], marker: &str) -> bool {
    let rest = line.strip_prefix(marker.as_bytes());
    rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

impl Crontab<'_> {
    pub fn block(&self) -> Option<&[u8]> {
        self.block
    }

    /// The configuration that the block is for.
    pub fn config(&self) -> Option<PathBuf> {
        self.header().map(|header| header.config)
    }

    fn header(&self) -> Option<Header> {
        let line = self.block?.split(|byte| *byte == b'\n').next()?;
        serde_json::from_slice(line.strip_prefix(BEGIN.as_bytes())?).ok()
    }

    /// The lines in the block that taskmon did not write, or that somebody changed.
    pub fn foreign(&self) -> Vec<String> {
        let block = String::from_utf8_lossy(self.block.unwrap_or_default());
        let mut lines = block.lines().skip(1).peekable();
        let mut foreign = Vec::new();
        while let Some(line) = lines.next() {
            let comment = line.strip_prefix(JOB);
            let job = comment.and_then(|text| serde_json::from_str::<Installed>(text).ok());
            let is_ours = match &job {
                Some(job) => lines.next_if(|line| is_line_of(line, job)).is_some(),
                None => line.starts_with(NOTE) || line == END,
            };
            if !is_ours {
                foreign.push(line.to_owned());
            }
        }
        foreign
    }

    /// The jobs in the block, each with the words that its line starts: the program and its arguments as the shell gets them. A job whose comment or line
    /// somebody has spoilt is none: cron runs it at another time, or not at all.
    pub fn jobs(&self) -> Vec<(Installed, Vec<String>)> {
        let mut lines = self.block.unwrap_or_default().split(|byte| *byte == b'\n').peekable();
        let mut jobs = Vec::new();
        while let Some(line) = lines.next() {
            let comment = line.strip_prefix(JOB.as_bytes());
            let job = comment.and_then(|comment| serde_json::from_slice::<Installed>(comment).ok());
            if let (Some(job), Some(line)) = (job, lines.peek())
                && let Some(command) = line.strip_prefix(format!("{} ", job.cron).as_bytes())
                && !command.ends_with(b"\r")
            {
                // cron takes the backslash before a percent sign away, as a shell would.
                let words = shlex::split(&String::from_utf8_lossy(command)).unwrap_or_default();
                jobs.push((job, words.into_iter().take_while(|word| word != ">").collect()));
            }
        }
        jobs
    }

    /// The lines that are nobody's block, each in its place: those of the block are blank.
    pub fn outside(&self) -> Vec<u8> {
        let blank = |byte: &u8| if *byte == b'\n' { b'\n' } else { b' ' };
        let block: Vec<u8> = self.block.unwrap_or_default().iter().map(blank).collect();
        [self.before, &block, self.after].concat()
    }

    /// The variables that lines above the block set for its jobs, and their values.
    pub fn variables(&self) -> Vec<(String, String)> {
        let lines = self.before.split(|byte| *byte == b'\n');
        lines.filter_map(variable).collect()
    }

    /// The whole crontab with these jobs in place of those that it has.
    pub fn with(&self, jobs: &[CronJob], installation: &Installation) -> Vec<u8> {
        let newline_added = match self.header() {
            Some(header) => header.newline_added,
            None => !self.before.is_empty() && !self.before.ends_with(b"\n"),
        };
        let header = Header { config: installation.config.clone(), newline_added };
        let mut text = self.before.to_vec();
        if self.block.is_none() && newline_added {
            text.push(b'\n');
        }
        let old: Vec<Installed> = self.jobs().into_iter().map(|(job, _)| job).collect();
        text.extend(block(&header, jobs, &old, installation).bytes());
        text.extend(self.after);
        text
    }

    /// The whole crontab without the block, as it was before there was one.
    pub fn without(&self) -> Vec<u8> {
        let is_added = self.header().is_some_and(|header| header.newline_added);
        let before = match self.before.strip_suffix(b"\n") {
            Some(bare) if is_added && self.after.is_empty() => bare,
            _ => self.before,
        };
        [before, self.after].concat()
    }
}

/// What stays of a line that `schedule install --replace` takes out of force.
const REPLACED: &[u8] = b"# replaced by the block of taskmon: ";

/// The text with these lines, counted from 1, as comments.
pub fn comment_out(text: &[u8], lines: &[usize]) -> Vec<u8> {
    let mut new = Vec::new();
    for (at, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if lines.contains(&at.saturating_add(1)) {
            new.extend(REPLACED);
        }
        new.extend(line);
    }
    new
}

/// Whether it is the line that taskmon wrote for the job: its times, any program and configuration, the job's words, and nothing else.
fn is_line_of(line: &str, job: &Installed) -> bool {
    let Some(command) =
        line.strip_prefix(job.cron.as_str()).and_then(|rest| rest.strip_suffix(QUIET))
    else {
        return false;
    };
    let words = shlex::split(command).unwrap_or_default();
    let words = match words.as_slice() {
        [nice, _, _, rest @ ..] if nice == "nice" => rest,
        words => words,
    };
    matches!(words, [_, flag, _, rest @ ..] if flag == "-c" && rest == job.words())
}

/// Reads `NAME = value`, with or without quotes, as cron does; a job's line never has its first `=` right behind its first word.
pub(super) fn variable(line: &[u8]) -> Option<(String, String)> {
    let line = String::from_utf8_lossy(line);
    let (name, value) = line.split_once('=')?;
    let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
    let name = bare(name);
    let is_name = !name.is_empty() && !name.starts_with('#') && !name.contains(char::is_whitespace);
    is_name.then(|| (name, bare(value)))
}

fn block(
    header: &Header,
    jobs: &[CronJob],
    old: &[Installed],
    installation: &Installation,
) -> String {
    let mut text = format!("{BEGIN} {}\n", comment(header));
    text += &format!(
        "{NOTE}; `taskmon schedule remove` takes these lines out. Changes are lost. 由 taskmon 写入，请勿手工修改。\n"
    );
    for job in jobs {
        let installed = Installed::of(job, old, installation.now);
        text += &format!("{JOB}{}\n{}\n", comment(&installed), line(job, installation));
    }
    text + END + "\n"
}

/// One line: JSON escapes control characters.
fn comment(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The line that cron reads. The result goes nowhere (reports are saved, runs recorded); what is wrong goes to standard error, which cron mails.
fn line(job: &CronJob, installation: &Installation) -> String {
    let mut words = Vec::new();
    if job.nice() > 0 {
        words.extend(["nice".to_owned(), "-n".to_owned(), job.nice().to_string()]);
    }
    words.push(text_of(&installation.binary));
    words.push("-c".to_owned());
    words.push(text_of(&installation.config));
    words.extend(job.words.iter().cloned());
    let words: Vec<String> = words.iter().map(|word| escaped(word)).collect();
    format!("{} {}{QUIET}", job.cron.trim(), words.join(" "))
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

/// Quotes a word for the shell that cron starts, so that Debian's cron, cronie and busybox all hand it on unchanged. In a crontab `%` ends the command unless
/// it is escaped as `\%`; cron removes that backslash, and Debian's the first of two backslashes as well. busybox' cron passes the line on as it is, and its
/// shell removes a backslash only outside of quotes: so `\%` is never inside quotes, and quotes are closed and opened again between two backslashes.
fn escaped(word: &str) -> String {
    let pieces = word.split('%').map(|piece| {
        let mut text = if piece.is_empty() && !word.is_empty() {
            String::new()
        } else {
            quoted_words(&[piece])
        };
        while text.contains(r"\\") {
            text = text.replace(r"\\", r"\''\");
        }
        text
    });
    pieces.collect::<Vec<_>>().join(r"\%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::expression::Times;
    use chrono::{DateTime, Utc};

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn job(name: &str, cron: &str, words: &[&str], priority: u8) -> CronJob {
        CronJob {
            name: name.into(),
            cron: cron.into(),
            times: Times::read(cron).unwrap(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            queue: "file".into(),
            priority,
        }
    }

    fn installation(config: &str) -> Installation {
        Installation {
            binary: "/usr/local/bin/taskmon".into(),
            config: config.into(),
            now: utc("2026-11-25T12:00:00.5Z"),
        }
    }

    fn jobs() -> Vec<CronJob> {
        vec![
            job("daily", "0 2 * * *", &["stats"], 3),
            job("sweep", "30 * * * *", &["cleanup", "--only", "temp,logs"], 9),
        ]
    }

    fn written(text: &[u8], jobs: &[CronJob], installation: &Installation) -> String {
        let new = read(text).unwrap().with(jobs, installation);
        String::from_utf8(new).unwrap()
    }

    #[test]
    fn a_block_has_the_absolute_paths_the_niceness_and_a_note_of_each_job() {
        assert_eq!(
            written(b"", &jobs(), &installation("/etc/taskmon/taskmon.toml")),
            "# BEGIN taskmon {\"config\":\"/etc/taskmon/taskmon.toml\"}
# Written by `taskmon schedule install`; `taskmon schedule remove` takes these lines out. Changes are lost. 由 taskmon 写入，请勿手工修改。
# taskmon job {\"name\":\"daily\",\"cron\":\"0 2 * * *\",\"command\":\"stats\",\"queue\":\"file\",\"priority\":3,\"installed\":\"2026-11-25T12:00:00Z\"}
0 2 * * * nice -n 12 /usr/local/bin/taskmon -c /etc/taskmon/taskmon.toml stats > /dev/null
# taskmon job {\"name\":\"sweep\",\"cron\":\"30 * * * *\",\"command\":\"cleanup --only temp,logs\",\"queue\":\"file\",\"priority\":9,\"installed\":\"2026-11-25T12:00:00Z\"}
30 * * * * /usr/local/bin/taskmon -c /etc/taskmon/taskmon.toml cleanup --only temp,logs > /dev/null
# END taskmon
"
        );
    }

    #[test]
    fn foreign_lines_stay_to_the_byte_and_come_back_as_they_were() {
        for text in [
            &b""[..],
            b"MAILTO=ann\n# mine\n\n5 4 * * * /bin/true\n",
            b"5 4 * * * /bin/true\r\n# \xff\xfe no UTF-8\r\n",
            b"5 4 * * * /bin/true without an end",
            b"\n\n",
            b"# BEGIN taskmonitor\n# END taskmonitor\n",
            b"   # BEGIN taskmon\n",
        ] {
            let new = read(text).unwrap().with(&jobs(), &installation("/a.toml"));
            assert!(new.starts_with(text), "{new:?}");
            let again = read(&new).unwrap();
            assert_eq!(again.jobs().len(), 2);
            assert_eq!(again.config().as_deref(), Some(Path::new("/a.toml")));
            let later =
                Installation { now: utc("2027-01-01T00:00:00Z"), ..installation("/a.toml") };
            assert_eq!(again.with(&jobs(), &later), new, "installing again changes something");
            assert_eq!(again.without(), text);
            // Lines that somebody adds behind it stay too, and keep the line feed before them.
            let followed = [new.as_slice(), b"@daily /bin/later\n"].concat();
            let again = read(&followed).unwrap();
            assert_eq!(again.with(&jobs(), &later), followed);
            let rest = again.without();
            assert!(rest.starts_with(text) && rest.ends_with(b"@daily /bin/later\n"));
        }
    }

    #[test]
    fn a_job_that_changes_is_new_and_the_others_keep_their_time() {
        let old = written(b"", &jobs(), &installation("/a.toml"));
        let mut changed = jobs();
        changed[0] = job("daily", "0 3 * * *", &["stats"], 3);
        changed.push(job("disk", "15 * * * *", &["disk"], 4));
        let later = Installation { now: utc("2026-12-01T00:00:00Z"), ..installation("/a.toml") };
        let new = written(old.as_bytes(), &changed, &later);
        let since: Vec<String> = read(new.as_bytes())
            .unwrap()
            .jobs()
            .iter()
            .map(|(job, _)| format!("{} {}", job.name, job.installed.format("%m-%d")))
            .collect();
        assert_eq!(since, ["daily 12-01", "sweep 11-25", "disk 12-01"]);
    }

    #[test]
    fn a_damaged_block_is_refused_and_its_markers_named() {
        let begin = "# BEGIN taskmon {}\n";
        let end = "# END taskmon\n";
        let line = "0 2 * * * x\n";
        for (text, places) in [
            (format!("{begin}{line}"), "in line 1, \"# END taskmon\" nowhere"),
            (format!("{line}{end}"), "nowhere, \"# END taskmon\" in line 2"),
            (format!("{end}{begin}"), "in line 2, \"# END taskmon\" in line 1"),
            (
                format!("{begin}{end}{line}{begin}{end}"),
                "in line 1 and 4, \"# END taskmon\" in line 2 and 5",
            ),
            (format!("{begin}{begin}{end}"), "in line 1 and 2, \"# END taskmon\" in line 3"),
        ] {
            let why = read(text.as_bytes()).unwrap_err().message;
            assert!(why.ends_with(places), "{why}");
        }
    }

    #[test]
    fn a_percent_sign_and_what_a_shell_would_read_are_written_so_that_they_arrive() {
        let odd =
            job("odd", "0 2 * * *", &["stats", "50%", "%", "it's $HOME", "a\\%b", r"a\\\b", ""], 9);
        let text = written(b"", &[odd], &installation("/srv/my app/100%.toml"));
        let line = text.lines().nth(3).unwrap();
        assert_eq!(
            line,
            r"0 2 * * * /usr/local/bin/taskmon -c '/srv/my app/100'\%.toml stats 50\% \% 'it'\''s $HOME' 'a\'\%b 'a\''\''\b' '' > /dev/null"
        );
        assert_eq!(
            read(text.as_bytes()).unwrap().config().as_deref(),
            Some(Path::new("/srv/my app/100%.toml"))
        );
    }
}
