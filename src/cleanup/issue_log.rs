//! The issues of a run for its log: what many rows or files have in common is one line of cron's mail, not a hundred thousand.

use crate::outcome::{Cause, Issue};
use indicatif::HumanCount;

/// The most lines of one kind.
const LINES: usize = 20;

#[derive(Debug, Default)]
pub struct IssueLog(Vec<Group>);

#[derive(Debug)]
struct Group {
    first: Issue,
    count: u64,
    holds: Holds,
}

#[derive(Debug, PartialEq)]
enum Holds {
    OneCause,
    /// Whatever would be more than [`LINES`] of its kind.
    TheRest,
}

impl IssueLog {
    pub fn add(&mut self, issue: &Issue) {
        let of_kind = self.0.iter().filter(|group| group.first.kind == issue.kind).count();
        let is_alike = |group: &&mut Group| {
            let is_of_cause = issue.cause.is_some() && group.first.cause == issue.cause;
            group.first.kind == issue.kind && (is_of_cause || group.holds == Holds::TheRest)
        };
        if let Some(group) = self.0.iter_mut().find(is_alike) {
            group.count += 1;
            return;
        }
        let holds = if of_kind + 1 < LINES { Holds::OneCause } else { Holds::TheRest };
        self.0.push(Group { first: issue.clone(), count: 1, holds });
    }

    /// What there is to log, in the order in which it came.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Group::line)
    }
}

impl Group {
    fn line(&self) -> String {
        let Issue { kind, message, path, task_id, cause } = &self.first;
        let count = HumanCount(self.count);
        match cause {
            _ if self.count == 1 => message.clone(),
            Some(Cause { what, why }) if self.holds == Holds::OneCause => {
                let example = path.as_ref().or(task_id.as_ref()).map_or("", String::as_str);
                format!("{count} {what}, as {example}: {why}")
            }
            _ => format!("{count} more entries of the kind {kind}, as this one: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(issues: impl IntoIterator<Item = Issue>) -> Vec<String> {
        let mut log = IssueLog::default();
        issues.into_iter().for_each(|issue| log.add(&issue));
        log.lines().collect()
    }

    fn issue(number: u32) -> Issue {
        Issue::new("not_removable", format!("a/{number} stays")).path(format!("a/{number}"))
    }

    #[test]
    fn what_has_one_cause_is_one_line() {
        let full = |number| issue(number).cause("files stay", "no room");
        let all = (0..150_000).map(full).chain([issue(7), full(8)]);
        assert_eq!(lines(all), ["150,001 files stay, as a/0: no room", "a/7 stays"]);
        assert_eq!(lines([full(1)]), ["a/1 stays"]);
        let other = Issue::new("unlink_failed", "b").task("t").cause("files stay", "no room");
        let found = lines([full(1), other.clone(), other]);
        assert_eq!(found, ["a/1 stays", "2 files stay, as t: no room"]);
    }

    #[test]
    fn no_kind_has_more_than_twenty_lines() {
        let each = |number| issue(number).cause("files stay", format!("reason {number}"));
        let mut found = lines((0..1000).map(each).chain((0..1000).map(issue)).chain([each(3)]));
        assert_eq!(found.len(), 20);
        assert_eq!(found[3], "2 files stay, as a/3: reason 3");
        let rest = "1,981 more entries of the kind not_removable, as this one: a/19 stays";
        assert_eq!(found.pop().unwrap(), rest);
        assert_eq!(lines((0..20).map(issue)).len(), 20);
    }
}
