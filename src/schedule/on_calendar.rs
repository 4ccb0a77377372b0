//! The times of a cron expression in the form that systemd's timers have.

use super::expression::Times;

/// The times as values of `OnCalendar=` (systemd.time(7)), each for its own line; empty for `@reboot`, which has no such form.
pub fn on_calendar(times: &Times) -> Vec<String> {
    let Some(pattern) = &times.pattern else {
        return Vec::new();
    };
    let cron = &pattern.cron.pattern;
    let list = |values: Vec<u16>, whole: usize| {
        if values.len() == whole {
            "*".to_owned()
        } else {
            joined(values.iter().map(|value| format!("{value:02}")))
        }
    };
    let time = format!("{}:{}:00", list(cron.hours.values(), 24), list(cron.minutes.values(), 60));
    let months = list(cron.months.values(), 12);
    let days = list(cron.days.values(), 31);
    let weekdays = weekdays(&cron.days_of_week.values());
    let line = |weekdays: &str, days: &str| {
        format!("{weekdays} *-{months}-{days} {time}").trim().to_owned()
    };
    if pattern.needs_both_days {
        vec![line(&weekdays, &days)]
    } else {
        // Either is enough: a timer elapses whenever one of its lines does.
        vec![line("", &days), line(&weekdays, "*")]
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(",")
}

/// Days of the week (0 and 7: Sunday) by the names that systemd knows; empty: all of them.
fn weekdays(values: &[u16]) -> String {
    let names = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let named = names.iter().enumerate().filter(|(day, _)| {
        let day = *day as u16;
        values.contains(&day) || (day == 0 && values.contains(&7))
    });
    let named: Vec<&str> = named.map(|(_, name)| *name).collect();
    match named.len() {
        7 => String::new(),
        _ => named.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_gets_the_same_times() {
        for (expression, lines) in [
            ("0 2 * * *", &["*-*-* 02:00:00"][..]),
            ("*/20 * * * *", &["*-*-* *:00,20,40:00"]),
            ("0 2 1 * 1", &["*-*-01 02:00:00", "Mon *-*-* 02:00:00"]),
            ("0 2 */15 * 7", &["Sun *-*-01,16,31 02:00:00"]),
            ("*,5 2 * * *", &["*-*-* 02:*:00"]),
            ("0 2 *,5 * 1,*", &["*-*-* 02:00:00"]),
            ("0 2 * jan,feb mon-wed", &["Mon,Tue,Wed *-01,02-* 02:00:00"]),
            ("@hourly", &["*-*-* *:00:00"]),
            ("@reboot", &[]),
        ] {
            assert_eq!(on_calendar(&Times::read(expression).unwrap()), lines, "{expression}");
        }
    }
}
