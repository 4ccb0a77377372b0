//! What tests share: an environment of their own for each, rows, certificates, and servers that record what they are sent.

pub mod certificates;
pub mod env;
pub mod proxy;
pub mod rows;
pub mod server;
