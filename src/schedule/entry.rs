//! A job in one of the places where it may be installed, and whether what it starts is there.

use super::installed::Installed;
use rustix::fs::{Access, access};
use std::fmt::Display;
use std::path::Path;

/// A job that is installed with a configuration.
pub struct Entry {
    /// "crontab", a file such as /etc/crontab, or the folder of its units.
    pub place: String,
    /// The line of a crontab, if somebody wrote it by hand.
    pub line: Option<usize>,
    pub is_timer: bool,
    /// A timer that is not enabled does not.
    pub runs: bool,
    pub job: Installed,
    /// What is started: the program and its arguments, perhaps behind `nice`. Empty: not known.
    pub words: Vec<String>,
}

impl Entry {
    /// Where it is, for people: "crontab", "/etc/cron.d/shop:3".
    pub fn position(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.place),
            None => self.place.clone(),
        }
    }

    /// Why what it starts cannot run: the program, or the file that it names with `-c`.
    pub fn obstacle(&self) -> Option<String> {
        let words = match self.words.as_slice() {
            [nice, _, _, rest @ ..] if nice == "nice" => rest,
            words => words,
        };
        let (program, rest) = words.split_first()?;
        // A program without a path is found on cron's PATH, which is not this one.
        if Path::new(program).is_absolute()
            && let Some(why) = unusable(program, "it is no program", Access::EXEC_OK)
        {
            return Some(why);
        }
        let config = rest.windows(2).find(|pair| pair[0] == "-c")?[1].as_str();
        unusable(config, "it is no file", Access::READ_OK)
    }
}

/// Why a file cannot be used like this.
fn unusable(path: &str, no_file: &str, wanted: Access) -> Option<String> {
    let because = |why: &dyn Display| Some(format!("{path}: {why}"));
    match Path::new(path).metadata() {
        Err(error) => because(&error),
        Ok(found) if !found.is_file() => because(&no_file),
        Ok(_) => access(path, wanted).err().and_then(|error| because(&error)),
    }
}
