//! Whether a channel is notified of an alert, and why: a pure function of the time, of what the channel was notified of before, and of
//! the alert's state now.

use crate::alert::{Alert, Status};
use crate::calendar::Shift;
use crate::outcome::Severity;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// Why a channel is notified, or is not. The names are those of the records and of `decisions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has not been notified since the alert began to fire.
    First,
    /// It was notified of a lesser severity, or of much less.
    Worse,
    /// It was silenced, is not any more, and is still firing.
    SilenceEnded,
    /// The last notification is long enough ago.
    RepeatDue,
    /// It did not accept the alert within the last day.
    #[serde(rename = "offered_again")]
    Retry,
    /// It was notified that the alert is firing, and the alert is resolved.
    Resolved,
    /// It was notified that the alert is firing, and what that is about is not watched any more.
    NotWatched,
    /// It was notified not long ago, of no lesser severity.
    Suppressed,
    /// Somebody silenced it, or there is a maintenance window.
    Silenced,
    /// The alert is not as severe as the channel asks for.
    BelowMinimum,
    /// Another run is notifying it right now.
    #[serde(rename = "in_hand")]
    InProgress,
    /// The alert is resolved, and the channel was never notified of it.
    #[serde(rename = "never_told")]
    NeverNotified,
    /// Nothing is known to have changed, and the channel accepted everything.
    #[serde(rename = "nothing_owed")]
    NothingUndelivered,
}

impl Reason {
    /// Whether the channel is notified.
    pub fn notifies(self) -> bool {
        match self {
            Reason::First
            | Reason::Worse
            | Reason::SilenceEnded
            | Reason::RepeatDue
            | Reason::Retry
            | Reason::Resolved
            | Reason::NotWatched => true,
            Reason::Suppressed
            | Reason::Silenced
            | Reason::BelowMinimum
            | Reason::InProgress
            | Reason::NeverNotified
            | Reason::NothingUndelivered => false,
        }
    }
}

/// What a channel was notified of, concerning one alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelMemory {
    /// The last notification that the alert is firing; `None` if there was none since it began to.
    #[serde(default, rename = "told", skip_serializing_if = "Option::is_none")]
    pub notified: Option<LastNotified>,
    /// What it did not accept.
    #[serde(default, rename = "owed", skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<Undelivered>,
    /// Whether it was last found while it was silenced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_silenced: bool,
    /// The severity that another run is notifying it of right now.
    #[serde(skip)]
    pub in_progress: Option<Severity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LastNotified {
    pub severity: Severity,
    pub at: DateTime<Utc>,
    /// Unknown in what an earlier version wrote.
    #[serde(default, flatten)]
    pub extent: Extent,
}

/// How bad an alert is, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// `None`: there is none, or it is an age, which grows by itself: how many are that old says then how bad it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<f64>,
}

/// A value that has grown to so many times what a channel was notified of is worth another notification, and so is a count.
const GROWN_VALUE: f64 = 1.5;
const GROWN_COUNT: f64 = 10.0;

impl Extent {
    pub fn of(alert: &Alert) -> Self {
        let count = alert.count.map(|count| count as f64);
        let value = alert.value.as_ref().and_then(Number::as_f64);
        Self {
            value: value.filter(|value| count.is_none_or(|count| count == *value)),
            threshold: alert.threshold.as_ref().and_then(Number::as_f64),
            count,
        }
    }

    /// Whether it is much worse than another one. What fires below its threshold gets better as it grows.
    fn outgrows(&self, last: &Self) -> bool {
        let has_grown = |now: Option<f64>, then: Option<f64>, factor: f64| {
            let grown = now.zip(then).filter(|(now, then)| now > then && *now >= then * factor);
            grown.is_some()
        };
        if self.threshold != last.threshold {
            // By another threshold the value is another one: a backlog by age has become one by number.
            return has_grown(self.count, last.count, GROWN_VALUE);
        }
        let is_below = self.value.zip(self.threshold).is_some_and(|(value, limit)| value < limit);
        !is_below && has_grown(self.value, last.value, GROWN_VALUE)
            || has_grown(self.count, last.count, GROWN_COUNT)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Undelivered {
    pub status: Status,
    /// When it was first rejected.
    pub since: DateTime<Utc>,
}

/// What is known of the alert now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum State {
    Firing {
        severity: Severity,
        /// The channel's `min_severity`.
        minimum: Severity,
        extent: Extent,
    },
    /// It is firing, and silenced.
    Silenced,
    /// It was firing, and whoever found it does not find it any more.
    Resolved,
    /// What it is about was taken out of the configuration.
    NotWatched,
    /// This run did not look, or what it looked at could not be judged.
    NotJudged,
}

/// How long a channel is sent again what it did not accept.
const RETRIED_FOR: TimeDelta = TimeDelta::days(1);

/// A daily job of cron starts a little earlier on one day than on another; without this, every second repetition would be left out.
const JITTER: TimeDelta = TimeDelta::minutes(1);

/// A time further ahead than this was written by a clock that was wrong.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Whether a channel is notified, and why.
///
/// `repeat_after` zero: whatever is firing is always sent.
pub fn decide(
    now: DateTime<Utc>,
    repeat_after: TimeDelta,
    memory: &ChannelMemory,
    alert: State,
) -> Reason {
    match alert {
        State::Silenced => Reason::Silenced,
        State::Firing { severity, minimum, .. } if severity < minimum => Reason::BelowMinimum,
        State::Firing { severity, extent, .. } => {
            decide_firing(now, repeat_after, memory, severity, extent)
        }
        _ if memory.in_progress.is_some() => Reason::InProgress,
        State::Resolved if memory.notified.is_some() => Reason::Resolved,
        State::NotWatched if memory.notified.is_some() => Reason::NotWatched,
        State::Resolved | State::NotWatched => Reason::NeverNotified,
        State::NotJudged if undelivered(now, memory).is_some() => Reason::Retry,
        State::NotJudged => Reason::NothingUndelivered,
    }
}

fn decide_firing(
    now: DateTime<Utc>,
    repeat_after: TimeDelta,
    memory: &ChannelMemory,
    severity: Severity,
    extent: Extent,
) -> Reason {
    if memory.in_progress.is_some_and(|in_progress| in_progress >= severity) {
        return Reason::InProgress;
    }
    match memory.notified {
        None if undelivered(now, memory) == Some(Status::Firing) => Reason::Retry,
        None => Reason::First,
        Some(last) if last.severity < severity || extent.outgrows(&last.extent) => Reason::Worse,
        Some(_) if memory.was_silenced => Reason::SilenceEnded,
        Some(last) if is_repeat_due(now, repeat_after, last.at) => Reason::RepeatDue,
        Some(_) => Reason::Suppressed,
    }
}

fn is_repeat_due(now: DateTime<Utc>, repeat_after: TimeDelta, last: DateTime<Utc>) -> bool {
    let due = last.plus(repeat_after).minus(JITTER.min(repeat_after));
    last > now.plus(AHEAD) || now >= due
}

/// What it did not accept within the last day.
fn undelivered(now: DateTime<Utc>, memory: &ChannelMemory) -> Option<Status> {
    let undelivered = memory.undelivered?;
    (now.signed_duration_since(undelivered.since) <= RETRIED_FOR).then_some(undelivered.status)
}

impl ChannelMemory {
    /// It accepted a notification at this time.
    pub fn record_accepted(&mut self, status: Status, alert: &Alert, at: DateTime<Utc>) {
        (self.undelivered, self.was_silenced) = (None, false);
        let (severity, extent) = (alert.severity, Extent::of(alert));
        self.notified = match status {
            Status::Firing => Some(LastNotified { severity, at, extent }),
            Status::Resolved => None,
        };
    }

    /// It rejected a notification at this time. The day of retries begins with the first rejection, and anew with the first after it.
    pub fn record_rejected(&mut self, status: Status, at: DateTime<Utc>) {
        let is_same_day = undelivered(at, self) == Some(status);
        let before = self.undelivered.filter(|_| is_same_day);
        let since = before.map_or(at, |undelivered| undelivered.since);
        self.undelivered = Some(Undelivered { status, since });
        if status == Status::Resolved {
            self.notified = None;
        }
    }

    /// The alert is resolved, of which the channel need not be notified.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether a later decision may depend on it.
    pub fn matters(&self, now: DateTime<Utc>, repeat_after: TimeDelta) -> bool {
        let notified = self.notified.filter(|last| !is_repeat_due(now, repeat_after, last.at));
        notified.is_some() || undelivered(now, self).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn now() -> DateTime<Utc> {
        "2026-11-22T04:00:00Z".parse().unwrap()
    }

    fn ago(seconds: i64) -> DateTime<Utc> {
        now() - TimeDelta::seconds(seconds)
    }

    fn notified(severity: Severity, seconds: i64) -> ChannelMemory {
        let at = ago(seconds);
        let extent = Extent::default();
        let notified = Some(LastNotified { severity, at, extent });
        ChannelMemory { notified, ..ChannelMemory::default() }
    }

    fn undelivered_since(status: Status, seconds: i64) -> ChannelMemory {
        let since = ago(seconds);
        ChannelMemory {
            undelivered: Some(Undelivered { status, since }),
            ..ChannelMemory::default()
        }
    }

    fn in_progress(severity: Severity) -> ChannelMemory {
        ChannelMemory { in_progress: Some(severity), ..ChannelMemory::default() }
    }

    fn firing(severity: Severity, minimum: Severity) -> State {
        State::Firing { severity, minimum, extent: Extent::default() }
    }

    fn alert(value: Option<f64>, threshold: Option<i64>, count: Option<u64>) -> Alert {
        Alert {
            kind: "backlog".into(),
            severity: Severity::Warning,
            message: String::new(),
            subject: None,
            value: value.and_then(Number::from_f64),
            threshold: threshold.map(Number::from),
            count,
            tasks: Vec::new(),
            url: None,
        }
    }

    fn reason(hours: i64, memory: &ChannelMemory, alert: State) -> Reason {
        decide(now(), TimeDelta::hours(hours), memory, alert)
    }

    #[test]
    fn what_is_firing_is_sent_once_and_again_when_it_is_due_or_worse() {
        use Severity::{Critical, Error, Warning};
        let nothing = ChannelMemory::default();
        for (name, memory, severity, expected) in [
            ("never notified", nothing, Warning, Reason::First),
            ("just notified", notified(Warning, 0), Warning, Reason::Suppressed),
            ("of less", notified(Warning, 1), Error, Reason::Worse),
            ("of much less", notified(Warning, 1), Critical, Reason::Worse),
            ("of more", notified(Critical, HOUR), Warning, Reason::Suppressed),
            ("a day ago", notified(Warning, DAY), Warning, Reason::RepeatDue),
            ("nearly a day", notified(Warning, DAY - 60), Warning, Reason::RepeatDue),
            ("not yet", notified(Warning, DAY - 61), Warning, Reason::Suppressed),
            ("long ago", notified(Warning, 90 * DAY), Warning, Reason::RepeatDue),
            ("a clock ahead a little", notified(Warning, -300), Warning, Reason::Suppressed),
            ("a clock that was wrong", notified(Warning, -301), Warning, Reason::RepeatDue),
            (
                "rejected an hour ago",
                undelivered_since(Status::Firing, HOUR),
                Warning,
                Reason::Retry,
            ),
            (
                "rejected long ago",
                undelivered_since(Status::Firing, DAY + 1),
                Warning,
                Reason::First,
            ),
            (
                "its end was rejected",
                undelivered_since(Status::Resolved, HOUR),
                Warning,
                Reason::First,
            ),
            ("in progress", in_progress(Warning), Warning, Reason::InProgress),
            ("a lesser one in progress", in_progress(Warning), Error, Reason::First),
        ] {
            let alert = firing(severity, Warning);
            assert_eq!(reason(24, &memory, alert), expected, "{name}");
        }
    }

    #[test]
    fn what_has_grown_much_since_the_last_notification_is_worse() {
        for (name, last, now, is_worse) in [
            ("as it was", (Some(20.0), Some(10), None), (Some(20.0), Some(10), None), false),
            ("a little more", (Some(20.0), Some(10), None), (Some(29.9), Some(10), None), false),
            ("half again", (Some(20.0), Some(10), None), (Some(30.0), Some(10), None), true),
            ("less", (Some(30.0), Some(10), None), (Some(20.0), Some(10), None), false),
            ("half again of nothing", (Some(0.0), None, None), (Some(0.0), None, None), false),
            ("something of nothing", (Some(0.0), None, None), (Some(1.0), None, None), true),
            ("no value now", (Some(20.0), None, None), (None, None, None), false),
            ("no value before", (None, None, None), (Some(20.0), None, None), false),
            (
                "still below a limit",
                (Some(2.0), Some(10), None),
                (Some(4.0), Some(10), None),
                false,
            ),
            ("an age", (Some(60.0), Some(30), Some(4)), (Some(600.0), Some(30), Some(4)), false),
            (
                "nine times",
                (Some(60.0), Some(30), Some(4)),
                (Some(61.0), Some(30), Some(36)),
                false,
            ),
            ("ten times", (Some(60.0), Some(30), Some(4)), (Some(61.0), Some(30), Some(40)), true),
            ("a count", (Some(4.0), Some(3), Some(4)), (Some(6.0), Some(3), Some(6)), true),
            (
                "an age and then a count",
                (Some(60.0), Some(30), Some(40)),
                (Some(5040.0), Some(1000), Some(5040)),
                true,
            ),
            (
                "a count and then an age",
                (Some(5040.0), Some(1000), Some(5040)),
                (Some(600.0), Some(30), Some(900)),
                false,
            ),
            ("another limit", (Some(20.0), Some(10), None), (Some(40.0), Some(15), None), false),
        ] {
            let alert_of = |(value, threshold, count)| alert(value, threshold, count);
            let mut memory = ChannelMemory::default();
            memory.record_accepted(Status::Firing, &alert_of(last), ago(HOUR));
            let found = State::Firing {
                severity: Severity::Warning,
                minimum: Severity::Warning,
                extent: Extent::of(&alert_of(now)),
            };
            let expected = if is_worse { Reason::Worse } else { Reason::Suppressed };
            assert_eq!(reason(24, &memory, found), expected, "{name}");
            // What an earlier version remembers says nothing of values.
            let forgotten = notified(Severity::Warning, HOUR);
            assert_eq!(reason(24, &forgotten, found), Reason::Suppressed, "{name}");
        }
    }

    #[test]
    fn what_an_earlier_version_remembers_is_read() {
        let text = r#"{"severity": "warning", "at": "2026-11-22T03:00:00Z"}"#;
        let last: LastNotified = serde_json::from_str(text).unwrap();
        assert_eq!(Some(last), notified(Severity::Warning, HOUR).notified);
        let mut memory = ChannelMemory::default();
        memory.record_accepted(Status::Firing, &alert(Some(2.5), Some(1), None), ago(HOUR));
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<ChannelMemory>(&text).unwrap(), memory, "{text}");
    }

    #[test]
    fn a_repetition_that_was_rejected_stays_due() {
        let memory = ChannelMemory {
            undelivered: undelivered_since(Status::Firing, HOUR).undelivered,
            ..notified(Severity::Warning, DAY + HOUR)
        };
        let alert = firing(Severity::Warning, Severity::Warning);
        assert_eq!(reason(24, &memory, alert), Reason::RepeatDue);
    }

    #[test]
    fn no_hours_means_always() {
        for seconds in [0, 1, DAY] {
            let alert = firing(Severity::Warning, Severity::Warning);
            let memory = notified(Severity::Critical, seconds);
            assert_eq!(reason(0, &memory, alert), Reason::RepeatDue);
        }
    }

    #[test]
    fn a_channel_gets_its_minimum_and_what_is_worse() {
        use Severity::{Critical, Error, Warning};
        for minimum in [Warning, Error, Critical] {
            for severity in [Warning, Error, Critical] {
                let expected =
                    if severity >= minimum { Reason::First } else { Reason::BelowMinimum };
                let alert = firing(severity, minimum);
                assert_eq!(reason(24, &ChannelMemory::default(), alert), expected);
            }
        }
        // What it got before its minimum was raised is no reason to send it more.
        let alert = firing(Warning, Error);
        assert_eq!(reason(0, &notified(Warning, DAY), alert), Reason::BelowMinimum);
    }

    #[test]
    fn who_was_notified_of_the_beginning_is_notified_of_the_end() {
        for (memory, expected) in [
            (notified(Severity::Warning, 0), Reason::Resolved),
            (notified(Severity::Warning, 90 * DAY), Reason::Resolved),
            (ChannelMemory::default(), Reason::NeverNotified),
            (undelivered_since(Status::Firing, HOUR), Reason::NeverNotified),
            (in_progress(Severity::Warning), Reason::InProgress),
        ] {
            assert_eq!(reason(24, &memory, State::Resolved), expected, "{memory:?}");
        }
    }

    #[test]
    fn what_is_undelivered_is_sent_again_for_a_day_also_by_runs_that_do_not_look() {
        for (memory, expected) in [
            (undelivered_since(Status::Firing, 0), Reason::Retry),
            (undelivered_since(Status::Resolved, DAY), Reason::Retry),
            (undelivered_since(Status::Firing, DAY + 1), Reason::NothingUndelivered),
            (notified(Severity::Warning, 90 * DAY), Reason::NothingUndelivered),
            (ChannelMemory::default(), Reason::NothingUndelivered),
            (in_progress(Severity::Warning), Reason::InProgress),
        ] {
            assert_eq!(reason(24, &memory, State::NotJudged), expected, "{memory:?}");
        }
    }

    #[test]
    fn what_ended_and_returns_is_new() {
        let mut memory = notified(Severity::Critical, HOUR);
        memory.record_accepted(Status::Resolved, &alert(None, None, None), ago(60));
        let alert = firing(Severity::Warning, Severity::Warning);
        assert_eq!(reason(24, &memory, alert), Reason::First);
        assert_eq!(reason(24, &memory, State::Resolved), Reason::NeverNotified);
    }

    #[test]
    fn the_day_of_retries_begins_with_the_first_rejection() {
        let mut memory = ChannelMemory::default();
        memory.record_rejected(Status::Firing, ago(DAY + 1));
        memory.record_rejected(Status::Firing, ago(60));
        assert_eq!(reason(24, &memory, State::NotJudged), Reason::NothingUndelivered);
        memory.record_accepted(Status::Firing, &alert(None, None, None), ago(50));
        memory.record_rejected(Status::Resolved, ago(40));
        assert_eq!(memory, undelivered_since(Status::Resolved, 40));
        assert_eq!(reason(24, &memory, State::NotJudged), Reason::Retry);
    }

    #[test]
    fn what_no_decision_can_need_may_be_forgotten() {
        let matters = |memory: &ChannelMemory| memory.matters(now(), TimeDelta::hours(48));
        assert!(matters(&notified(Severity::Warning, 47 * HOUR)));
        assert!(!matters(&notified(Severity::Warning, 48 * HOUR)));
        assert!(matters(&undelivered_since(Status::Resolved, DAY)));
        assert!(!matters(&undelivered_since(Status::Resolved, DAY + 1)));
        assert!(!matters(&ChannelMemory::default()));
    }
}
