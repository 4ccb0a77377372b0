//! Which tables of a database hold the jobs: the presets that fit, or a guess from names, types and some rows. Pure: the catalogue comes as plain data.

pub mod guess;
pub mod presets;
mod vocabulary;
