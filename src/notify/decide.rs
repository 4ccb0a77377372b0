//! Whether a channel is notified of an alert, and why: a pure function of the time, of what the channel was notified of before, and of
//! the alert's state now.

use crate::alert::Status;
use crate::calendar::Shift;
use crate::outcome::Severity;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Why a channel is notified, or is not. The names are those of the records and of `decisions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has not been notified since the alert began to fire.
    First,
    /// It was notified of a lesser severity.
    Worse,
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
            | Reason::RepeatDue
            | Reason::Retry
            | Reason::Resolved
            | Reason::NotWatched => true,
            Reason::Suppressed
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
    /// The severity that another run is notifying it of right now.
    #[serde(skip)]
    pub in_progress: Option<Severity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LastNotified {
    pub severity: Severity,
    pub at: DateTime<Utc>,
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
    },
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
        State::Firing { severity, minimum } if severity < minimum => Reason::BelowMinimum,
        State::Firing { severity, .. } => decide_firing(now, repeat_after, memory, severity),
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
) -> Reason {
    if memory.in_progress.is_some_and(|in_progress| in_progress >= severity) {
        return Reason::InProgress;
    }
    match memory.notified {
        None if undelivered(now, memory) == Some(Status::Firing) => Reason::Retry,
        None => Reason::First,
        Some(last) if last.severity < severity => Reason::Worse,
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
    pub fn record_accepted(&mut self, status: Status, severity: Severity, at: DateTime<Utc>) {
        self.undelivered = None;
        self.notified = match status {
            Status::Firing => Some(LastNotified { severity, at }),
            Status::Resolved => None,
        };
    }

    /// It rejected a notification at this time. The day of retries begins with the first rejection.
    pub fn record_rejected(&mut self, status: Status, at: DateTime<Utc>) {
        let before = self.undelivered.filter(|undelivered| undelivered.status == status);
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
        ChannelMemory { notified: Some(LastNotified { severity, at }), ..ChannelMemory::default() }
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
            let alert = State::Firing { severity, minimum: Warning };
            assert_eq!(reason(24, &memory, alert), expected, "{name}");
        }
    }

    #[test]
    fn a_repetition_that_was_rejected_stays_due() {
        let memory = ChannelMemory {
            undelivered: undelivered_since(Status::Firing, HOUR).undelivered,
            ..notified(Severity::Warning, DAY + HOUR)
        };
        let alert = State::Firing { severity: Severity::Warning, minimum: Severity::Warning };
        assert_eq!(reason(24, &memory, alert), Reason::RepeatDue);
    }

    #[test]
    fn no_hours_means_always() {
        for seconds in [0, 1, DAY] {
            let alert = State::Firing { severity: Severity::Warning, minimum: Severity::Warning };
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
                let alert = State::Firing { severity, minimum };
                assert_eq!(reason(24, &ChannelMemory::default(), alert), expected);
            }
        }
        // What it got before its minimum was raised is no reason to send it more.
        let alert = State::Firing { severity: Warning, minimum: Error };
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
        memory.record_accepted(Status::Resolved, Severity::Critical, ago(60));
        let alert = State::Firing { severity: Severity::Warning, minimum: Severity::Warning };
        assert_eq!(reason(24, &memory, alert), Reason::First);
        assert_eq!(reason(24, &memory, State::Resolved), Reason::NeverNotified);
    }

    #[test]
    fn the_day_of_retries_begins_with_the_first_rejection() {
        let mut memory = ChannelMemory::default();
        memory.record_rejected(Status::Firing, ago(DAY + 1));
        memory.record_rejected(Status::Firing, ago(60));
        assert_eq!(reason(24, &memory, State::NotJudged), Reason::NothingUndelivered);
        memory.record_accepted(Status::Firing, Severity::Warning, ago(50));
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
