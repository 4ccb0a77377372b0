//! Whether a channel is told of an alert, and why: a pure function of the time, of what that channel was told before, and of what stands now.

use crate::alert::Status;
use crate::outcome::Severity;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Why a channel is told, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has not been told since the alert last began to stand.
    First,
    /// It was told of a lesser severity.
    Worse,
    /// It was told long enough ago.
    RepeatDue,
    /// It did not take it within the last day.
    OfferedAgain,
    /// It was told that the alert stood, and it no longer does.
    Resolved,
    /// It was told not long ago, of no lesser severity.
    Suppressed,
    /// The alert is not as severe as the channel asks for.
    BelowMinimum,
    /// Another run is delivering it just now.
    InHand,
    /// The alert has ceased, of which the channel was never told.
    NeverTold,
    /// Nothing is known to have changed, and the channel took everything.
    NothingOwed,
}

impl Reason {
    /// Whether the channel is told.
    pub fn sends(self) -> bool {
        match self {
            Reason::First
            | Reason::Worse
            | Reason::RepeatDue
            | Reason::OfferedAgain
            | Reason::Resolved => true,
            Reason::Suppressed
            | Reason::BelowMinimum
            | Reason::InHand
            | Reason::NeverTold
            | Reason::NothingOwed => false,
        }
    }
}

/// What a channel heard of one alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// The last time that it was told that the alert stands, since it last began to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<ToldThen>,
    /// What it did not take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// The severity that another run tells it just now.
    #[serde(skip)]
    pub in_hand: Option<Severity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ToldThen {
    pub severity: Severity,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    pub status: Status,
    /// When it was first refused.
    pub since: DateTime<Utc>,
}

/// What is known of the alert now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Now {
    /// It stands.
    Stands {
        severity: Severity,
        /// What the channel asks for.
        minimum: Severity,
    },
    /// It stood, and nobody says any more that it does.
    Ceased,
    /// This run did not look, or what it looked at could not be judged.
    NotJudged,
}

/// How long what a channel did not take is offered to it again.
const OFFERED_FOR: TimeDelta = TimeDelta::days(1);

/// A job that cron starts once a day starts a little earlier on one day than on the other; without this, every second repetition would fall
/// out.
const JITTER: TimeDelta = TimeDelta::minutes(1);

/// A time that lies further ahead than this was written by a clock that was wrong.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// What a channel is to hear, and why.
///
/// `repeat_after` of nothing: whatever stands is always told.
pub fn decide(now: DateTime<Utc>, repeat_after: TimeDelta, heard: &Heard, alert: Now) -> Reason {
    match alert {
        Now::Stands { severity, minimum } if severity < minimum => Reason::BelowMinimum,
        Now::Stands { severity, .. } => standing(now, repeat_after, heard, severity),
        Now::Ceased | Now::NotJudged if heard.in_hand.is_some() => Reason::InHand,
        Now::Ceased if heard.told.is_some() => Reason::Resolved,
        Now::Ceased => Reason::NeverTold,
        Now::NotJudged if is_owed(now, heard).is_some() => Reason::OfferedAgain,
        Now::NotJudged => Reason::NothingOwed,
    }
}

fn standing(
    now: DateTime<Utc>,
    repeat_after: TimeDelta,
    heard: &Heard,
    severity: Severity,
) -> Reason {
    if heard.in_hand.is_some_and(|in_hand| in_hand >= severity) {
        return Reason::InHand;
    }
    match heard.told {
        None if is_owed(now, heard) == Some(Status::Firing) => Reason::OfferedAgain,
        None => Reason::First,
        Some(told) if told.severity < severity => Reason::Worse,
        Some(told) if is_due(now, repeat_after, told.at) => Reason::RepeatDue,
        Some(_) => Reason::Suppressed,
    }
}

fn is_due(now: DateTime<Utc>, repeat_after: TimeDelta, told: DateTime<Utc>) -> bool {
    told > now + AHEAD || now - told >= repeat_after - JITTER.min(repeat_after)
}

/// What it did not take within the last day.
fn is_owed(now: DateTime<Utc>, heard: &Heard) -> Option<Status> {
    let owed = heard.owed?;
    (now - owed.since <= OFFERED_FOR).then_some(owed.status)
}

impl Heard {
    /// It was told at this time.
    pub fn took(&mut self, status: Status, severity: Severity, at: DateTime<Utc>) {
        self.owed = None;
        self.told = match status {
            Status::Firing => Some(ToldThen { severity, at }),
            Status::Resolved => None,
        };
    }

    /// It did not take what it was told at this time. The day for which it is offered again begins with the first refusal.
    pub fn refused(&mut self, status: Status, at: DateTime<Utc>) {
        let before = self.owed.filter(|owed| owed.status == status);
        let since = before.map_or(at, |owed| owed.since);
        self.owed = Some(Owed { status, since });
        if status == Status::Resolved {
            self.told = None;
        }
    }

    /// The alert has ceased, which it need not be told.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether it still says something that a decision to come may need.
    pub fn matters(&self, now: DateTime<Utc>, repeat_after: TimeDelta) -> bool {
        let told = self.told.filter(|told| !is_due(now, repeat_after, told.at));
        told.is_some() || is_owed(now, self).is_some()
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

    fn told(severity: Severity, seconds: i64) -> Heard {
        let at = ago(seconds);
        Heard { told: Some(ToldThen { severity, at }), ..Heard::default() }
    }

    fn owed(status: Status, seconds: i64) -> Heard {
        let since = ago(seconds);
        Heard { owed: Some(Owed { status, since }), ..Heard::default() }
    }

    fn in_hand(severity: Severity) -> Heard {
        Heard { in_hand: Some(severity), ..Heard::default() }
    }

    fn reason(hours: i64, heard: &Heard, alert: Now) -> Reason {
        decide(now(), TimeDelta::hours(hours), heard, alert)
    }

    #[test]
    fn what_stands_is_told_once_and_again_when_it_is_due_or_worse() {
        use Severity::{Critical, Error, Warning};
        let nothing = Heard::default();
        for (name, heard, severity, expected) in [
            ("never told", nothing, Warning, Reason::First),
            ("just told", told(Warning, 0), Warning, Reason::Suppressed),
            ("told less", told(Warning, 1), Error, Reason::Worse),
            ("told much less", told(Warning, 1), Critical, Reason::Worse),
            ("told more", told(Critical, HOUR), Warning, Reason::Suppressed),
            ("told a day ago", told(Warning, DAY), Warning, Reason::RepeatDue),
            ("nearly a day", told(Warning, DAY - 60), Warning, Reason::RepeatDue),
            ("not yet", told(Warning, DAY - 61), Warning, Reason::Suppressed),
            ("long ago", told(Warning, 90 * DAY), Warning, Reason::RepeatDue),
            ("a clock ahead a little", told(Warning, -300), Warning, Reason::Suppressed),
            ("a clock that was wrong", told(Warning, -301), Warning, Reason::RepeatDue),
            ("refused an hour ago", owed(Status::Firing, HOUR), Warning, Reason::OfferedAgain),
            ("refused long ago", owed(Status::Firing, DAY + 1), Warning, Reason::First),
            ("its end was refused", owed(Status::Resolved, HOUR), Warning, Reason::First),
            ("in hand", in_hand(Warning), Warning, Reason::InHand),
            ("a lesser one in hand", in_hand(Warning), Error, Reason::First),
        ] {
            let alert = Now::Stands { severity, minimum: Warning };
            assert_eq!(reason(24, &heard, alert), expected, "{name}");
        }
    }

    #[test]
    fn a_repetition_that_was_refused_stays_due() {
        let heard =
            Heard { owed: owed(Status::Firing, HOUR).owed, ..told(Severity::Warning, DAY + HOUR) };
        let alert = Now::Stands { severity: Severity::Warning, minimum: Severity::Warning };
        assert_eq!(reason(24, &heard, alert), Reason::RepeatDue);
    }

    #[test]
    fn no_hours_means_always() {
        for seconds in [0, 1, DAY] {
            let alert = Now::Stands { severity: Severity::Warning, minimum: Severity::Warning };
            let heard = told(Severity::Critical, seconds);
            assert_eq!(reason(0, &heard, alert), Reason::RepeatDue);
        }
    }

    #[test]
    fn a_channel_hears_of_its_minimum_and_what_is_worse() {
        use Severity::{Critical, Error, Warning};
        for minimum in [Warning, Error, Critical] {
            for severity in [Warning, Error, Critical] {
                let expected =
                    if severity >= minimum { Reason::First } else { Reason::BelowMinimum };
                let alert = Now::Stands { severity, minimum };
                assert_eq!(reason(24, &Heard::default(), alert), expected);
            }
        }
        // What it heard before its minimum was raised is no reason to tell it more.
        let alert = Now::Stands { severity: Warning, minimum: Error };
        assert_eq!(reason(0, &told(Warning, DAY), alert), Reason::BelowMinimum);
    }

    #[test]
    fn an_end_is_told_to_those_who_heard_of_the_beginning() {
        for (heard, expected) in [
            (told(Severity::Warning, 0), Reason::Resolved),
            (told(Severity::Warning, 90 * DAY), Reason::Resolved),
            (Heard::default(), Reason::NeverTold),
            (owed(Status::Firing, HOUR), Reason::NeverTold),
            (in_hand(Severity::Warning), Reason::InHand),
        ] {
            assert_eq!(reason(24, &heard, Now::Ceased), expected, "{heard:?}");
        }
    }

    #[test]
    fn what_is_owed_is_offered_for_a_day_also_by_runs_that_do_not_look() {
        for (heard, expected) in [
            (owed(Status::Firing, 0), Reason::OfferedAgain),
            (owed(Status::Resolved, DAY), Reason::OfferedAgain),
            (owed(Status::Firing, DAY + 1), Reason::NothingOwed),
            (told(Severity::Warning, 90 * DAY), Reason::NothingOwed),
            (Heard::default(), Reason::NothingOwed),
            (in_hand(Severity::Warning), Reason::InHand),
        ] {
            assert_eq!(reason(24, &heard, Now::NotJudged), expected, "{heard:?}");
        }
    }

    #[test]
    fn what_ended_and_returns_is_new() {
        let mut heard = told(Severity::Critical, HOUR);
        heard.took(Status::Resolved, Severity::Critical, ago(60));
        let alert = Now::Stands { severity: Severity::Warning, minimum: Severity::Warning };
        assert_eq!(reason(24, &heard, alert), Reason::First);
        assert_eq!(reason(24, &heard, Now::Ceased), Reason::NeverTold);
    }

    #[test]
    fn the_day_of_offers_begins_with_the_first_refusal() {
        let mut heard = Heard::default();
        heard.refused(Status::Firing, ago(DAY + 1));
        heard.refused(Status::Firing, ago(60));
        assert_eq!(reason(24, &heard, Now::NotJudged), Reason::NothingOwed);
        heard.took(Status::Firing, Severity::Warning, ago(50));
        heard.refused(Status::Resolved, ago(40));
        assert_eq!(heard, owed(Status::Resolved, 40));
        assert_eq!(reason(24, &heard, Now::NotJudged), Reason::OfferedAgain);
    }

    #[test]
    fn what_no_decision_can_need_may_be_forgotten() {
        let matters = |heard: &Heard| heard.matters(now(), TimeDelta::hours(48));
        assert!(matters(&told(Severity::Warning, 47 * HOUR)));
        assert!(!matters(&told(Severity::Warning, 48 * HOUR)));
        assert!(matters(&owed(Status::Resolved, DAY)));
        assert!(!matters(&owed(Status::Resolved, DAY + 1)));
        assert!(!matters(&Heard::default()));
    }
}
