//! What a document shows against what a command prints, with wildcards.
//!
//! `…` matches any part of a line, and a line of nothing but `…` any number of lines. Where figures are an example of what comes on another day, a
//! number or date matches any, and so do weekdays, directions, the bars of a curve and the width of a gap.

use super::blocks::Figures;

pub fn matches(shown: &str, printed: &str, figures: Figures) -> bool {
    let line = |line: &str| match figures {
        Figures::AsShown => line.trim_end().to_owned(),
        Figures::Any => without_figures(line),
    };
    let lines = |text: &str| -> Vec<String> { text.trim_end().lines().map(line).collect() };
    lines_match(&lines(shown), &lines(printed))
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line.trim() == "…" => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && lines_match(rest, others)),
    }
}

/// Words that another day may have in the place of each other.
const WEEKDAYS: [&str; 14] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "星期一",
    "星期二",
    "星期三",
    "星期四",
    "星期五",
    "星期六",
    "星期日",
];
const DIRECTIONS: [&str; 6] = ["up", "down", "flat", "增长", "下降", "持平"];

/// A line with its figures taken for one, and its gaps for one space.
fn without_figures(line: &str) -> String {
    let is_bar = |letter: char| ('▁'..='█').contains(&letter);
    if line.contains(is_bar) {
        return "the bars of a curve".into();
    }
    let words = line.split_whitespace().map(|word| {
        let bare = word.trim_start_matches('(');
        if WEEKDAYS.contains(&bare) {
            "a weekday".into()
        } else if DIRECTIONS.contains(&bare) {
            "a direction".into()
        } else {
            without_numbers(word)
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

/// Each number, date or time of day as `0`.
fn without_numbers(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(letter) = rest.chars().next() {
        let length =
            rest.find(|c: char| !(c.is_ascii_digit() || ",.:-".contains(c))).unwrap_or(rest.len());
        // What follows the last digit belongs to the sentence.
        let length = rest[..length].trim_end_matches([',', '.', ':', '-']).len();
        if letter.is_ascii_digit() {
            text.push('0');
            rest = &rest[length..];
        } else {
            text.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    text
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let Some((start, mut rest)) = shown.split_once('…') else {
        return shown == printed;
    };
    let Some(mut printed) = printed.strip_prefix(start) else {
        return false;
    };
    while let Some((middle, behind)) = rest.split_once('…') {
        let Some(at) = printed.find(middle) else {
            return false;
        };
        printed = &printed[at + middle.len()..];
        rest = behind;
    }
    printed.ends_with(rest)
}

#[test]
fn wildcards_stand_for_parts_of_lines_and_for_lines() {
    for (shown, printed, expected) in [
        ("a…c", "abc", true),
        ("a…c", "ac", true),
        ("a…c", "acd", false),
        ("…", "", true),
        ("…\nz", "a\nb\nz", true),
        ("…\nz", "a\nb", false),
        ("a\n…", "a", true),
        ("a…b…c", "a1b2c", true),
        ("a…b…c", "a1c2b", false),
        ("a  \n", "a", true),
        ("a\nb", "a", false),
        ("ab…ba", "aba", false),
    ] {
        let found = matches(shown, printed, Figures::AsShown);
        assert_eq!(found, expected, "{shown:?} {printed:?}");
    }
}

#[test]
fn figures_stand_for_others_and_words_for_themselves() {
    for (shown, printed, expected) in [
        ("tasks   513  (down 4.82%)", "tasks  1,024 (up 0%)", true),
        ("Tasks on 2026-11-24 Tuesday", "Tasks on 2027-01-03 Sunday", true),
        ("  ▁▁█▃", "  █ ▂", true),
        ("it is 44; before, 17", "it is 4; before, 171", true),
        ("it is 44; before, 17", "it is 4, before, 171", false),
        ("completed 44  failed 3", "completed 44  failed", false),
        ("task_… completed", "task_ab12  completed", true),
        ("completed 44", "failed 44", false),
        ("任务总数 513 (下降 4%)", "任务总数 1 (增长 10.5%)", true),
        ("saved as a/b_20261124.json", "saved as a/b_20270101.json", true),
    ] {
        let found = matches(shown, printed, Figures::Any);
        assert_eq!(found, expected, "{shown:?} {printed:?}");
    }
}
