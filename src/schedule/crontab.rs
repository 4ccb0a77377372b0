//! The block of lines that is taskmon's own in a crontab, as text.
//!
//! ```text
//! # BEGIN taskmon {"config":"/etc/taskmon/taskmon.toml"}
//! # taskmon job {"name":"generate-daily-statistics","cron":"0 2 * * *", … ,"installed":"2026-11-25T12:00:00Z"}
//! 0 2 * * * nice -n 12 /usr/local/bin/taskmon -c /etc/taskmon/taskmon.toml stats > /dev/null
//! # END taskmon
//! ```
//!
//! Whatever stands before and behind it is somebody else's and kept to the byte: a crontab need not be text in any encoding.

use super::{Installation, Installed, Job, quoted_words};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const BEGIN: &str = "# BEGIN taskmon";
const END: &str = "# END taskmon";
const JOB: &str = "# taskmon job ";
const NOTE: &str = "# Written by `taskmon schedule install`";
const QUIET: &str = " > /dev/null";

/// What stands in the first line of a block.
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

/// Markers that do not make one block: a sentence.
#[derive(Debug, PartialEq)]
pub struct Damaged(pub String);

/// Finds the block.
///
/// # Errors
/// A beginning without an end, an end without a beginning, two blocks: it is not known what is whose.
pub fn read(text: &[u8]) -> Result<Crontab<'_>, Damaged> {
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
            Err(Damaged(format!(
                "the crontab's block of taskmon is damaged: \"{BEGIN}\" stands {}, \"{END}\" {}",
                lines(&begins),
                lines(&ends)
            )))
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

    /// The words of each job's line behind its times, by the job's name: the program and its arguments as the shell gets them.
    pub fn words(&self) -> Vec<(String, Vec<String>)> {
        let lines = self.block.unwrap_or_default().split(|byte| *byte == b'\n');
        let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
        let jobs = self.jobs().into_iter().filter_map(|job| {
            let own = |line: &&[std::borrow::Cow<str>]| {
                let comment = line[0].strip_prefix(JOB);
                let named = comment.and_then(|text| serde_json::from_str::<Installed>(text).ok());
                named.is_some_and(|named| named.name == job.name)
            };
            let line = lines.windows(2).find(own)?[1].strip_prefix(&job.cron)?;
            // cron takes the backslash before a percent sign away, as a shell would.
            let words = shlex::split(line)?.into_iter();
            let words = words.take_while(|word| word != ">").collect();
            Some((job.name, words))
        });
        jobs.collect()
    }

    /// The lines in the block that taskmon has not written, or not like that.
    pub fn foreign(&self) -> Vec<String> {
        let block = String::from_utf8_lossy(self.block.unwrap_or_default());
        let mut lines = block.lines().skip(1).peekable();
        let mut foreign = Vec::new();
        while let Some(line) = lines.next() {
            let comment = line.strip_prefix(JOB);
            let job = comment.and_then(|text| serde_json::from_str::<Installed>(text).ok());
            let is_own = match &job {
                Some(job) => lines.next_if(|line| is_line_of(line, job)).is_some(),
                None => line.starts_with(NOTE) || line == END,
            };
            if !is_own {
                foreign.push(line.to_owned());
            }
        }
        foreign
    }

    /// The jobs in the block. One whose comment or line somebody has spoilt is none: cron runs it at another time, or not at all.
    pub fn jobs(&self) -> Vec<Installed> {
        let lines = self.block.unwrap_or_default().split(|byte| *byte == b'\n');
        let mut lines = lines.peekable();
        let mut jobs = Vec::new();
        while let Some(line) = lines.next() {
            let comment = line.strip_prefix(JOB.as_bytes());
            let job = comment.and_then(|comment| serde_json::from_slice::<Installed>(comment).ok());
            if let (Some(job), Some(line)) = (job, lines.peek()) {
                let times = format!("{} ", job.cron);
                if line.starts_with(times.as_bytes()) && !line.ends_with(b"\r") {
                    jobs.push(job);
                }
            }
        }
        jobs
    }

    /// The variables that lines before the block set for it, and their values.
    pub fn variables(&self) -> Vec<(String, String)> {
        let lines = self.before.split(|byte| *byte == b'\n');
        lines.filter_map(variable).collect()
    }

    /// The whole crontab with these jobs in place of those that it has.
    pub fn with(&self, jobs: &[Job], installation: &Installation) -> Vec<u8> {
        let adds_newline = match self.header() {
            Some(header) => header.newline_added,
            None => !self.before.is_empty() && !self.before.ends_with(b"\n"),
        };
        let mut text = self.before.to_vec();
        if self.block.is_none() && adds_newline {
            text.push(b'\n');
        }
        text.extend(block(jobs, &self.jobs(), installation, adds_newline).bytes());
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

/// Whether it is the job's line: its times, any program and configuration, the job's own words, and nothing besides.
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

/// `NAME = value`, quotes or not, as cron reads it; a line of times never has its first `=` right behind its first word.
fn variable(line: &[u8]) -> Option<(String, String)> {
    let line = String::from_utf8_lossy(line);
    let (name, value) = line.split_once('=')?;
    let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
    let name = bare(name);
    let is_name = !name.is_empty() && !name.starts_with('#') && !name.contains(char::is_whitespace);
    is_name.then(|| (name, bare(value)))
}

fn block(
    jobs: &[Job],
    old: &[Installed],
    installation: &Installation,
    newline_added: bool,
) -> String {
    let header = Header { config: installation.config.clone(), newline_added };
    let mut text = format!("{BEGIN} {}\n", comment(&header));
    text += &format!(
        "{NOTE}; `taskmon schedule remove` takes these lines out. Changes are lost. 由 taskmon 写入，请勿手工修改。\n"
    );
    for job in jobs {
        let installed = Installed::of(job, old, installation.now);
        text += &format!("{JOB}{}\n{}\n", comment(&installed), line(job, installation));
    }
    text + END + "\n"
}

/// JSON escapes control characters, so that it is one line.
fn comment(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The line that cron reads. The result goes nowhere (reports are saved, runs recorded); what is wrong goes to standard error, which cron mails.
fn line(job: &Job, installation: &Installation) -> String {
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

/// A word for the shell that cron starts. In a crontab `%` ends the command unless a backslash stands before it, which cron takes away, as Debian's does with
/// the first of two backslashes. busybox' cron knows nothing of this and hands all to the shell, which takes a backslash away only outside of quotes: there
/// each `%` stands. Quotes are closed and opened again between two backslashes.
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
