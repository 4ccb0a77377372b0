//! A job of the configuration, its expression and its command read.

use super::expression::Times;
use super::settings::JobSettings;
use super::shell;
use crate::outcome::Failure;
use crate::secret::masked_url;

#[derive(Debug, Clone)]
pub struct CronJob {
    pub name: String,
    pub cron: String,
    pub times: Times,
    /// The arguments of taskmon.
    pub words: Vec<String>,
    /// Empty: on every host.
    pub queue: String,
    /// 9 highest, 1 lowest.
    pub priority: u8,
}

impl CronJob {
    /// # Errors
    /// [`ConfigInvalid`](crate::outcome::Kind::ConfigInvalid): an expression that not every cron knows, a command that is not words alone or has a
    /// password.
    pub fn read(settings: &JobSettings) -> Result<Self, Failure> {
        let times = Times::read(&settings.cron).map_err(|why| {
            settings.invalid(&format!("has the expression \"{}\", which {why}", settings.cron))
        })?;
        if let Some(operator) = shell::operator(&settings.command) {
            return Err(settings.invalid(&format!(
                "has the `command` \"{}\", which contains {operator}: it is the words and options of taskmon, and no shell reads it",
                settings.command.escape_debug()
            ))
            .hint("put what is meant literally in single quotes; a line of your own in the crontab can do what a shell does"));
        }
        let words = shlex::split(&settings.command).ok_or_else(|| {
            settings.invalid(&format!("has an open quote in its command: {}", settings.command))
        })?;
        let texts = [&settings.name, &settings.queue, &settings.command];
        if texts.iter().any(|text| text.contains(char::is_control)) {
            return Err(settings.invalid("holds a line feed or another control character"));
        }
        if words.iter().any(|word| has_password(word)) {
            return Err(settings.invalid("has a password in its command, which all users of the host can read in the list of processes").hint(
                "write the URL under database.url in a configuration that only its user may read (chmod 600), or the password into ~/.pgpass",
            ));
        }
        Ok(Self {
            name: settings.name.clone(),
            cron: settings.cron.split_whitespace().collect::<Vec<_>>().join(" "),
            times,
            words,
            queue: settings.queue.clone(),
            priority: settings.priority,
        })
    }

    /// Added to the niceness that cron's jobs have: 0 for priority 9, 16 for 1. The rule is the contract's.
    pub fn nice(&self) -> u8 {
        2 * (9 - self.priority.min(9))
    }

    /// As a shell takes it.
    pub fn command(&self) -> String {
        shell::quoted_words(&self.words)
    }

    /// Whether a host that serves these queues runs it; no queues: every host does.
    pub fn is_served(&self, queues: &[String]) -> bool {
        queues.is_empty() || self.queue.is_empty() || queues.contains(&self.queue)
    }
}

/// Whether a word of a command is a URL with a password, or an option with one.
fn has_password(word: &str) -> bool {
    let value = match word.split_once('=') {
        Some((option, value)) if option.starts_with("--") => value,
        _ => word,
    };
    // Of a web page's URL more is masked than passwords.
    value.contains("://") && !value.starts_with("http") && masked_url(value) != value
}
