//! The languages in which taskmon speaks to people: Chinese and English.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The language of alerts, reasons, `trend_direction` and text pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Zh,
    En,
}

impl Language {
    /// The one of two texts that is in this language.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Language::Zh => zh,
            Language::En => en,
        }
    }
}
