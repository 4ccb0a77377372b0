//! A cron expression, read as every cron would read it: what only some crons know is refused.
//!
//! Where the day of the month or the day of the week starts with `*`, a day must fit both; else one of them is enough (`crontab(5)`).

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// What a cron expression says.
#[derive(Debug, Clone)]
pub struct Times {
    /// `None`: at boot, whenever that is.
    pub(super) pattern: Option<Pattern>,
}

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) cron: Cron,
    /// The minute or the hour starts with `*`: the job runs whenever the clock shows a time that fits, be it for the second time.
    pub(super) follows_the_clock: bool,
    /// A day must fit both the day of the month and the day of the week.
    pub(super) needs_both_days: bool,
}

impl Times {
    /// Whether the clock says when it is due, as it does not of `@reboot`.
    pub fn has_times(&self) -> bool {
        self.pattern.is_some()
    }

    /// Reads five fields or a word such as `@daily`.
    ///
    /// # Errors
    /// What is wrong, as a sentence that goes on after the expression. What not every cron knows is wrong: `~`, `L`, seconds.
    pub fn read(expression: &str) -> Result<Self, String> {
        let text = match expression.trim() {
            "@reboot" => return Ok(Self { pattern: None }),
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            text => text,
        };
        let fields: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let fields: [String; 5] =
            fields.try_into().map_err(|_| "has not five fields".to_owned())?;
        check_words(&fields)?;
        let needs_both_days = fields[2].starts_with('*') || fields[4].starts_with('*');
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .dom_and_dow(needs_both_days)
            .build()
            .parse(&with_ranges(&fields))
            .map_err(|error| format!("is no cron expression: {error}"))?;
        let follows_the_clock = fields[..2].iter().any(|field| field.starts_with('*'));
        Ok(Self { pattern: Some(Pattern { cron, follows_the_clock, needs_both_days }) })
    }
}

/// The expression with each `*` in a list, as in `*,5`, replaced by its range: cron takes such a list, `croner` does not.
fn with_ranges(fields: &[String; 5]) -> String {
    const RANGES: [&str; 5] = ["0-59", "0-23", "1-31", "1-12", "0-6"];
    let fields = fields.iter().zip(RANGES).map(|(field, range)| {
        let parts = field.split(',').map(|part| match part {
            "*" if field != "*" => range,
            part => part,
        });
        parts.collect::<Vec<_>>().join(",")
    });
    fields.collect::<Vec<_>>().join(" ")
}

/// Lets letters pass only as names of months and days, in their own fields: `croner` knows more (`L`, `15W`) than every cron does.
fn check_words(fields: &[String; 5]) -> Result<(), String> {
    const MONTHS: &str = "jan feb mar apr may jun jul aug sep oct nov dec";
    const DAYS: &str = "sun mon tue wed thu fri sat";
    for (place, field) in fields.iter().enumerate() {
        if field.split(',').any(str::is_empty) {
            return Err("has a list in which something is left out".to_owned());
        }
        let known = match place {
            3 => MONTHS,
            4 => DAYS,
            _ => "",
        };
        let words = field
            .split(['*', '/', ',', '-'])
            .filter(|word| !word.chars().all(|letter| letter.is_ascii_digit()));
        for word in words {
            if !known.split(' ').any(|name| name == word) {
                return Err(format!("holds \"{word}\", which not every cron knows"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_some_crons_know_is_refused() {
        for (expression, names) in [
            ("0 2 L * *", "\"l\""),
            ("0 2 15w * *", "\"15w\""),
            ("0 2 * * mon-xyz", "\"xyz\""),
            ("0~30 2 * * *", "\"0~30\""),
            ("0 2 * *", "five"),
            ("0 0 2 * * *", "five"),
            ("60 2 * * *", "no cron"),
            ("0 24 * * *", "no cron"),
            ("0 2 0 * *", "no cron"),
            ("*/0 2 * * *", "no cron"),
            ("@fortnightly", "five"),
            ("0 2 * jan,foo *", "\"foo\""),
            ("0 2 * mon *", "\"mon\""),
        ] {
            let why = Times::read(expression).unwrap_err();
            assert!(why.contains(names), "{expression}: {why}");
        }
    }
}
