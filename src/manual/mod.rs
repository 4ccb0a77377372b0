//! The manual that the program carries: a page a topic, as Markdown under `en/` and `zh/`.
//!
//! A page is added by adding its file to both folders. Its first line is `# NAME: what it is about`, in Chinese `# NAME：…`, NAME being that of the file.
//! Pages use paragraphs, lists, tables, fenced blocks, `code` and **bold**; no links and no HTML, but for two comments on a line of their own:
//! `<!-- pages: PREFIX -->` becomes the list of the pages whose names start so, and `<!-- test: COMMAND -->` is for the tests alone.

pub mod commands;
pub mod markdown;
pub mod roff;
pub mod terminal;

use crate::language::Language;

/// The name and the text of each page, by name.
type Texts = &'static [(&'static str, &'static str)];

const ENGLISH: Texts = include!(concat!(env!("OUT_DIR"), "/manual_en.rs"));
const CHINESE: Texts = include!(concat!(env!("OUT_DIR"), "/manual_zh.rs"));

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub name: &'static str,
    /// What it is about, in a line.
    pub summary: &'static str,
    /// The text below the title.
    pub body: &'static str,
}

/// All pages in a language, by name.
pub fn pages(language: Language) -> impl Iterator<Item = Page> {
    language.pick(CHINESE, ENGLISH).iter().map(|(name, text)| {
        let (title, body) = text.split_once('\n').unwrap_or((text, ""));
        let summary = title.split_once([':', '：']).map_or(title, |(_, summary)| summary.trim());
        Page { name, summary, body }
    })
}

/// The page of a topic. A channel's page is found without its `channel-` as well.
pub fn find(topic: &str, language: Language) -> Option<Page> {
    let topic = topic.to_lowercase();
    let channel = format!("channel-{topic}");
    let named = |name: &str| pages(language).find(|page| page.name == name);
    named(&topic).or_else(|| named(&channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_pages_and_each_is_titled_by_its_name() {
        let names = |texts: Texts| texts.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(ENGLISH), names(CHINESE));
        for (texts, mark) in [(ENGLISH, ": "), (CHINESE, "：")] {
            for (name, text) in texts {
                assert!(text.starts_with(&format!("# {name}{mark}")), "{name}: {text:.40}");
            }
        }
    }

    #[test]
    fn a_page_is_found_by_its_name_and_a_channel_by_its_own() {
        let found = |topic| find(topic, Language::En).map(|page| page.name);
        assert_eq!(found("stats"), Some("stats"));
        assert_eq!(found("Stats"), Some("stats"));
        assert_eq!(found("slack"), Some("channel-slack"));
        assert_eq!(found("channel-slack"), Some("channel-slack"));
        assert_eq!(found("colour"), None);
    }

    #[test]
    fn a_summary_is_the_title_without_the_name() {
        let summary = |language| find("stats", language).unwrap().summary;
        assert_eq!(summary(Language::En), "the report of a day");
        assert_eq!(summary(Language::Zh), "一天的报告");
    }
}
