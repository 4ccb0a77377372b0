//! `taskmon alert --silence`, `--unsilence` and `--silences`; and what is silenced while a run notifies.

use super::Session;
use super::output::Done;
use crate::calendar::Shift;
use crate::cli::SilenceArgs;
use crate::config::Config;
use crate::host;
use crate::notify::MaintenanceWindow;
use crate::notify::records::{PATIENCE, Records};
use crate::notify::silences::{self, EVERY, MAINTENANCE, Matcher, Silence};
use crate::outcome::{Failure, Issue, Kind, Outcome};
use crate::report::text;
use crate::schedule::expression::Times;
use anyhow::Result;
use chrono::{DateTime, FixedOffset, TimeDelta};
use rustix::process::getuid;
use serde::Serialize;
use std::io;

/// The result: the silences that hold once it is done.
#[derive(Serialize)]
struct Silences {
    success: bool,
    silences: Vec<Silence>,
}

pub(super) fn run(session: &Session, config: &Config, arguments: &SilenceArgs) -> Result<Done> {
    let now = now(session, config);
    if let Some(matcher) = &arguments.silence {
        // clap has seen to it that there is one.
        let duration = arguments.duration.clone().transpose()?.unwrap_or_default();
        let silence = Silence {
            alerts: matcher.clone()?,
            until: now.to_utc().plus(duration).with_timezone(&config.timezone).fixed_offset(),
            reason: arguments.reason.clone().unwrap_or_default(),
            by: user(session),
        };
        warn_of_unknown(config, &silence.alerts);
        change(session, config, |silences| {
            silences.retain(|other| other.alerts != silence.alerts);
            silences.push(silence);
            Ok(())
        })?;
    } else if let Some(matcher) = &arguments.unsilence {
        let matcher = matcher.clone()?;
        change(session, config, |silences| {
            let before = silences.len();
            silences.retain(|silence| silence.alerts != matcher);
            if silences.len() == before {
                let message = format!("--unsilence: there is no silence of {matcher}");
                let hint = "taskmon alert --silences lists them";
                return Err(Failure::new(Kind::Usage, message).hint(hint).into());
            }
            Ok(())
        })?;
    }
    let silences = active(config, now).map_err(|error| unusable(config, &error))?;
    let document = Silences { success: true, silences };
    session.done(&document, Outcome::Done, || {
        text::silences(&document.silences, session.clock(config))
    })
}

/// What is silenced now; if the silences cannot be read, only maintenance windows are, and the entry for `errors`.
pub(super) fn holding(session: &Session, config: &Config) -> (Vec<Silence>, Option<Issue>) {
    let now = now(session, config);
    match active(config, now) {
        Ok(silences) => (silences, None),
        Err(error) => {
            let issue = Issue::new("silences_unreadable", unusable(config, &error).message);
            (windows(config, now), Some(issue))
        }
    }
}

fn active(config: &Config, now: DateTime<FixedOffset>) -> io::Result<Vec<Silence>> {
    let made = silences::read(&config.alerts.notify.records_dir, now)?;
    Ok(made.into_iter().chain(windows(config, now)).collect())
}

/// The maintenance windows that are open.
fn windows(config: &Config, now: DateTime<FixedOffset>) -> Vec<Silence> {
    let windows = config.alerts.notify.maintenance.iter();
    windows.flat_map(|window| open_window(window, config, now)).collect()
}

fn open_window(
    window: &MaintenanceWindow,
    config: &Config,
    now: DateTime<FixedOffset>,
) -> Vec<Silence> {
    let began = || {
        let times = Times::read(&window.cron).ok()?;
        times.last(now.to_utc(), config.timezone)
    };
    let length = TimeDelta::minutes(window.minutes.into());
    let until = began().map(|began| began.plus(length));
    let Some(until) = until.filter(|until| *until > now.to_utc()) else {
        return Vec::new();
    };
    let every = [EVERY.to_owned()];
    let alerts = if window.alerts.is_empty() { &every[..] } else { &window.alerts[..] };
    let silence = |alerts| Silence {
        alerts,
        until: until.with_timezone(&config.timezone).fixed_offset(),
        reason: window.reason.clone(),
        by: MAINTENANCE.to_owned(),
    };
    // That each can be read was seen to when the configuration was.
    alerts.iter().filter_map(|text| text.parse().ok()).map(silence).collect()
}

/// Reads, changes and writes the silences while no other run does.
fn change(
    session: &Session,
    config: &Config,
    change: impl FnOnce(&mut Vec<Silence>) -> Result<()>,
) -> Result<()> {
    let folder = &config.alerts.notify.records_dir;
    let failed = |error: io::Error| unusable(config, &error);
    let _turn = Records::new(folder, &host::name()).turn(PATIENCE).map_err(failed)?;
    let mut silences = silences::read(folder, now(session, config)).map_err(failed)?;
    change(&mut silences)?;
    Ok(silences::write(folder, &silences).map_err(failed)?)
}

fn unusable(config: &Config, error: &io::Error) -> Failure {
    let folder = config.alerts.notify.records_dir.display();
    let message = format!("the silences in {folder} cannot be read or written: {error}");
    Failure::new(Kind::RecordsUnreadable, message)
        .hint("silences.json can be moved away: then nothing is silenced")
}

/// Nothing is silenced by a type that was mistyped, and nobody would see it until then.
fn warn_of_unknown(config: &Config, matcher: &Matcher) {
    let kind = &matcher.kind;
    if kind != EVERY && !config.alerts.rules.is_known(kind) {
        log::warn!("no rule raises alerts of the type {kind:?}: only those of --send can have it");
    }
}

fn now(session: &Session, config: &Config) -> DateTime<FixedOffset> {
    session.now.with_timezone(&config.timezone).fixed_offset()
}

/// Who runs this, and where.
fn user(session: &Session) -> String {
    let variable = |name: &&str| session.env.text(name).ok().flatten();
    let name = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(variable);
    let name = name.or_else(host::user).unwrap_or_else(|| getuid().as_raw().to_string());
    format!("{name}@{}", host::name())
}
