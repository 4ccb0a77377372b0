//! What taskmon asks of a database.

pub mod target;
