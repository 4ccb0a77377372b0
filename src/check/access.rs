//! Who else may change what a job goes by: the configuration, the files of secrets, the programs that channels run. And who may read the
//! configuration's secrets.

use super::Finding;
use crate::folder::{Step, is_trusted};
use crate::language::Language;
use rustix::fs::{FileType, Mode};
use std::fmt;
use std::path::Path;

/// Others than root and the user who runs this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// It belongs to another user.
    Owner(u32),
    Group(u32),
    Everybody,
}

/// The first name on the way to a file that others may change, and so lead it elsewhere. `what`: the file's role.
pub fn changeable(what: &str, steps: &[Step], language: Language) -> Option<Finding> {
    let mut reach = Reach::default();
    steps.iter().find_map(|step| {
        let found = who_may_change(step, reach);
        reach = reach.beneath(step);
        let (others, path) = (found?, step.path.display());
        let finding = Finding::warning(language.pick(
            format!("{what}：{}可以改动 {path}", others.chinese()),
            format!("{what}: {others} may change {path}"),
        ));
        Some(finding.hint(others.remedy(&step.path)))
    })
}

/// Whether others may read a file that holds secrets.
pub fn readable(file: &Path, steps: &[Step], language: Language) -> Option<Finding> {
    let (last, way) = steps.split_last()?;
    let reach = way.iter().fold(Reach::default(), |reach, step| reach.beneath(step));
    let mode = Mode::from_raw_mode(last.stat.st_mode);
    let others = who(mode, last.stat.st_gid, reach, (Mode::ROTH, Mode::RGRP))?;
    let path = file.display();
    let finding = Finding::warning(language.pick(
        format!("{path} 中有密码或其他密钥，{}可以读取", others.chinese()),
        format!("{path} holds a password or another secret, and {others} may read it"),
    ));
    Some(finding.hint(format!("chmod 600 {path}")))
}

/// Who can get as far as a name at all.
#[derive(Debug, Clone, Copy)]
struct Reach {
    everybody: bool,
    groups: bool,
}

impl Default for Reach {
    fn default() -> Self {
        Self { everybody: true, groups: true }
    }
}

impl Reach {
    fn beneath(self, step: &Step) -> Self {
        if FileType::from_raw_mode(step.stat.st_mode) != FileType::Directory {
            return self;
        }
        let mode = Mode::from_raw_mode(step.stat.st_mode);
        let everybody = self.everybody && mode.contains(Mode::XOTH);
        let groups = self.groups && mode.intersects(Mode::XGRP | Mode::XOTH);
        Self { everybody, groups }
    }
}

fn who_may_change(step: &Step, reach: Reach) -> Option<Others> {
    if !is_trusted(step.stat.st_uid) {
        return Some(Others::Owner(step.stat.st_uid));
    }
    let mode = Mode::from_raw_mode(step.stat.st_mode);
    match FileType::from_raw_mode(step.stat.st_mode) {
        // Its rights mean nothing.
        FileType::Symlink => None,
        // Whoever may write to it may not take away what belongs to others.
        FileType::Directory if mode.contains(Mode::SVTX) => None,
        _ => who(mode, step.stat.st_gid, reach, (Mode::WOTH, Mode::WGRP)),
    }
}

fn who(mode: Mode, group: u32, reach: Reach, (all, of_group): (Mode, Mode)) -> Option<Others> {
    if mode.contains(all) && reach.everybody {
        Some(Others::Everybody)
    } else if mode.contains(of_group) && reach.groups && has_others(group) {
        Some(Others::Group(group))
    } else {
        None
    }
}

/// Whether a group has members besides root and the user who runs this: many a user has one of its own.
fn has_others(group: u32) -> bool {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let (users, groups) = (read("/etc/passwd"), read("/etc/group"));
    let number = |field: Option<&str>| field.and_then(|field| field.parse::<u32>().ok());
    let is_other = |name: &str| {
        let mut named = users.lines().filter(|line| line.split(':').next() == Some(name));
        named.all(|line| number(line.split(':').nth(2)).is_none_or(|user| !is_trusted(user)))
    };
    let mut of_group = groups.lines().filter(|line| number(line.split(':').nth(2)) == Some(group));
    let Some(line) = of_group.next() else {
        // It is kept elsewhere.
        return true;
    };
    let members = line.split(':').nth(3).unwrap_or_default().split(',');
    let has_it_first = |line: &str| {
        let (user, first) = (number(line.split(':').nth(2)), number(line.split(':').nth(3)));
        first == Some(group) && user.is_none_or(|user| !is_trusted(user))
    };
    members.filter(|name| !name.is_empty()).any(is_other) || users.lines().any(has_it_first)
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Others::Owner(user) => write!(f, "user {user}"),
            Others::Group(group) => write!(f, "the group {group}"),
            Others::Everybody => f.write_str("everybody"),
        }
    }
}

impl Others {
    fn chinese(self) -> String {
        match self {
            Others::Owner(user) => format!("用户 {user} "),
            Others::Group(group) => format!("用户组 {group} "),
            Others::Everybody => "任何人都".to_owned(),
        }
    }

    fn remedy(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Others::Owner(_) => format!("chown -h root {path}"),
            Others::Group(_) => format!("chmod g-w {path}"),
            Others::Everybody => format!("chmod o-w {path}"),
        }
    }
}
