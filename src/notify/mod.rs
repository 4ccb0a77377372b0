//! Alerts: what is wrong, who hears of it, and how.
//!
//! The rules look at a report or at the live state and say what stands ([`Alert`]); the decision, a pure function of that and of what the
//! records remember, says for each channel what is to be told and why; then each channel gets its [`Notification`].

pub mod decide;
pub mod deliver;
pub mod plan;
pub mod records;

pub use plan::{CHANNEL_FAILED, Context, Mode, Offer, Receiver, Summary, tell};
pub use records::escaped;
