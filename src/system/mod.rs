//! What the machine says about itself: its file systems, processors and memory.

pub mod broker;
pub mod disk;
pub mod resources;
