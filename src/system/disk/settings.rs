//! `[disk]`: which file systems, and when they are too full.

use crate::outcome::{Failure, Kind};
use crate::units::Thresholds;
use crate::values::{self, InvalidKey, check_thresholds};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};

/// `[disk]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(deserialize_with = "one_or_more", serialize_with = "show")]
    pub paths: Vec<Volume>,
    /// Percent; above it, not at it.
    #[serde(deserialize_with = "values::percent")]
    pub warning_percent: f64,
    #[serde(deserialize_with = "values::percent")]
    pub critical_percent: f64,
}

/// A path of `disk.paths`, and what holds for it alone: a text, or a section `[[disk.paths]]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub path: PathBuf,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Instead of those of `[disk]`.
    #[serde(
        default,
        deserialize_with = "values::optional_percent",
        skip_serializing_if = "Option::is_none"
    )]
    pub warning_percent: Option<f64>,
    #[serde(
        default,
        deserialize_with = "values::optional_percent",
        skip_serializing_if = "Option::is_none"
    )]
    pub critical_percent: Option<f64>,
    /// GiB: with less free it is critical, whatever the percentage.
    #[serde(
        default,
        deserialize_with = "values::optional_size",
        skip_serializing_if = "Option::is_none"
    )]
    pub min_free_gb: Option<f64>,
    /// Whether its inodes count; by default where they mean something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes: Option<bool>,
    /// Whether the path must be a mount point; by default if it was one, or is one by /etc/fstab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<bool>,
    /// Whether it is meant to be read-only; by default as /etc/fstab says, and not if it could be written to before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

impl Volume {
    /// One for which nothing special holds.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    fn thresholds(&self, general: Thresholds) -> Thresholds {
        Thresholds {
            warning: self.warning_percent.unwrap_or(general.warning),
            critical: self.critical_percent.unwrap_or(general.critical),
        }
    }
}

impl Settings {
    /// # Errors
    /// A warning threshold is above its critical one.
    pub fn check(&self) -> Result<(), InvalidKey> {
        let keys = ["warning_percent", "critical_percent"];
        let of_paths = self.paths.iter().enumerate().map(|(place, volume)| {
            let keys = keys.map(|key| format!("paths[{}].{key}", place + 1));
            (keys, self.thresholds_of(volume))
        });
        let mut all = [(keys.map(str::to_owned), self.thresholds())].into_iter().chain(of_paths);
        all.try_for_each(|([warning, critical], thresholds)| {
            check_thresholds((&warning, thresholds.warning), (&critical, thresholds.critical))
        })
    }

    pub fn all_paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(|volume| volume.path.as_path())
    }

    /// Those that hold where a path has none of its own.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds { warning: self.warning_percent, critical: self.critical_percent }
    }

    /// Those that hold for a path.
    pub fn thresholds_of(&self, volume: &Volume) -> Thresholds {
        volume.thresholds(self.thresholds())
    }

    /// The same for other paths; those that are configured keep what is their own.
    pub fn with_paths(mut self, paths: &[PathBuf]) -> Self {
        let volume = |path: &PathBuf| {
            let configured = self.paths.iter().find(|volume| volume.path == *path);
            configured.cloned().unwrap_or_else(|| Volume::at(path))
        };
        self.paths = paths.iter().map(volume).collect();
        self
    }

    /// The same with thresholds from the command line, in percent, for all paths.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the warning is above the critical one.
    pub fn with_thresholds(
        mut self,
        warning: Option<f64>,
        critical: Option<f64>,
    ) -> Result<Self, Failure> {
        self.warning_percent = warning.unwrap_or(self.warning_percent);
        self.critical_percent = critical.unwrap_or(self.critical_percent);
        for volume in &mut self.paths {
            volume.warning_percent = volume.warning_percent.filter(|_| warning.is_none());
            volume.critical_percent = volume.critical_percent.filter(|_| critical.is_none());
        }
        let name =
            |flag: Option<f64>, set, configured| if flag.is_some() { set } else { configured };
        let all = self.paths.iter().map(|volume| self.thresholds_of(volume));
        let mut wrong = all.chain([self.thresholds()]);
        let Some(wrong) = wrong.find(|thresholds| thresholds.warning > thresholds.critical) else {
            return Ok(self);
        };
        let message = format!(
            "{} is {}; it must not be above {}, which is {}",
            name(warning, "--warning", "disk.warning_percent"),
            wrong.warning,
            name(critical, "--critical", "disk.critical_percent"),
            wrong.critical
        );
        Err(Failure::new(Kind::Usage, message))
    }
}

/// An item of the list, in either form.
struct Item(Volume);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes, or a section with a path")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
                Ok(Item(Volume::at(values::path(StrDeserializer::new(text))?)))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Item, M::Error> {
                Volume::deserialize(MapAccessDeserializer::new(map)).map(Item)
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Volume>, D::Error> {
    let items = Vec::<Item>::deserialize(deserializer)?;
    if items.is_empty() {
        return Err(de::Error::custom("a list of at least one path"));
    }
    Ok(items.into_iter().map(|Item(volume)| volume).collect())
}

/// As a list of texts where nothing more is to be said.
fn show<S: Serializer>(volumes: &[Volume], serializer: S) -> Result<S::Ok, S::Error> {
    let is_plain = |volume: &Volume| *volume == Volume::at(&volume.path);
    if !volumes.iter().all(is_plain) {
        return volumes.serialize(serializer);
    }
    let paths: Vec<&Path> = volumes.iter().map(|volume| volume.path.as_path()).collect();
    serializer.collect_seq(paths.iter().map(|path| path.display().to_string()))
}
