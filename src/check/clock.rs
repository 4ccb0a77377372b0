//! How far clocks and zones differ.

use super::Finding;
use crate::language::Language;
use crate::store::inspect::Inspection;
use crate::timezone::Tz;
use chrono::{DateTime, Offset, SecondsFormat, TimeDelta, Utc};

/// A difference between two clocks that is not worth a warning.
const SMALL_SKEW: TimeDelta = TimeDelta::seconds(30);

/// `host`: this host's time when the database said its own. From `most` on cleanup refuses to run.
pub fn clock(
    host: DateTime<Utc>,
    inspection: Option<&Inspection>,
    zone: Tz,
    most: TimeDelta,
    language: Language,
) -> Finding {
    let shown = host.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false);
    let here = language
        .pick(format!("本机时间 {shown}（{zone}）"), format!("this host has {shown} ({zone})"));
    let Some((time, theirs)) = inspection.and_then(|found| found.clock.zip(found.zone.as_deref()))
    else {
        return Finding::ok(here);
    };
    let skew = time.signed_duration_since(host);
    let seconds = skew.num_milliseconds() as f64 / 1000.0;
    let message = language.pick(
        format!("{here}，数据库相差 {seconds:.1} 秒，其时区为 {theirs}"),
        format!("{here}; the database's clock is {seconds:+.1} s off it, its zone {theirs}"),
    );
    let hint =
        language.pick("校准走得不准的那台机器（NTP）", "set the clock that is wrong, with NTP");
    match skew.abs() {
        skew if skew > most => Finding::failed(message).hint(hint),
        skew if skew > SMALL_SKEW => Finding::warning(message).hint(hint),
        _ => Finding::ok(message),
    }
}

/// Where cron, which goes by the system's zone, has other hours than the reports.
pub fn zones(system: Tz, own: Tz, now: DateTime<Utc>, language: Language) -> Option<Finding> {
    let offset = |zone: Tz| now.with_timezone(&zone).offset().fix();
    (offset(system) != offset(own)).then(|| {
        Finding::ok(language.pick(
            format!("cron 按系统时区 {system} 运行，日期按 {own} 划分"),
            format!("cron goes by the system's zone, {system}; days are counted in {own}"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;
    use crate::timezone::zone;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_system_in_another_zone_is_named() {
        let message =
            |system, own| zones(system, own, at(0), Language::En).map(|found| found.message);
        assert_eq!(message(zone("Asia/Shanghai"), zone("Asia/Shanghai")), None);
        assert_eq!(message(Tz::UTC, zone("Etc/UTC")), None, "two names of one zone");
        let message = message(Tz::UTC, zone("Asia/Shanghai")).unwrap();
        assert!(message.contains("zone, UTC;") && message.contains("Asia/Shanghai"), "{message}");
    }

    fn inspection(clock: Option<DateTime<Utc>>) -> Inspection {
        Inspection {
            server: "PostgreSQL 15".into(),
            user: Some("reader".into()),
            clock,
            host_clock: at(0),
            zone: clock.map(|_| "UTC".into()),
            read_only: None,
            rights: Vec::new(),
            labels: Ok(Vec::new()),
            trials: Default::default(),
            stranded: Ok(Vec::new()),
            types: Vec::new(),
        }
    }

    #[test]
    fn clocks_are_judged_by_how_far_they_differ() {
        let most = TimeDelta::minutes(5);
        for (seconds, expected) in [
            (0, Status::Ok),
            (30, Status::Ok),
            (-31, Status::Warning),
            (300, Status::Warning),
            (301, Status::Failed),
            (-301, Status::Failed),
        ] {
            let found =
                clock(at(0), Some(&inspection(Some(at(seconds)))), Tz::UTC, most, Language::En);
            assert_eq!(found.status, expected, "{seconds}: {}", found.message);
        }
        let alone =
            clock(at(0), Some(&inspection(None)), zone("Asia/Shanghai"), most, Language::Zh);
        assert_eq!(alone.message, "本机时间 2027-01-15T16:00:00+08:00（Asia/Shanghai）");
    }
}
