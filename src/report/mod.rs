//! Data in, bytes out: a folder or short file a format, a file a result. A format knows the report's structs and nothing else.

pub mod csv;
pub mod json;
pub mod markdown;
pub mod nagios;
pub mod prometheus;
pub mod text;
