//! The blocks of lines that are taskmon's own in a crontab, as text: one for each configuration.
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
use super::lines::{Form, lines, variable};
use super::shell::quoted_words;
use crate::outcome::{Failure, Kind};
use serde::{Deserialize, Serialize};
use std::ops::Range;
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

/// A crontab with the blocks in it: one for each configuration that has jobs there.
#[derive(Debug)]
pub struct Crontab<'t> {
    text: &'t [u8],
    blocks: Vec<Block<'t>>,
}

/// The lines from one marker to the other.
#[derive(Debug)]
pub struct Block<'t> {
    range: Range<usize>,
    text: &'t [u8],
    /// The configuration that it is for, as its first line names it, else its jobs; `None`: neither does.
    pub config: Option<PathBuf>,
}

/// Finds the blocks.
///
/// # Errors
/// [`Kind::CrontabDamaged`]: a beginning without an end, an end without a beginning. It is not known what is whose.
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
    let pairs = || begins.iter().zip(&ends);
    let follows = |(end, begin): (&(usize, usize), &(usize, usize))| end.1 < begin.1;
    let is_whole = begins.len() == ends.len()
        && pairs().all(|(begin, end)| begin.1 < end.1)
        && ends.iter().zip(begins.iter().skip(1)).all(follows);
    if is_whole {
        let blocks = pairs().map(|((from, _), (to, _))| Block::at(*from..*to, text)).collect();
        return Ok(Crontab { text, blocks });
    }
    let lines = |marks: &[(usize, usize)]| match marks {
        [] => "nowhere".to_owned(),
        marks => {
            let lines: Vec<String> = marks.iter().map(|(_, line)| line.to_string()).collect();
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

/// The marker alone or followed by a blank; `# BEGIN taskmonitor` is somebody else's.
fn is_marker(line: &[u8], marker: &str) -> bool {
    let rest = line.strip_prefix(marker.as_bytes());
    rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

impl<'t> Block<'t> {
    fn at(range: Range<usize>, crontab: &'t [u8]) -> Self {
        let mut block = Self { text: &crontab[range.clone()], range, config: None };
        block.config = block.header().map(|header| header.config).or_else(|| block.named_config());
        block
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.text).into_owned()
    }

    fn header(&self) -> Option<Header> {
        let line = self.text.split(|byte| *byte == b'\n').next()?;
        serde_json::from_slice(line.strip_prefix(BEGIN.as_bytes())?).ok()
    }

    /// The configuration that its lines name with `-c`.
    fn named_config(&self) -> Option<PathBuf> {
        let starts = lines(self.text, Form::User).into_iter().filter_map(|line| line.starts.ok());
        let mut words = starts.flatten().map(|start| start.words);
        words.find_map(|words| {
            let at = words.iter().position(|word| word == "-c" || word == "--config")?;
            words.get(at + 1).map(PathBuf::from)
        })
    }

    /// The programs that its lines start.
    pub fn programs(&self) -> Vec<String> {
        let starts = lines(self.text, Form::User).into_iter().filter_map(|line| line.starts.ok());
        starts.flatten().map(|start| start.program).collect()
    }

    /// The lines in the block that taskmon did not write, or that somebody changed.
    pub fn foreign(&self) -> Vec<String> {
        let block = self.text();
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
        let mut lines = self.text.split(|byte| *byte == b'\n').peekable();
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
}

impl<'t> Crontab<'t> {
    pub fn blocks(&self) -> &[Block<'t>] {
        &self.blocks
    }

    /// The block of a configuration.
    ///
    /// # Errors
    /// [`Kind::CrontabDamaged`]: it has two.
    pub fn block_of(
        &self,
        is_meant: &dyn Fn(&Path) -> bool,
    ) -> Result<Option<&Block<'t>>, Failure> {
        let is_its = |block: &&Block| block.config.as_deref().is_some_and(is_meant);
        let found: Vec<&Block> = self.blocks.iter().filter(is_its).collect();
        match found[..] {
            [] => Ok(None),
            [block] => Ok(Some(block)),
            _ => Err(Failure::new(
                Kind::CrontabDamaged,
                "the crontab has several blocks of taskmon for this configuration",
            )
            .hint("nothing was changed; leave one of them with `crontab -e`")),
        }
    }

    /// The lines that are in no block, each in its place: those of the blocks are blank.
    pub fn outside(&self) -> Vec<u8> {
        let mut text = self.text.to_vec();
        for block in &self.blocks {
            let inside = text.get_mut(block.range.clone()).unwrap_or_default();
            inside.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
        text
    }

    /// What is above a block, or above the place where one would be put.
    fn above(&self, block: Option<&Block>) -> &'t [u8] {
        block.map_or(self.text, |block| &self.text[..block.range.start])
    }

    /// The variables that lines above a block set for its jobs, and their values; without a block, those that one would have.
    pub fn variables(&self, block: Option<&Block>) -> Vec<(String, String)> {
        self.above(block).split(|byte| *byte == b'\n').filter_map(variable).collect()
    }

    /// The whole crontab with these jobs in place of those that the block has, or in a block at its end.
    pub fn with(
        &self,
        block: Option<&Block>,
        jobs: &[CronJob],
        installation: &Installation,
    ) -> Vec<u8> {
        let above = self.above(block);
        let newline_added = match block.and_then(Block::header) {
            Some(header) => header.newline_added,
            None => !above.is_empty() && !above.ends_with(b"\n"),
        };
        let header = Header { config: installation.config.clone(), newline_added };
        let mut text = above.to_vec();
        if block.is_none() && newline_added {
            text.push(b'\n');
        }
        let old = block.map(Block::jobs).unwrap_or_default();
        let old: Vec<Installed> = old.into_iter().map(|(job, _)| job).collect();
        text.extend(written(&header, jobs, &old, installation).bytes());
        text.extend(block.map_or(&[][..], |block| &self.text[block.range.end..]));
        text
    }

    /// The whole crontab without these blocks, as it was before they were there.
    pub fn without(&self, blocks: &[&Block]) -> Vec<u8> {
        let mut text = self.text.to_vec();
        let mut ranges: Vec<Range<usize>> =
            blocks.iter().map(|block| block.range.clone()).collect();
        ranges.sort_by_key(|range| std::cmp::Reverse(range.start));
        for range in ranges {
            let added =
                blocks.iter().find(|block| block.range == range).and_then(|block| block.header());
            let is_last = range.end == text.len();
            text.drain(range);
            if is_last && added.is_some_and(|header| header.newline_added) && text.ends_with(b"\n")
            {
                text.pop();
            }
        }
        text
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

fn written(
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

    fn installed(text: &[u8], jobs: &[CronJob], installation: &Installation) -> Vec<u8> {
        let crontab = read(text).unwrap();
        let block = crontab.block_of(&|config| config == installation.config).unwrap();
        crontab.with(block, jobs, installation)
    }

    fn written(text: &[u8], jobs: &[CronJob], installation: &Installation) -> String {
        String::from_utf8(installed(text, jobs, installation)).unwrap()
    }

    fn removed(text: &[u8]) -> Vec<u8> {
        let crontab = read(text).unwrap();
        crontab.without(&[&crontab.blocks()[0]])
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
            let new = installed(text, &jobs(), &installation("/a.toml"));
            assert!(new.starts_with(text), "{new:?}");
            let crontab = read(&new).unwrap();
            assert_eq!(crontab.blocks()[0].jobs().len(), 2);
            assert_eq!(crontab.blocks()[0].config.as_deref(), Some(Path::new("/a.toml")));
            let later =
                Installation { now: utc("2027-01-01T00:00:00Z"), ..installation("/a.toml") };
            assert_eq!(installed(&new, &jobs(), &later), new, "installing again changes something");
            assert_eq!(removed(&new), text);
            // Lines that somebody adds behind it stay too, and keep the line feed before them.
            let followed = [new.as_slice(), b"@daily /bin/later\n"].concat();
            assert_eq!(installed(&followed, &jobs(), &later), followed);
            let rest = removed(&followed);
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
        let since: Vec<String> = read(new.as_bytes()).unwrap().blocks()[0]
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
                format!("{begin}{line}{begin}{end}{end}"),
                "in line 1 and 3, \"# END taskmon\" in line 4 and 5",
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
            read(text.as_bytes()).unwrap().blocks()[0].config.as_deref(),
            Some(Path::new("/srv/my app/100%.toml"))
        );
    }

    #[test]
    fn each_configuration_has_a_block_and_changes_that_alone() {
        for text in ["5 4 * * * /bin/true\n", "5 4 * * * /bin/true"] {
            let one = written(text.as_bytes(), &jobs(), &installation("/a.toml"));
            let both = written(one.as_bytes(), &jobs()[..1], &installation("/b.toml"));
            assert!(both.starts_with(&one), "{both}");
            let changed = written(both.as_bytes(), &jobs()[1..], &installation("/a.toml"));
            let crontab = read(changed.as_bytes()).unwrap();
            let names: Vec<Vec<String>> = (crontab.blocks().iter())
                .map(|block| block.jobs().into_iter().map(|(job, _)| job.name).collect())
                .collect();
            assert_eq!(names, [["sweep"], ["daily"]]);
            assert_eq!(
                crontab.without(&crontab.blocks().iter().collect::<Vec<_>>()),
                text.as_bytes()
            );
            let outside = String::from_utf8(crontab.outside()).unwrap();
            assert_eq!(
                (outside.trim(), outside.lines().count()),
                (text.trim(), changed.lines().count())
            );
        }
        let twice = written(b"", &jobs(), &installation("/a.toml")).repeat(2);
        let crontab = read(twice.as_bytes()).unwrap();
        assert!(crontab.block_of(&|config| config == Path::new("/a.toml")).is_err());
        assert!(crontab.block_of(&|config| config == Path::new("/b.toml")).unwrap().is_none());
    }

    #[test]
    fn a_block_without_a_name_is_that_of_the_configuration_in_its_lines() {
        let text = written(b"", &jobs(), &installation("/a.toml"));
        let unnamed = text.replace(" {\"config\":\"/a.toml\"}", "");
        assert_ne!(unnamed, text);
        assert_eq!(written(unnamed.as_bytes(), &jobs(), &installation("/a.toml")), text);
    }
}
