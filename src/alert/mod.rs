//! Alerts: what is wrong, who hears of it, and how.
//!
//! The rules look at a report or at the live state and say what stands ([`Alert`]); the decision, a pure function of that and of what the
//! records remember, says for each channel what is to be told and why; then each channel gets its [`Notice`].

pub mod channels;
pub mod decide;
pub mod deliver;
pub mod live;
mod notice;
pub mod plan;
pub mod records;
pub mod rules;

pub use live::LiveState;
pub use notice::{Alert, Notice, Status, Told};
pub use plan::{Answer, CHANNEL_FAILED, Context, Listener, Mode, Offer, Refusal, Summary, tell};
pub use records::escaped;
pub use rules::Evaluation;
