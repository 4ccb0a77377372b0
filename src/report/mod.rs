//! Data in, bytes out: one short file a format. A format knows the report's structs and nothing else.

pub mod json;
pub mod nagios;
pub mod prometheus;
pub mod schedule;
pub mod text;
