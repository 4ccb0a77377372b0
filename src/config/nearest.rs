//! What somebody who mistyped a word probably meant.

use std::cmp::Reverse;

/// The candidate that looks most like `word`, if one is near enough to be worth naming.
///
/// Case, `_`, `-`, `/` and spaces do not count: `reports-dir` and `ReportsDir` are `reports_dir`.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    if word.is_empty() {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| Some((likeness(&word, &folded(candidate))?, candidate)))
        .min_by_key(|(likeness, _)| *likeness)
        .map(|(_, candidate)| candidate)
}

/// Edits from one word to the other, and how much of the beginning they share; `None`: not near.
fn likeness(word: &str, candidate: &str) -> Option<(usize, Reverse<u64>)> {
    let edits = strsim::damerau_levenshtein(word, candidate);
    let same = strsim::jaro_winkler(word, candidate);
    let longest = word.chars().count().max(candidate.chars().count());
    let near = edits * 3 <= longest || (longest > 3 && same >= 0.9);
    near.then_some((edits, Reverse((same * 1e6) as u64)))
}

fn folded(word: &str) -> String {
    let kept = word.chars().filter(|c| !matches!(c, '_' | '-' | '/' | ' '));
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        let keys = ["reports_dir", "slowest_tasks", "baseline_days", "url"];
        for (word, expected) in [
            ("reportsdir", Some("reports_dir")),
            ("reports-dir", Some("reports_dir")),
            ("reports_directory", Some("reports_dir")),
            ("report_dir", Some("reports_dir")),
            ("baselinedays", Some("baseline_days")),
            ("slowest_taks", Some("slowest_tasks")),
            ("ulr", Some("url")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }
}
