//! The lines of a crontab that start taskmon and that somebody wrote by hand.

use super::expression::Times;
use super::starts::{Start, Unclear, starts};

/// The form of a crontab's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A user's own: times and command.
    User,
    /// /etc/crontab and /etc/cron.d: a user between them.
    System,
}

/// A line that names taskmon.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// Whose job it is; `None`: the crontab's user's.
    pub user: Option<String>,
    /// The times, with one blank between fields.
    pub cron: String,
    /// What the lines above it set; the last of a name holds.
    pub variables: Vec<(String, String)>,
    /// What it starts: at least one.
    pub starts: Result<Vec<Start>, Unclear>,
}

/// The lines of a crontab that name taskmon.
pub fn lines(text: &[u8], form: Form) -> Vec<Line> {
    let mut variables = Vec::new();
    let mut found = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if let Some(set) = variable(line) {
            variables.push(set);
            continue;
        }
        let line = String::from_utf8_lossy(line);
        let Some((cron, user, command)) = fields(&line, form) else {
            continue;
        };
        let starts = match starts(&shell_line(command)) {
            Ok(starts) if starts.is_empty() => continue,
            Ok(_) if Times::read(&cron).is_err() => Err(Unclear::Times),
            starts => starts,
        };
        found.push(Line { number: at + 1, user, cron, variables: variables.clone(), starts });
    }
    found
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

/// The times, the user and the command of a line; `None`: it is no job.
fn fields(line: &str, form: Form) -> Option<(String, Option<String>, &str)> {
    // cronie has a `-` before the minute, which keeps a job out of the system's log.
    let line = line.trim_start();
    let line = line.strip_prefix('-').unwrap_or(line);
    if line.starts_with('#') {
        return None;
    }
    let count = if line.starts_with('@') { 1 } else { 5 };
    let mut rest = line;
    let mut next = || {
        let (field, after) = rest.split_once([' ', '\t'])?;
        rest = after.trim_start();
        Some(field.to_owned())
    };
    let times: Option<Vec<String>> = (0..count).map(|_| next()).collect();
    let user = match form {
        Form::User => None,
        Form::System => Some(next()?),
    };
    Some((times?.join(" "), user, rest))
}

/// What cron hands to the shell: the command up to the first `%`, with each `\%` as `%`.
fn shell_line(command: &str) -> String {
    let mut line = String::new();
    let mut letters = command.trim_end_matches('\r').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => break,
            '\\' if letters.peek() == Some(&'%') => line.extend(letters.next()),
            letter => line.push(letter),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_cron_reads_them() {
        let text = b"SHELL=/bin/sh\n# 0 1 * * * taskmon stats\nTASKMON_CONFIG = \"/srv/a.toml\"\n\
            \t0  2 * * 1-5\ttaskmon stats --days 7\n\
            @daily taskmon disk 50\\% % taskmon alert\n\
            0 2 * * * /bin/true\n-*/5 * * * * taskmon alert\nLATER=1\n0 2 L * * taskmon stats\n\xff\n";
        let found = lines(text, Form::User);
        let shown: Vec<String> = (found.iter())
            .map(|line| {
                let words = line.starts.as_ref().map(|starts| starts[0].words.join(" "));
                format!("{} {} {} {words:?}", line.number, line.cron, line.variables.len())
            })
            .collect();
        assert_eq!(
            shown,
            [
                "4 0 2 * * 1-5 2 Ok(\"stats --days 7\")",
                "5 @daily 2 Ok(\"disk 50%\")",
                "7 */5 * * * * 2 Ok(\"alert\")",
                "9 0 2 L * * 3 Err(Times)",
            ]
        );
        assert_eq!(found[0].variables[1], ("TASKMON_CONFIG".to_owned(), "/srv/a.toml".to_owned()));
        let found = lines(b"0 2 * * * shop taskmon stats\n0 2 * * *\n", Form::System);
        assert_eq!((found.len(), found[0].user.as_deref()), (1, Some("shop")));
    }
}
