//! The host that this is, and its users.

use crate::files::{open_named, read_whole};
use std::path::Path;

/// What it calls itself.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of the user who runs this; `None`: `/etc/passwd` does not have it.
pub fn user() -> Option<String> {
    let id = rustix::process::geteuid().as_raw().to_string();
    passwd(|fields| fields.get(2) == Some(&id.as_str())).map(|(name, _)| name)
}

/// The home folder of a user of `/etc/passwd`.
pub fn home_of(user: &str) -> Option<String> {
    passwd(|fields| fields.first() == Some(&user)).map(|(_, home)| home)
}

/// The name and the home folder of a user.
fn passwd(is_meant: impl Fn(&[&str]) -> bool) -> Option<(String, String)> {
    let text = read_whole(open_named(Path::new("/etc/passwd")).ok()?).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let home = fields.get(5).filter(|_| is_meant(&fields))?;
        Some((fields.first()?.to_string(), home.to_string()))
    })
}
