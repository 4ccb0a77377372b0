//! A result as the one line of a monitoring plugin, as Nagios, Icinga, Naemon and Checkmk read it.
//!
//! `SERVICE STATE - text|'label'=value[unit];warn;crit;min;max …`, by the guidelines of the Monitoring Plugins project. A threshold `80` is the
//! range 0 to 80: what lies above it, not at it, is outside, which is how taskmon's own limits are meant.

mod alert;
mod disk;
mod line;
mod state;
mod stats;

use crate::outcome::Failure;
pub use alert::alert;
pub use disk::disk;
use line::Line;
pub use state::State;
pub use stats::stats;

/// A run that failed or was held up. `service`: what the line starts with.
pub fn failure(service: &str, failure: &Failure) -> (String, State) {
    let mut line = Line::default();
    line.add_texts([failure.message.clone()]);
    line.add_texts(failure.hint.clone());
    line.finish(&service.to_uppercase(), State::Unknown)
}
