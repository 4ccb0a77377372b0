//! All tests that are not about one file of `src/`, as one program: it is linked once.
//!
//! The servers are those of `scripts/test.sh`; without them the tests that need one fail, they never skip.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::arithmetic_side_effects
)]

mod architecture;
mod channels;
mod cli;
mod memory;
mod readme;
mod store;
mod support;
mod system;
