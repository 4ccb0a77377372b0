//! What the time columns say, as taskmon understands them: a column in another unit is found here, and not by cleanup.

use super::Finding;
use crate::calendar::Shift;
use crate::language::Language;
use crate::store::prune::plausible::Plausible;
use crate::store::prune::sample::{SampledTime, TimeSample, Written};
use crate::timezone::Tz;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use std::collections::BTreeSet;

const DUE_AT: &str = "tasks.due_at";

/// A task may be due a long time from now, or at the end of the calendar, which means never.
const DUE_WITHIN: TimeDelta = TimeDelta::days(3_652_500);

fn due(plausible: Plausible) -> Plausible {
    Plausible { latest: plausible.latest.plus(DUE_WITHIN), ..plausible }
}

/// The oldest and the newest of each column, or what is wrong with it.
pub fn times(
    samples: &[TimeSample],
    plausible: Plausible,
    zone: Tz,
    language: Language,
) -> Vec<Finding> {
    samples.iter().map(|sample| of_column(sample, plausible, zone, language)).collect()
}

fn of_column(sample: &TimeSample, plausible: Plausible, zone: Tz, language: Language) -> Finding {
    let TimeSample { column, values } = sample;
    let plausible = if column == DUE_AT { due(plausible) } else { plausible };
    let is_wrong = |value: &&SampledTime| !value.time.is_some_and(|time| plausible.contains(time));
    let wrong: Vec<&SampledTime> = values.iter().filter(is_wrong).collect();
    if let Some(first) = wrong.first() {
        let (count, all, example) = (wrong.len(), values.len(), &first.shown);
        let failed = Finding::failed(language.pick(
            format!("{column}：抽查的 {all} 个值中有 {count} 个不可能是正确的时间，例如 {example}"),
            format!("{column}: {count} of {all} values looked at cannot be a right time, such as {example}"),
        ));
        return match guess(first, plausible, language) {
            Some(expression) => failed.hint(language.pick(
                format!("若该列确是这样计数，请把它写成表达式：{expression}"),
                format!("if that is what it counts, write it as an expression: {expression}"),
            )),
            None => failed.hint(language.pick(
                "这样的时间不会使数据行过期；若它表示“没有”，存为 NULL，否则用表达式换算",
                "such a time makes no row expire; where it means none, store NULL, else convert it with an expression",
            )),
        };
    }
    let forms: BTreeSet<Written> = values.iter().filter_map(|value| value.form).collect();
    if forms.len() > 1 {
        let names: Vec<&str> = forms.into_iter().map(|form| name(form, language)).collect();
        return Finding::failed(language.pick(
            format!("{column}：写法不一：{}", names.join("、")),
            format!("{column}: its values are written in several ways: {}", names.join(", ")),
        ))
        .hint(language.pick(
            "每个值各按自己的写法理解；若其中一种的时区不同，请改成一种写法",
            "each is read as it is written; have the application write one form, or convert the others",
        ));
    }
    let times = || values.iter().filter_map(|value| value.time);
    let shown =
        |time: DateTime<Utc>| time.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false);
    Finding::ok(match times().min().zip(times().max()) {
        None => language.pick(format!("{column}：没有值"), format!("{column} has no values")),
        Some((oldest, newest)) => {
            let (oldest, newest) = (shown(oldest), shown(newest));
            language.pick(
                format!("{column}：抽查的值从 {oldest} 到 {newest}"),
                format!("{column}: values looked at are from {oldest} to {newest}"),
            )
        }
    })
}

fn name(form: Written, language: Language) -> &'static str {
    match form {
        Written::Number => language.pick("数字", "numbers"),
        Written::ZonedText => language.pick("带时区的文本", "text with a zone"),
        Written::LetteredText => {
            language.pick("带 T 而无时区的文本", "text with a T and without zone")
        }
        Written::PlainText => language.pick("无时区的文本", "text without zone"),
        Written::Other => language.pick("其他值", "other values"),
    }
}

/// What a number may count, if it would then be plausible; or a time that was divided or multiplied once too often.
fn guess(value: &SampledTime, plausible: Plausible, language: Language) -> Option<String> {
    let is_plausible = |seconds: f64| {
        DateTime::from_timestamp(seconds as i64, 0).is_some_and(|time| plausible.contains(time))
    };
    if let (Some(time), None) = (value.time, value.form) {
        let seconds = time.timestamp() as f64;
        let instead = |right: &str, wrong: &str| {
            language.pick(format!("{right}，而不是 {wrong}"), format!("{right} instead of {wrong}"))
        };
        return if is_plausible(seconds * 1000.0) {
            Some(instead("to_timestamp(x)", "to_timestamp(x / 1000.0)"))
        } else if is_plausible(seconds / 1000.0) {
            let seconds = instead("to_timestamp(x / 1000.0)", "to_timestamp(x)");
            let millis = instead("x / 1e6", "x / 1000.0");
            Some(format!("{seconds}{}{millis}", language.pick("；或 ", ", or ")))
        } else {
            None
        };
    }
    if has_slashes(&value.shown) {
        return Some("replace(x, '/', '-')".to_owned());
    }
    let number: f64 = value.shown.parse().ok()?;
    let is_text = value.form == Some(Written::Other);
    if is_text && [1.0, 1e3, 1e6, 1e9].into_iter().any(|unit| is_plausible(number / unit)) {
        return Some("CAST(x AS INTEGER)".to_owned());
    }
    let kinds = [
        (
            (number - 2_440_587.5) * 86_400.0,
            "(x - 2440587.5) * 86400",
            ["儒略日", "days of the Julian period"],
        ),
        (
            (number - 25_569.0) * 86_400.0,
            "(x - 25569) * 86400",
            ["自 1899-12-30 起的天数", "days since 1899-12-30"],
        ),
        (number * 86_400.0, "x * 86400", ["自 1970 年起的天数", "days since 1970"]),
        (number + 978_307_200.0, "x + 978307200", ["自 2001 年起的秒数", "seconds since 2001"]),
        (
            number / 1e7 - 62_135_596_800.0,
            "(x - 621355968000000000) / 10000000",
            [".NET 的 tick", ".NET's ticks"],
        ),
        (
            number / 1e7 - 11_644_473_600.0,
            "(x - 116444736000000000) / 10000000",
            ["Windows 的文件时间", "Windows' file times"],
        ),
    ];
    let shown = |expression: &str, [chinese, english]: [&str; 2]| {
        language.pick(format!("{expression}（{chinese}）"), format!("{expression} ({english})"))
    };
    if (19_000_101.0..=99_991_231.0).contains(&number) {
        let expression = "substr(x, 1, 4) || '-' || substr(x, 5, 2) || '-' || substr(x, 7, 2)";
        return Some(shown(expression, ["YYYYMMDD"; 2]));
    }
    let found = kinds.into_iter().find(|(seconds, _, _)| is_plausible(*seconds));
    found.map(|(_, expression, names)| shown(expression, names))
}

/// `2027/01/15 10:00:00`
fn has_slashes(shown: &str) -> bool {
    let date: Vec<&str> = shown.splitn(3, '/').collect();
    let is_number = |part: &str, length| {
        part.get(..length).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    matches!(date[..], [year, month, day] if is_number(year, 4) && month.len() == 2 && is_number(day, 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;
    use chrono::NaiveDate;

    const NOW: i64 = 1_800_000_000;

    fn found(values: Vec<SampledTime>) -> Finding {
        found_in(Language::En, values)
    }

    fn found_in(language: Language, values: Vec<SampledTime>) -> Finding {
        of("tasks.created_at", language, values)
    }

    fn of(column: &str, language: Language, values: Vec<SampledTime>) -> Finding {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let sample = TimeSample { column: column.into(), values };
        let plausible = Plausible::new(1990, now);
        times(&[sample], plausible, Tz::UTC, language).remove(0)
    }

    fn number(shown: &str) -> SampledTime {
        SampledTime { shown: shown.into(), time: None, form: Some(Written::Number) }
    }

    fn at(seconds: i64, form: Option<Written>) -> SampledTime {
        SampledTime { shown: "x".into(), time: DateTime::from_timestamp(seconds, 0), form }
    }

    #[test]
    fn a_number_that_counts_something_else_gets_its_expression() {
        for (value, hint) in [
            ("2461420.83", "2440587.5"),
            ("46252.3", "25569"),
            ("20833", "days since 1970"),
            ("20270115", "YYYYMMDD"),
            ("821692800", "978307200"),
            ("639355968000000000", "621355968000000000"),
            ("134444736000000000", "116444736000000000"),
        ] {
            let found = found(vec![number(value)]);
            assert_eq!(found.status, Status::Failed, "{value}");
            assert!(found.message.contains(value), "{}", found.message);
            assert!(found.hint.as_ref().unwrap().contains(hint), "{value}: {:?}", found.hint);
        }
    }

    #[test]
    fn text_that_is_nearly_a_time_gets_its_expression() {
        for (value, hint) in [
            ("1799999999", "CAST(x AS INTEGER)"),
            ("1799999999123", "CAST(x AS INTEGER)"),
            ("2027/01/15 10:00:00", "replace(x, '/', '-')"),
            ("2027/01/15", "replace(x, '/', '-')"),
        ] {
            let text = SampledTime { form: Some(Written::Other), ..number(value) };
            let hinted = found(vec![text]).hint.unwrap();
            assert!(hinted.contains(hint), "{value}: {hinted}");
        }
        let other = SampledTime { form: Some(Written::Other), ..number("15/01/2027") };
        assert!(found(vec![other]).hint.unwrap().contains("store NULL"));
    }

    #[test]
    fn a_wrong_division_is_named() {
        for (seconds, hint) in
            [(NOW / 1000, "to_timestamp(x) "), (NOW * 1000, "to_timestamp(x / 1000.0) ")]
        {
            let found = found(vec![at(seconds, None)]);
            assert_eq!(found.status, Status::Failed);
            assert!(found.hint.as_ref().unwrap().contains(hint), "{:?}", found.hint);
        }
    }

    #[test]
    fn in_chinese_no_hint_is_in_english() {
        let values = ["2461420.83", "46252.3", "20833", "20270115", "821692800"].map(number);
        let ticks = ["639355968000000000", "134444736000000000", "0.5"].map(number);
        let divided = [NOW / 1000, NOW * 1000].map(|seconds| at(seconds, None));
        for value in values.into_iter().chain(ticks).chain(divided) {
            let found = found_in(Language::Zh, vec![value]);
            let hint = found.hint.unwrap();
            let words = ["days", "seconds", "since", "instead", "ticks'", "file", "write", "store"];
            let english = words.into_iter().find(|word| hint.contains(word));
            assert_eq!(english, None, "{hint}");
        }
        let mixed = vec![at(NOW, Some(Written::Number)), at(NOW, Some(Written::ZonedText))];
        assert!(found_in(Language::Zh, mixed).message.ends_with("写法不一：数字、带时区的文本"));
    }

    #[test]
    fn a_task_may_be_due_in_the_future_and_not_before_there_were_any() {
        let never = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap().and_time(Default::default());
        for (seconds, status) in [
            (NOW + 30 * 86_400, Status::Ok),
            (never.and_utc().timestamp(), Status::Ok),
            (NOW * 1000, Status::Failed),
            (0, Status::Failed),
        ] {
            let found = of(DUE_AT, Language::En, vec![at(NOW, None), at(seconds, None)]);
            assert_eq!(found.status, status, "{seconds}: {}", found.message);
        }
    }

    #[test]
    fn future_and_mixed_times_fail_and_right_ones_are_shown() {
        assert_eq!(found(vec![at(NOW, None), at(NOW + 100_000, None)]).status, Status::Failed);
        let mixed = found(vec![at(NOW, Some(Written::PlainText)), at(NOW, Some(Written::Number))]);
        assert_eq!(mixed.status, Status::Failed);
        assert!(mixed.message.contains("numbers, text without zone"), "{}", mixed.message);
        let right = found(vec![at(NOW, None), at(NOW - 86_400, None)]);
        assert_eq!(right.status, Status::Ok);
        assert!(
            right.message.contains("2027-01-14") && right.message.contains("2027-01-15"),
            "{}",
            right.message
        );
        assert_eq!(found(Vec::new()).status, Status::Ok);
    }
}
