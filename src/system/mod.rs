//! What the machine says about itself: its name, file systems, processors and memory.

pub mod broker;
pub mod disk;
pub mod resources;

/// What this host calls itself.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
