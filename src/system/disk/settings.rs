//! `[disk]`: which file systems, and when they are too full.

use crate::outcome::{Failure, Kind};
use crate::units::Thresholds;
use crate::values::{self, InvalidKey, check_thresholds};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[disk]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(deserialize_with = "values::one_or_more_paths", serialize_with = "values::show_paths")]
    pub paths: Vec<PathBuf>,
    /// Percent; above it, not at it.
    #[serde(deserialize_with = "values::percent")]
    pub warning_percent: f64,
    #[serde(deserialize_with = "values::percent")]
    pub critical_percent: f64,
}

impl Settings {
    /// # Errors
    /// The warning is above the critical threshold.
    pub fn check(&self) -> Result<(), InvalidKey> {
        check_thresholds(
            ("warning_percent", self.warning_percent),
            ("critical_percent", self.critical_percent),
        )
    }

    pub fn thresholds(&self) -> Thresholds {
        Thresholds { warning: self.warning_percent, critical: self.critical_percent }
    }

    /// The same with thresholds from the command line, in percent.
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
        if self.warning_percent <= self.critical_percent {
            return Ok(self);
        }
        let name =
            |flag: Option<f64>, set, configured| if flag.is_some() { set } else { configured };
        let message = format!(
            "{} is {}; it must not be above {}, which is {}",
            name(warning, "--warning", "disk.warning_percent"),
            self.warning_percent,
            name(critical, "--critical", "disk.critical_percent"),
            self.critical_percent
        );
        Err(Failure::new(Kind::Usage, message))
    }
}
