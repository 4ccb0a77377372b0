//! A result as a page that a person reads in ten seconds: a file a result.

mod alert;
mod check;
mod cleanup;
mod disk;
mod groups;
mod page;
mod queue;
pub mod schedule;
mod stats;

use crate::language::Language;
use crate::outcome::Failure;
pub use alert::{AlertPage, alert, silences};
pub use check::{Detail, check};
pub use cleanup::cleanup;
pub use disk::disk;
pub use page::WHOLE;
pub use stats::{state_name, stats};

/// What ended a run, and what to do about it.
pub fn failure(failure: &Failure, language: Language) -> String {
    let mut text = format!("{}{}\n", language.pick("错误：", "error: "), failure.message);
    if let Some(hint) = &failure.hint {
        text += &format!("{}{hint}\n", language.pick("建议：", "hint: "));
    }
    text
}
