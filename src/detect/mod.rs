//! Which tables of a database hold the jobs. Pure: the catalogue comes as plain data.

pub mod presets;
