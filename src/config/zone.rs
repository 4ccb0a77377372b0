//! Time zones by their IANA names, and the system's own.

use super::env::Env;
use super::nearest::nearest;
use crate::outcome::Failure;
use crate::timezone::Tz;
use std::path::Path;
use walkdir::WalkDir;

/// A zone, and where it comes from in words.
#[derive(Debug, PartialEq)]
pub struct Found {
    pub zone: Tz,
    pub source: String,
    /// What a person should know about it.
    pub warning: Option<String>,
}

/// The zone of an IANA name, written as the database of zones writes it.
///
/// # Errors
/// A sentence that goes on after the key's name: the value, and the nearest zone.
pub fn named(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let near = similar(name).map_or(String::new(), |near| format!("; the nearest is {near:?}"));
        format!(
            "is {name:?}; expected the IANA name of a time zone, such as \"Asia/Shanghai\"{near}"
        )
    })
}

/// The zone that somebody probably meant: the same letters in another case, its city alone, or a typo.
///
/// Zones such as `Etc/GMT+8` are never proposed: their sign is the opposite of what people mean by it.
fn similar(name: &str) -> Option<&'static str> {
    let names = || Tz::names().filter(|name| !name.contains("GMT"));
    let city = |zone: &'static str| zone.rsplit('/').next().unwrap_or(zone);
    let spaced = name.trim().replace(' ', "_");
    if spaced.to_uppercase().contains("GMT") || spaced.to_uppercase().starts_with("UTC") {
        return None;
    }
    names()
        .find(|zone| zone.eq_ignore_ascii_case(&spaced))
        .or_else(|| names().find(|zone| city(zone).eq_ignore_ascii_case(&spaced)))
        .or_else(|| nearest(&spaced, names()))
        .or_else(|| {
            let near = nearest(&spaced, names().map(city))?;
            names().find(|zone| city(zone) == near)
        })
}

/// The system's zone: `$TZ`, else what `/etc/localtime` says, else UTC.
///
/// # Errors
/// `$TZ` is not text.
pub fn of_the_system(env: &Env) -> Result<Found, Failure> {
    let mut warning = None;
    if let Some(text) = env.text("TZ")? {
        if let Some(zone) = from_tz(&text) {
            return Ok(Found { zone, source: "$TZ".to_owned(), warning: None });
        }
        warning = Some(text);
    }
    let (zone, source) = from_system_files();
    let warning = match (warning, zone) {
        (Some(text), zone) => Some(format!(
            "$TZ is {text:?}, which is not an IANA name; the time zone is {}. Set `timezone` to be sure.",
            zone.unwrap_or(Tz::UTC)
        )),
        (None, None) => Some(
            "The system's time zone has no IANA name; the time zone is UTC. Set `timezone` to be sure.".to_owned(),
        ),
        (None, Some(_)) => None,
    };
    Ok(Found { zone: zone.unwrap_or(Tz::UTC), source: source.to_owned(), warning })
}

/// `$TZ` as far as it names an IANA zone: `Asia/Shanghai`, `:Asia/Shanghai`, `/usr/share/zoneinfo/Asia/Shanghai`.
fn from_tz(text: &str) -> Option<Tz> {
    let text = text.strip_prefix(':').unwrap_or(text);
    if text == "/etc/localtime" {
        return from_system_files().0;
    }
    let name = text.rsplit_once("/zoneinfo/").map_or(text, |(_, name)| name);
    name.parse().ok()
}

/// The zone that the host's own services go by, cron among them: what a shell says in `$TZ` is nothing to them. `None`: it has no name that is known.
///
/// They have it from the C library, which knows `/etc/localtime` alone: without that file, or where the link leads nowhere, it is UTC, whatever
/// `/etc/timezone` says.
pub fn of_the_host() -> Option<Tz> {
    if Path::new("/etc/localtime").exists() { from_system_files().0 } else { Some(Tz::UTC) }
}

fn from_system_files() -> (Option<Tz>, &'static str) {
    let localtime = Path::new("/etc/localtime");
    // No link that says the name, as in many containers, where /etc/timezone is often another's.
    let is_copy = localtime.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let copied = is_copy.then(|| copied_from(localtime, Path::new("/usr/share/zoneinfo")));
    if let Some(zone) = copied.flatten() {
        return (Some(zone), "the system");
    }
    match iana_time_zone::get_timezone() {
        Ok(name) => (name.parse().ok(), "the system"),
        // As the C library has it: without that file, the system's time is UTC.
        Err(_) if !localtime.exists() => (Some(Tz::UTC), "the system, which names none"),
        Err(_) => (None, "the system, which names none"),
    }
}

/// The zone of whose file this one is a copy.
fn copied_from(file: &Path, zones: &Path) -> Option<Tz> {
    let content = std::fs::read(file).ok()?;
    let is_same = |path: &Path| {
        let length = path.metadata().map_or(0, |found| found.len());
        length == content.len() as u64 && std::fs::read(path).is_ok_and(|found| found == content)
    };
    let mut entries = WalkDir::new(zones).sort_by_file_name().into_iter().flatten();
    // Files first: each zone that is read stays in memory.
    entries.find_map(|entry| {
        let name = entry.path().strip_prefix(zones).ok()?.to_str()?;
        is_same(entry.path()).then(|| name.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timezone::zone;

    #[test]
    fn a_copy_of_a_zones_file_is_known_by_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let zones = folder.path().join("zoneinfo");
        for (name, text) in [
            ("Asia/Shanghai", "TZif CST-8"),
            ("Asia/Tokyo", "TZif JST-9"),
            ("posix/Asia/Tokyo", "TZif JST-9"),
            ("localtime", "TZif CST-8"),
        ] {
            let path = zones.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let of = |text: &str| {
            let copy = folder.path().join("localtime");
            std::fs::write(&copy, text).unwrap();
            copied_from(&copy, &zones)
        };
        assert_eq!(of("TZif JST-9"), Some(zone("Asia/Tokyo")));
        assert_eq!(of("TZif CST-8"), Some(zone("Asia/Shanghai")));
        assert_eq!(of("TZif MSK-3"), None);
        assert_eq!(copied_from(&folder.path().join("none"), &zones), None);
    }

    #[test]
    fn a_bad_zone_is_answered_with_the_nearest() {
        for (name, expected) in [
            ("asia/shanghai", Some("Asia/Shanghai")),
            ("Shanghai", Some("Asia/Shanghai")),
            ("Asia/Shangai", Some("Asia/Shanghai")),
            ("Shangai", Some("Asia/Shanghai")),
            ("America/New York", Some("America/New_York")),
            ("GMT+8", None),
            ("UTC+8", None),
            ("somewhere else", None),
        ] {
            assert_eq!(similar(name), expected, "{name}");
        }
        let message = named("asia/shanghai").unwrap_err();
        assert!(
            message.contains("\"asia/shanghai\"") && message.contains("\"Asia/Shanghai\""),
            "{message}"
        );
        assert_eq!(named("Asia/Kolkata"), Ok(zone("Asia/Kolkata")));
    }

    #[test]
    fn tz_counts_in_each_of_its_forms() {
        for text in ["Asia/Shanghai", ":Asia/Shanghai", ":/usr/share/zoneinfo/Asia/Shanghai"] {
            let env = Env::from_iter([("TZ", text)]);
            let found = of_the_system(&env).unwrap();
            assert_eq!(
                (found.zone, found.source.as_str()),
                (zone("Asia/Shanghai"), "$TZ"),
                "{text}"
            );
            assert_eq!(found.warning, None);
        }
    }

    #[test]
    fn a_tz_that_names_no_zone_is_warned_of_and_ignored() {
        let env = Env::from_iter([("TZ", "CST-8")]);
        let warning = of_the_system(&env).unwrap().warning.unwrap();
        assert!(warning.contains("CST-8"), "{warning}");
    }
}
